# ---- Why a handshake failed -------------------------------------------------

# What a client says when the server has refused it: the server's log knows why.
refusals='alert|remote error|reset by peer|broken pipe|errno=(32|104)|EOF'
readonly refusals
readonly renew_client='make a request and sign it with ca/30-sign-clients.sh'
readonly renew_server='make a request and sign it with ca/20-sign-servers.sh'
readonly read_log='journalctl --unit docker.service on that host says more'

# Go's words for a certificate that is not of the CA, then OpenSSL's.
unknown_ca='signed by unknown authority|unable to get local issuer'
unknown_ca+='|self.signed certificate|certificate signature failure'
readonly unknown_ca
readonly wrong_usage='incompatible key usage|certificate purpose'
# docker 29 says i/o timeout where no name server answers: no firewall.
no_address='no such host|not known|name resolution|No address associated'
no_address+='|lookup .*i/o timeout'
readonly no_address
readonly is_after='current time ([^ ]+) is after ([^[:space:],"]+)'
readonly is_before='current time ([^ ]+) is before ([^[:space:],"]+)'

# What the daemon's log says: a pattern, and the sentence for it.
readonly -a server_reasons=(
  "didn't provide a certificate"
  "server: the client sent no certificate of the daemon's CA: run\
 20-configure-client.sh and use --tlsverify with cert.pem and key.pem"
  "${is_after}"
  "server: the client's certificate ended @2, and the clock says @1:\
 ${renew_client}, or set the clock"
  "${is_before}"
  "server: the client's certificate begins @2, and the clock says @1:\
 set the clock, or wait"
  "${unknown_ca}"
  "server: the client's certificate is of another CA than the daemon's:\
 ${renew_client}"
  "${wrong_usage}"
  "server: the client's certificate is not for clients\
 (extendedKeyUsage): ${renew_client}"
  'unsupported versions'
  'server: the client offered no TLS 1.2 or newer: use a newer client'
  'no cipher suite supported'
  "server: it shares no cipher suite with the client: let the client offer\
 an ECDHE suite with AES-GCM or ChaCha20"
  'does not look like a TLS handshake'
  'server: it speaks TLS and was asked in plain text: set DOCKER_TLS_VERIFY=1'
  'bad record MAC'
  "client: it refused the server's certificate, before it could say why: its\
 ca.pem is of another CA, or the name is not in the certificate"
  'remote error: tls: ([a-z ]+)'
  "client: it refused the server's certificate (@1): its ca.pem is of another\
 CA, or the name is not in the certificate"
)

# What the client says, docker or openssl s_client. The first that fits counts.
readonly -a client_reasons=(
  'ontext "([^"]+)"(: context not found| does not exist| is not found)'
  'client: there is no docker context @1: run 20-configure-client.sh'
  'open "?([^ :"]+)"?[^:]*: (no such file|No such file)'
  'client: @1 is not there: run 20-configure-client.sh'
  'open "?([^ :,"]+)"?( for reading, |: )([Nn]o such file|[Pp]ermission denied)'
  'client: @1 cannot be read (@3): run this as its owner'
  'does not match public key|key values mismatch'
  'client: the key belongs to another certificate: install both from one run'
  'ca\.pem seems invalid'
  'client: its ca.pem holds no certificate: run 20-configure-client.sh'
  'private key from ([^[:space:]:]+)'
  'client: the key @1 cannot be read: run this as its owner'
  'valid for ([^"]+), not ([^[:space:]"]+)'
  'client: the certificate is valid for @1, not @2: use a name from the SAN'
  'valid for any names, but wanted to match ([^[:space:]"]+)'
  "client: the certificate has no name in its SAN, not @1 either:\
 ${renew_server}"
  "certificate for ([^ ]+) because it doesn't contain any IP SANs"
  "client: the certificate is valid for no address, not @1 either: use a name\
 from the SAN"
  '(hostname|IP address) mismatch|legacy Common Name'
  'client: the certificate is not for this name: use a name from the SAN'
  "${is_after}"
  "client: the server's certificate ended @2, and the clock says @1:\
 ${renew_server}, or set the clock"
  "${is_before}"
  "client: the server's certificate begins @2, and the clock says @1:\
 set the clock, or wait"
  "${unknown_ca}"
  "client: the server's certificate is not of the CA in ca.pem: compare\
 ca.pem with the host's, and find out who answers at this address"
  "${wrong_usage}"
  "client: the server's certificate is not for servers (extendedKeyUsage):\
 ${renew_server}"
  'HTTP request to an HTTPS server'
  'server: it speaks TLS and was asked in plain text: set DOCKER_TLS_VERIFY=1'
  'HTTP response to HTTPS client|wrong version number|packet length too long'
  "client: the server speaks plain text on this port: run\
 20-configure-daemon.sh there"
  'does not look like a TLS handshake'
  "client: the server speaks plain text on this port: run\
 20-configure-daemon.sh there"
  'alert protocol version|protocol version not supported'
  'server: the client offered no TLS 1.2 or newer: use a newer client'
  'unsupported protocol|no protocols available'
  'client: the server offers no TLS version that this client takes'
  # Over TLS 1.2 dockerd of Go 1.26 says this of a missing certificate too.
  'handshake failure'
  "server: it got no client certificate, or shares no cipher suite with the\
 client: ${read_log}"
  'no cipher'
  "client: it has no cipher suite of the TLS versions that it may use: let it\
 offer an ECDHE suite with AES-GCM or ChaCha20"
  'certificate required'
  "server: the client sent no certificate of the daemon's CA: run\
 20-configure-client.sh and use --tlsverify with cert.pem and key.pem"
  'alert certificate expired|expired certificate'
  "server: the client's certificate has ended: ${renew_client}, or set the\
 clock"
  'unknown ca|unknown certificate authority'
  "server: the client's certificate is of another CA than the daemon's:\
 ${renew_client}"
  'unsupported certificate'
  "server: the client's certificate is not for clients\
 (extendedKeyUsage): ${renew_client}"
  'bad certificate'
  "server: it got no client certificate, or not one that it accepts:\
 ${read_log}"
  "${no_address}"
  "client: the host's name has no address here: add it to the DNS or to\
 /etc/hosts"
  'errno=111|onnection refused'
  "server: nothing listens on this address and port: start dockerd there, or\
 run 20-configure-daemon.sh"
  'errno=(101|113)|o route to host|etwork is unreachable'
  'client: there is no way to this address: look at the network between them'
  'errno=110|imed out|i/o timeout|deadline exceeded|^[[:space:]]*$'
  "client: no answer in time: is the host up, does a firewall drop the\
 packets?"
  'Cannot connect to the Docker daemon at ([^ ]+)\. '
  "server: nothing listens at @1, or its name has no address here: start\
 dockerd there, or run 20-configure-daemon.sh"
  "${refusals}"
  "server: it hung up without a word: ${read_log}"
)

# Says the time that OpenSSL prints with an expired certificate as Go does.
time_in() { # time_in TEXT
  local now word=after
  local ends='has expired.*notAfter=([^'$'\n'']+)'
  local begins='not yet valid.*notBefore=([^'$'\n'']+)'
  now=$(date --utc '+%FT%TZ')
  [[ $1 =~ ${ends} ]] || {
    if [[ ! $1 =~ ${begins} ]]; then return; fi
    word=before
  }
  printf 'current time %s is %s %s\n' "${now}" "${word}" \
    "$(date --utc --date "${BASH_REMATCH[1]}" '+%FT%TZ')"
}

# Prints the sentence of the first pattern that fits, with its groups put in.
find_reason() { # find_reason TEXT PATTERN SENTENCE...
  local text=$1 sentence number
  shift
  while (($# > 1)); do
    if [[ ${text} =~ $1 ]]; then
      sentence=$2
      for number in 1 2 3; do
        sentence=${sentence//"@${number}"/"${BASH_REMATCH[number]:-}"}
      done
      printf '%s\n' "${sentence}"
      return
    fi
    shift 2
  done
  return 1
}

# Prints one sentence: which side refuses, why, and what to do. TEXT is what
# the client printed, LOG what the daemon's log has said of it.
explain_handshake() { # explain_handshake TEXT [LOG]
  local text log=${2:-}
  text=$(time_in "$1")$'\n'$1
  log=$(time_in "${log}")$'\n'${log}
  if [[ ${text} =~ ${refusals} ]] &&
    find_reason "${log}" "${server_reasons[@]}"; then
    return
  fi
  find_reason "${text}" "${client_reasons[@]}" ||
    printf 'client: %s: no known reason; %s\n' "${1%%$'\n'*}" "${read_log}"
}

# Run alone, it explains a line of a client's or of the daemon's log.
if [[ ${0##*/} == explain.sh ]]; then
  case $* in
    *'TLS handshake error from '*) explain_handshake 'remote error' "$*" ;;
    *) explain_handshake "$*" ;;
  esac
fi
