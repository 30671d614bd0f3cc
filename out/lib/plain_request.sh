# ---- Asking dockerd in plain text -------------------------------------------

# A dockerd with TLS hangs up as soon as it sees no handshake: writing on must
# not end the script.
send_plain_request() { # send_plain_request PATH
  local connection
  trap '' PIPE
  { exec {connection}<>"/dev/tcp/${probe_address}/${listen_port}"; } 2>/dev/null ||
    return 1
  printf 'GET %s HTTP/1.1\r\nHost: docker\r\nConnection: close\r\n\r\n' "$1" \
    1>&"${connection}" 2>/dev/null || true
  timeout 5 head --bytes=16384 <&"${connection}" 2>/dev/null | tr -d '\0' || true
}

# Asks in plain text and prints what comes back, its first 16 KiB.
ask_in_plain_text() { # ask_in_plain_text PATH
  run_for 10 send_plain_request "$1" || true
}
