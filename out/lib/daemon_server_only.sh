# ---- Mode server-only: dockerd shows a certificate and asks for none --------

readonly proof=server_only_problem
readonly warning=" Then everyone who reaches ${listen} is root on this machine."
readonly -a what_holds=(
  'dockerd shows a certificate of this CA and asks for none: everyone who'
  "reaches ${listen} is root on this machine"
)

# Prints what does not hold, or nothing.
server_only_problem() {
  local answer
  answer=$(ask_daemon "${probe_address}" "${listen_port}" "${probe_name}" \
    "${ca}")
  is_answer "${answer}" || {
    printf 'a client that trusts this CA got no answer: %s\n' \
      "$(reason_in "${answer}")"
    return
  }
  answer=$(ask_in_plain_text /_ping)
  [[ ${answer} == *'HTTP request to an HTTPS server'* ]] ||
    printf 'plain HTTP was not refused: %s\n' "${answer:-no answer}"
}
