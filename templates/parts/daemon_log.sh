# Sets cursor to the end of the daemon's log.
mark_log() {
  cursor=$(journalctl --unit docker.service --quiet --lines 0 --show-cursor \
    2>/dev/null || true)
  cursor=${cursor#*cursor: }
}

# Prints what the daemon's log has said of a handshake since mark_log, and
# waits for it up to 5 seconds. Without a log, prints nothing.
refusal_in_log() {
  local text deadline=$((SECONDS + 5))
  [[ -n ${cursor} ]] || return 0
  while ((SECONDS < deadline)); do
    text=$(journalctl --unit docker.service --quiet --output cat \
      --after-cursor "${cursor}" 2>/dev/null || true)
    if [[ ${text} == *'TLS handshake error'* ]]; then
      text=${text#*TLS handshake error from }
      printf '%s\n' "${text%%$'\n'*}"
      return
    fi
    sleep 0.1
  done
}

# True when the daemon's log says since mark_log that a client sent no
# certificate, and where there is no log.
is_missing_certificate_logged() {
  local text
  [[ -n ${cursor} ]] || return 0
  text=$(refusal_in_log)
  [[ -z ${text} ]] || [[ ${text} == *"didn't provide a certificate"* ]]
}

# Prints what the client saw since mark_log, and why, with what to do. Only of
# a refusal does the log say anything.
why_no_answer() { # why_no_answer ANSWER
  local log=''
  if [[ $1 =~ ${refusals} ]]; then log=$(refusal_in_log); fi
  printf '%s; %s\n' "$(reason_in "$1")" "$(explain_handshake "$1" "${log}")"
}
