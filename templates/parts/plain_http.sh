# Asks in plain text and prints what comes back. A dockerd with TLS hangs up as
# soon as it sees no handshake: writing on must not end the script.
ask_in_plain_text() { # ask_in_plain_text PATH
  local connection
  trap '' PIPE
  if ! {
    exec {connection}<>"/dev/tcp/${probe_address}/${listen_port}"
  } 2>/dev/null; then
    return
  fi
  printf 'GET %s HTTP/1.1\r\nHost: docker\r\nConnection: close\r\n\r\n' "$1" \
    1>&"${connection}" 2>/dev/null || true
  timeout 10 cat <&"${connection}" 2>/dev/null || true
}
