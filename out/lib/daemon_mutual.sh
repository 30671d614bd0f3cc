# ---- Mode mutual: only clients with a certificate of the CA are answered ----

readonly proof=mutual_problem
readonly warning='' # in the question before the restart
readonly -a what_holds=(
  'dockerd answers clients of this CA, and refuses a client without a'
  'certificate'
)

# Prints what does not hold, or nothing. Without a client's valid files here it
# says what it cannot show: a client that has ended says nothing of the daemon.
mutual_problem() {
  local client answer
  client=$(find_client)
  if [[ -n ${client} ]] && ! is_good_client "${client}"; then client=''; fi
  if [[ -n ${client} ]]; then
    mark_log
    answer=$(ask_marked -cert "${client}/${client_certificate_file}" \
      -key "${client}/${client_key_file}")
    is_answer "${answer}" || {
      printf 'a client with a certificate got no answer: %s\n' \
        "$(reason_in "${answer}")"
      return
    }
  fi
  mark_log
  answer=$(ask_marked)
  if is_answer "${answer}"; then
    printf 'a client without a certificate was not refused: it got an answer\n'
  elif ! is_refusal "${answer}" "${client}"; then
    printf 'a client without a certificate was not refused: %s\n' \
      "$(reason_in "${answer}")"
  elif [[ -z ${client} ]]; then
    note \
      "no client's valid files are here: clients/NAME/90-verify.sh shows that" \
      'a client gets an answer'
  fi
}

# True for what dockerd answers without a certificate. Over TLS 1.2 one of Go
# 1.26 calls that a handshake failure, which other faults are called too: then a
# client with a certificate was answered, or the daemon's log says it.
is_refusal() { # is_refusal ANSWER CLIENT
  local logged
  if [[ $1 =~ alert\ (bad\ certificate|certificate\ required) ]]; then
    return
  elif [[ $1 != *'alert handshake failure'* || -z $2${cursor} ]]; then
    return 1
  fi
  logged=$(refusal_in_log)
  [[ -z ${logged} || ${logged} == *"didn't provide a certificate"* ]]
}
