# Asks in plain text and prints what comes back. A dockerd with TLS hangs up as
# soon as it sees no handshake: writing on must not end the script.
ask_in_plain_text() { # ask_in_plain_text PATH
  local connection
  trap '' PIPE
  exec {connection}<>"/dev/tcp/${probe_address}/${listen_port}" || return 0
  printf 'GET %s HTTP/1.1\r\nHost: docker\r\nConnection: close\r\n\r\n' "$1" \
    >&"${connection}" || true
  timeout 10 cat <&"${connection}" || true
} 2>/dev/null
