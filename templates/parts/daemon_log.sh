# Sets cursor to the end of the daemon's log, and own_port to a free one that
# the kernel does not give out: in the log it tells our next connection from
# those of others.
mark_log() {
  local hex used address=${probe_address}
  cursor=$(journalctl --unit docker.service --quiet --lines 0 --show-cursor \
    2>/dev/null || true)
  cursor=${cursor#*cursor: }
  used=$(cat /proc/net/tcp /proc/net/tcp6 2>/dev/null) || true
  while :; do
    own_port=$((20000 + RANDOM % 12000))
    printf -v hex ':%04X ' "${own_port}"
    if [[ ${used} != *"${hex}"* ]]; then break; fi
  done
  if [[ ${address} == *:* ]]; then address="[${address}]"; fi
  from_own_port=(-bind "${address}:${own_port}")
}

# Prints what the daemon's log has said of our handshake since mark_log, and
# waits for it up to 5 seconds. Without a log, prints nothing.
refusal_in_log() {
  local line deadline=$((SECONDS + 5))
  [[ -n ${cursor} ]] || return 0
  while ((SECONDS < deadline)); do
    while IFS= read -r line; do
      line=${line#*TLS handshake error from }
      if [[ ${line} =~ ^[^\ ]+:${own_port}:\  ]]; then
        printf '%s\n' "${line}"
        return
      fi
    done < <(journalctl --unit docker.service --quiet --output cat \
      --after-cursor "${cursor}" 2>/dev/null || true)
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
