# ---- What a stranger has: keys and certificates made for this run -----------

readonly s_client="openssl s_client -connect ${probe_address}:${listen_port}"
# Makes FILE.pem and FILE.key: a CA when SECTION is ca, else self-signed.
make_self_signed() { # make_self_signed FILE SUBJECT SECTION
  openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 \
    -pkeyopt ec_param_enc:named_curve -out "$1.key"
  openssl req -new -x509 -config "${scratch}/openssl.cnf" -extensions "$3" \
    -days 2 -subj "$2" -key "$1.key" -sha256 -out "$1.pem"
}

# Makes a client certificate of that CA.
make_client() { # make_client FILE CA
  openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 \
    -pkeyopt ec_param_enc:named_curve -out "$1.key"
  openssl req -new -config "${scratch}/openssl.cnf" -subj '/CN=client' \
    -key "$1.key" -sha256 -out "$1.csr"
  openssl x509 -req -days 2 -sha256 -in "$1.csr" -CA "$2.pem" -CAkey "$2.key" \
    -set_serial 2 -extfile "${scratch}/openssl.cnf" -extensions client \
    -out "$1.pem" 2>/dev/null
}

make_strangers() {
  local subject
  printf '%s\n' '[req]' 'distinguished_name = subject' '[subject]' '[ca]' \
    'basicConstraints = critical, CA:TRUE, pathlen:0' \
    'keyUsage = critical, keyCertSign, cRLSign' \
    'subjectKeyIdentifier = hash' '[client]' \
    'basicConstraints = critical, CA:FALSE' \
    'keyUsage = critical, digitalSignature' 'extendedKeyUsage = clientAuth' \
    'subjectAltName = DNS:client' 'subjectKeyIdentifier = hash' \
    'authorityKeyIdentifier = keyid' >"${scratch}/openssl.cnf"
  subject=$(openssl x509 -in "${ca}" -noout -subject -nameopt RFC2253)
  make_self_signed "${scratch}/other-ca" '/CN=another CA' ca
  make_self_signed "${scratch}/same-name-ca" "/${subject#subject=}" ca
  make_self_signed "${scratch}/self-signed" '/CN=client' client
  make_client "${scratch}/other" "${scratch}/other-ca"
  make_client "${scratch}/same-name" "${scratch}/same-name-ca"
}

# ---- Certificates and files -------------------------------------------------

verify_names() {
  local found problem=''
  asked="openssl x509 -in ${certificate} -noout -ext subjectAltName"
  found=$(names_of "${certificate}") || found='no name'
  if [[ ${found} != "${alternative_names}" ]]; then
    problem="it is for ${found}"
  fi
  judge CERT-4 "the certificate is for ${alternative_names//,/, }" \
    "${problem}" "${found}" 'renew it: make a request and sign it again'
}

# dockerd reads its files at its start only.
verify_shown() {
  local shown installed problem=''
  asked="openssl s_client -connect ${probe_address}:${listen_port}"
  shown=$(certificate_shown "${probe_address}" "${listen_port}" \
    "${probe_name}")
  installed=$(openssl x509 -in "${certificate}")
  if [[ -z ${shown} ]]; then
    problem="it shows none on ${probe_address}:${listen_port}"
  elif [[ ${shown} != "${installed}" ]]; then
    problem="it shows sha256 $(digest_of_pem "${shown}")"
  fi
  judge CERT-6 'dockerd shows the certificate that is installed' \
    "${problem}" "sha256 $(digest_of_pem "${installed}")" "${restart_dockerd}"
}

verify_files() {
  judge_file FILE-1 "${ca}" root:root 444 '3.9 and 3.10'
  judge_file FILE-2 "${certificate}" root:root 444 '3.11 and 3.12'
  judge_file FILE-3 "${key}" root:root 400 '3.13 and 3.14'
  verify_daemon_files
}

# ---- Handshakes -------------------------------------------------------------

# Prints what the client saw since mark_log, and why, with what to do. Only of
# a refusal does the log say anything.
why_no_answer() { # why_no_answer ANSWER
  local log=''
  if [[ $1 =~ ${refusals} ]]; then log=$(refusal_in_log); fi
  printf '%s; %s\n' "$(reason_in "$1")" "$(explain_handshake "$1" "${log}")"
}

# The positive control. The refusals below mean nothing without it.
verify_good_client() {
  local answer problem=''
  if [[ ! -e ${facts}/answer ]]; then
    report TLS-1 SKIP 'a client of this CA gets an answer' \
      "no client's key is here; clients/NAME/90-verify.sh shows it there" ''
    return
  fi
  answer=$(<"${facts}/answer")
  {
    read -r client
    read -r own_port
    read -r cursor
  } <"${facts}/client"
  asked="${s_client} -cert ${client}/${client_certificate_file}"
  asked+=" -key ${client}/${client_key_file}"
  is_answer "${answer}" || problem=$(why_no_answer "${answer}")
  judge TLS-1 'a client of this CA gets an answer' "${problem}" \
    'HTTP/1.1 200 OK' \
    'read journalctl --unit docker.service; run 20-configure-daemon.sh'
}

# A handshake that the client breaks off is in the daemon's log, unless journald
# does not run or dockerd logs less. Sets has_log.
find_log() {
  has_log=0
  mark_log
  ask_daemon "${probe_address}" "${listen_port}" "${probe_name}" \
    "${scratch}/other-ca.pem" "${from_own_port[@]}" >/dev/null
  if [[ -n $(refusal_in_log) ]]; then has_log=1; fi
}

# The alert is what the client saw, the pattern is what the daemon's log must
# say. Where there is no log, the alert alone decides.
verify_refusal() { # verify_refusal ID WHAT ALERT PATTERN S_CLIENT_OPTION...
  local id=$1 what=$2 alert=$3 pattern=$4 answer problem=''
  local said='no log of handshakes here; the alert alone decides'
  shift 4
  mark_log
  answer=$(ask_marked "$@")
  asked="${s_client} $*"
  if is_answer "${answer}"; then
    problem='it got an answer'
  elif [[ ! ${answer} =~ ${alert} ]]; then
    problem="it failed for another reason: $(reason_in "${answer}")"
  elif ((has_log)) && [[ ${answer} != *"${no_own_port}" ]]; then
    said=$(refusal_in_log)
    [[ ${said} =~ ${pattern} ]] ||
      problem="the daemon gave another reason: ${said:-none}"
  fi
  judge "${id}" "refused: ${what}" "${problem}" \
    "client: $(reason_in "${answer}"); daemon: ${said}" \
    "run 20-configure-daemon.sh; dockerd must run with ${dockerd_words[4]}"
}

# Without client certificates nobody is refused for one. A missing one is told
# otherwise over TLS 1.3, and over TLS 1.2 by a dockerd of Go 1.26.
verify_client_refusal() { # verify_client_refusal ID WHAT PATTERN OPTION...
  local alert='alert (bad certificate|unsupported certificate|unknown ca)'
  if (($# == 3)); then
    alert='alert (bad certificate|certificate required|handshake failure)'
  fi
  if [[ ${daemon_mode} == server-only ]]; then
    report "$1" SKIP "refused: $2" \
      'mode server-only: no client certificate is asked for' ''
    return
  fi
  verify_refusal "$1" "$2" "${alert}" "${@:3}"
}

verify_client_refusals() {
  verify_client_refusal TLS-2 'a client without a certificate' \
    "client didn't provide a certificate"
  verify_client_refusal TLS-3 'a client of another CA' 'unknown authority' \
    -cert "${scratch}/other.pem" -key "${scratch}/other.key"
  verify_client_refusal TLS-4 'a client of another CA with the same name' \
    'unknown authority' \
    -cert "${scratch}/same-name.pem" -key "${scratch}/same-name.key"
  verify_client_refusal TLS-5 'a self-signed client' 'unknown authority' \
    -cert "${scratch}/self-signed.pem" -key "${scratch}/self-signed.key"
  verify_client_refusal TLS-6 \
    "the server's own certificate used as a client" 'incompatible key usage' \
    -cert "${certificate}" -key "${key}"
}

# What the site says by mode: server-only. TLS-10 is its other half.
verify_everyone() {
  local answer problem=''
  mark_log
  answer=$(ask_marked)
  asked="${s_client} (no certificate)"
  is_answer "${answer}" || problem=$(why_no_answer "${answer}")
  judge HMODE-1 \
    "everyone who reaches ${listen} is root here: no certificate is asked for" \
    "${problem}" 'HTTP/1.1 200 OK' \
    'read journalctl --unit docker.service; run 20-configure-daemon.sh'
}

# Beside HMODE-1: the same question, to a server of another CA as it seems.
verify_other_ca() {
  local answer problem=''
  asked="${s_client} -CAfile another CA"
  answer=$(ask_daemon "${probe_address}" "${listen_port}" "${probe_name}" \
    "${scratch}/other-ca.pem")
  [[ ${answer} == *'verify error'* ]] && ! is_answer "${answer}" ||
    problem="it took the server for one of its CA: $(reason_in "${answer}")"
  judge TLS-10 'a client that trusts another CA refuses this server' \
    "${problem}" "$(reason_in "${answer}")" \
    "find what listens on port ${listen_port}"
}

verify_old_tls() {
  local what='refused: TLS 1.1'
  if ! openssl ciphers -s -tls1_1 'ALL:@SECLEVEL=0' &>/dev/null; then
    report TLS-7 SKIP "${what}" 'this openssl cannot speak TLS 1.1' ''
    return
  fi
  verify_refusal TLS-7 'TLS 1.1' 'alert protocol version' \
    'unsupported versions' -tls1_1 -cipher 'ALL:@SECLEVEL=0'
}

verify_plain_http() {
  local answer problem=''
  asked="GET /_ping in plain text to ${probe_address}:${listen_port}"
  answer=$(ask_in_plain_text /_ping)
  [[ ${answer} == *'HTTP request to an HTTPS server'* ]] ||
    problem="expected HTTP 400, got: ${answer:-no answer}"
  judge TLS-8 "refused: plain HTTP on port ${listen_port}" "${problem}" \
    "${answer}" \
    "run 20-configure-daemon.sh; dockerd must run with ${dockerd_words[4]}"
}

connect() { # connect ADDRESS PORT
  local connection
  { exec {connection}<>"/dev/tcp/$1/$2"; } 2>/dev/null
}

# True when somebody takes a connection within 5 seconds.
can_connect() { # can_connect ADDRESS PORT
  run_for 5 connect "$1" "$2"
}

# Refused connections, beside one to the TLS port that is accepted. The kernel
# lists what listens on the addresses that were not tried.
verify_plain_port() {
  local address place problem=''
  asked="connect to ${probe_address}, 127.0.0.1 and ::1, port 2375, and to"
  asked+=" ${probe_address}, port ${listen_port}; cat /proc/net/tcp{,6}"
  can_connect "${probe_address}" "${listen_port}" ||
    problem="port ${listen_port} cannot be reached either: this shows nothing"
  for address in "${probe_address}" 127.0.0.1 ::1; do
    if can_connect "${address}" 2375; then
      problem="something listens on ${address}, port 2375"
    fi
  done
  while read -r place _; do
    if [[ ${place##*:} == 0947 ]]; then
      problem="something listens on $(place_text "${place}")"
    fi
  done < <(listening_sockets)
  judge TLS-9 'port 2375 (plain text) is closed' "${problem}" \
    "2375 refused, ${listen_port} connected" \
    'find what listens on port 2375 and stop it'
}

find_installed_files() {
  local file
  key=${tls_directory}/${key_file}
  certificate=${tls_directory}/${certificate_file}
  ca=${tls_directory}/${ca_certificate_file}
  for file in "${key}" "${certificate}" "${ca}"; do
    [[ -e ${file} ]] ||
      die 2 "${file} is not there: run 20-configure-daemon.sh first"
  done
}

verify_docker_host() {
  parse_options "$@"
  find_installed_files
  scratch=$(mktemp -d)
  trap 'rm -rf -- "${scratch}"' EXIT
  make_strangers
  report_pair CERT "${certificate}" "${key}" "${ca}" sslserver
  verify_names
  verify_authorities
  verify_shown
  verify_files
  if [[ ${daemon_mode} == mutual ]]; then
    verify_flags 2.7
  else
    verify_flags
  fi
  verify_remap
  verify_ranges
  verify_good_client
  find_log
  verify_client_refusals
  verify_old_tls
  verify_plain_http
  verify_plain_port
  if [[ ${daemon_mode} == server-only ]]; then
    verify_everyone
    verify_other_ca
  fi
  finish_report "${came_to_its_end}"
}
