#!/usr/bin/env bash
# Verifies one Docker host: its files, its daemon, and who gets an answer from
# it. Shown by handshakes, each refusal beside a client that is answered.
#
# Reads:      the installed files, DIR/clients where a client's files are here
# Writes:     a temporary folder, removed at the end
# Restarts:   nothing
# Needs root: yes, to read the daemon's key and its log
# Undo:       nothing to undo: it is read-only
# Options:    --dir DIR (docker-tls)  --json  --yes  --check
#             --undo [--remove-keys]  --help
# Status:     0 every control holds, 2 wrong use, 4 a control does not hold
if [ -z "${BASH_VERSION:-}" ]; then
  printf 'error: this script needs bash; run: bash %s\n' "$0" >&2
  exit 2
fi
if ((BASH_VERSINFO[0] * 100 + BASH_VERSINFO[1] < 404)); then
  printf 'error: bash 4.4 or newer is needed, found %s\n' "${BASH_VERSION}" >&2
  exit 2
fi
set -Eeuo pipefail
shopt -s inherit_errexit
umask 077
ulimit -c 0
# Fixed, so that nobody's environment decides which programs run, which
# certificates openssl trusts, or which daemon docker talks to.
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export LC_ALL=C SSL_CERT_FILE=/dev/null SSL_CERT_DIR=/dev/null
unset DOCKER_HOST DOCKER_CONTEXT DOCKER_TLS DOCKER_TLS_VERIFY DOCKER_CERT_PATH

readonly script='hosts/localhost/90-verify.sh'
readonly -a names=(
  'localhost'
  '127.0.0.1'
)
readonly listen='127.0.0.1:2376'
readonly listen_port=2376
readonly probe_address='127.0.0.1'
readonly probe_name='localhost'
readonly tls_directory='/etc/docker/tls'
readonly drop_in='/etc/systemd/system/docker.service.d/override.conf'
readonly key_file='server-key.pem'
readonly certificate_file='certificate.pem'
readonly ca_certificate_file='ca-public.pem'
readonly -a client_folders=(
  'clients/client'
)
readonly client_key_file='client-key.pem'
readonly client_certificate_file='client-certificate.pem'

# ==== Below this line every site has the same bytes ==========================

# ---- Shared by every script -------------------------------------------------

verb=apply     # apply, check or undo
dir=docker-tls # working folder
yes=0
remove_keys=0
passphrase_file=''
json=0
leaves='nothing was changed' # the state to report when a command fails

die() { # die STATUS MESSAGE...
  printf 'error: %s: %s\n' "${script}" "${*:2}" >&2
  exit "$1"
}

note() { # note MESSAGE...
  printf '%s: %s\n' "${script}" "$*" >&2
}

doing='' # the printed command that runs now

on_error() { # on_error LINE COMMAND
  die 1 "line $1 failed: ${doing:-$2}; state: ${leaves}"
}
trap 'on_error "${LINENO}" "${BASH_COMMAND}"' ERR

# The comment at the top of the script is its manual.
print_help() {
  local line
  while IFS= read -r line; do
    [[ ${line} == '#'* ]] || break
    [[ ${line} == '#!'* ]] || printf '%s\n' "${line#'#'}"
  done <"${BASH_SOURCE[0]}"
}

parse_options() { # parse_options ARGUMENT...
  local option
  while (($# > 0)); do
    option=$1
    shift
    [[ ${accepts} == *" ${option} "* ]] ||
      die 2 "unknown option ${option}; --help lists them"
    case ${option} in
      --check | --undo)
        [[ ${verb} == apply ]] || die 2 'give one of --check and --undo'
        verb=${option#--}
        ;;
      --yes) yes=1 ;;
      --remove-keys) remove_keys=1 ;;
      --json) json=1 ;;
      --help)
        print_help
        exit 0
        ;;
      --dir | --passphrase-file)
        [[ -n ${1:-} ]] || die 2 "${option} needs a value"
        if [[ ${option} == --dir ]]; then dir=$1; else passphrase_file=$1; fi
        shift
        ;;
      *) die 2 "option ${option} is not handled" ;;
    esac
  done
  ((! remove_keys)) || [[ ${verb} == undo ]] ||
    die 2 '--remove-keys goes with --undo'
  dir=$(realpath --canonicalize-missing -- "${dir}")
}

need_openssl() {
  local found
  command -v openssl >/dev/null ||
    die 2 'openssl is not installed; install the package openssl'
  found=$(openssl version)
  [[ ${found} =~ ^OpenSSL\ ([0-9]+)\.([0-9]+)\.([0-9]+) ]] ||
    die 2 "OpenSSL 1.1.1 or newer is needed, found ${found}"
  ((BASH_REMATCH[1] * 10000 + BASH_REMATCH[2] * 100 + BASH_REMATCH[3] >= \
  10101)) || die 2 "OpenSSL 1.1.1 or newer is needed, found ${found}"
}

# ---- Keys, requests and certificates ----------------------------------------

# Prints the names of a certificate as in an extension file.
names_of() { # names_of CERTIFICATE
  local text
  text=$(openssl x509 -in "$1" -noout -ext subjectAltName 2>/dev/null) ||
    return 1
  text=${text#*$'\n'}
  text=${text//IP Address:/IP:}
  printf '%s\n' "${text//[[:space:]]/}"
}

public_key_of() { # public_key_of CERTIFICATE
  openssl x509 -in "$1" -noout -pubkey 2>/dev/null
}

has_same_key() { # has_same_key CERTIFICATE KEY
  local public_key
  public_key=$(openssl pkey -in "$2" -passin pass: -pubout) || return 1
  [[ $(public_key_of "$1") == "${public_key}" ]]
} 2>/dev/null

# Prints why openssl does not accept a certificate, or nothing.
why_not_valid() { # why_not_valid CERTIFICATE CA PURPOSE
  local text
  if text=$(openssl verify -x509_strict -purpose "$3" -CAfile "$2" "$1" \
    2>&1); then
    return
  fi
  text=${text#*lookup: }
  printf '%s\n' "${text%%$'\n'*}"
}

# ---- Handshakes with the daemon ---------------------------------------------

# The name or address to find in the server certificate.
expect_name() { # expect_name NAME; sets name_options
  if [[ $1 == *:* || $1 =~ ^[0-9.]+$ ]]; then
    name_options=(-verify_ip "$1")
  else
    name_options=(-verify_hostname "$1" -servername "$1")
  fi
}

# Asks the Docker API for /_ping and prints all that came back. A client that
# is refused in TLS 1.3 learns it on its first read, so a request is made.
ask_once() { # ask_once ADDRESS PORT NAME CA S_CLIENT_OPTION...
  local address=$1
  local -a name_options
  if [[ ${address} == *:* ]]; then address="[${address}]"; fi
  expect_name "$3"
  printf 'GET /_ping HTTP/1.1\r\nHost: docker\r\nConnection: close\r\n\r\n' |
    timeout 10 openssl s_client -quiet -connect "${address}:$2" \
      -CAfile "$4" -verify_return_error "${name_options[@]}" "${@:5}" 2>&1 ||
    true
}

# dockerd hangs up right after its alert. When that overtakes the request, the
# client fails to write it (a reset) and never reads the alert: it asks again.
ask_daemon() { # ask_daemon ADDRESS PORT NAME CA S_CLIENT_OPTION...
  local answer tries
  for tries in 1 2 3 4 5; do
    answer=$(ask_once "$@")
    if [[ ${answer} != *write:errno=* ]]; then break; fi
  done
  printf '%s\n' "${answer}"
}

is_answer() { # is_answer TEXT
  [[ $1 == *'HTTP/1.1 200 OK'* ]]
}

# Prints the line of TEXT that says why a handshake failed.
reason_in() { # reason_in TEXT
  local line
  while IFS= read -r line; do
    if [[ ${line} == *'verify error:'* || ${line} == *alert* ||
      ${line} == *errno* || ${line} == *:error:* ]]; then
      printf '%s\n' "${line}"
      return
    fi
  done < <(printf '%s\n' "$1")
  printf 'no answer\n'
}

# ---- The docker daemon on this machine --------------------------------------

# D16, with absolute paths: under systemd the working directory is /.
readonly -a flags=(
  --tlsverify
  "--tlscacert=${tls_directory}/${ca_certificate_file}"
  "--tlscert=${tls_directory}/${certificate_file}"
  "--tlskey=${tls_directory}/${key_file}"
)

daemon_property() { # daemon_property PROPERTY
  systemctl show --property "$1" --value docker.service
}

# Prints the command line of the running dockerd, one word a line.
running_arguments() {
  local pid
  pid=$(daemon_property MainPID)
  if ((pid)); then tr '\0' '\n' <"/proc/${pid}/cmdline"; fi
}

is_running_with_flags() {
  local arguments flag
  arguments=$'\n'$(running_arguments)$'\n'
  for flag in "tcp://${listen}" "${flags[@]}"; do
    [[ ${arguments} == *$'\n'"${flag}"$'\n'* ]] || return 1
  done
}

# Prints the folder of a client whose key and certificate are on this machine.
find_client() {
  local folder
  for folder in "${client_folders[@]}"; do
    if [[ -r ${dir}/${folder}/${client_key_file} &&
      -r ${dir}/${folder}/${client_certificate_file} ]]; then
      printf '%s\n' "${dir}/${folder}"
      return
    fi
  done
}

# ---- Controls: one line each, a table or --json -----------------------------

failed=0
asked='' # what was run for the control that is reported next

# Quotes TEXT for JSON; control characters other than line ends are dropped.
json_string() { # json_string TEXT
  local text=$1
  text=${text//\\/\\\\}
  text=${text//\"/\\\"}
  text=${text//$'\n'/\\n}
  printf '"%s"' "${text//[[:cntrl:]]/ }"
}

# Prints the result of a control. EVIDENCE is what came back, REMEDY what to do.
report() { # report ID RESULT WHAT EVIDENCE REMEDY
  local id=$1 result=$2 what=$3 evidence=$4 remedy=$5
  if [[ ${result} == FAIL ]]; then failed=1; fi
  if ((json)); then
    printf '{"id":%s,"result":%s,"what":%s,' \
      "$(json_string "${id}")" "$(json_string "${result}")" \
      "$(json_string "${what}")"
    printf '"asked":%s,"evidence":%s,"remedy":%s}\n' \
      "$(json_string "${asked}")" "$(json_string "${evidence}")" \
      "$(json_string "${remedy}")"
  else
    printf '%-8s %s  %s\n' "${id}" "${result}" "${what}"
    if [[ ${result} != PASS ]]; then
      printf '              found: %s\n' "${evidence}"
      [[ ${result} == SKIP ]] || printf '              do:    %s\n' "${remedy}"
    fi
  fi
  asked=''
}

# Reports PASS when there is no problem, FAIL with the problem otherwise.
judge() { # judge ID WHAT PROBLEM EVIDENCE REMEDY
  if [[ -z $3 ]]; then
    report "$1" PASS "$2" "$4" ''
  else
    report "$1" FAIL "$2" "$3" "$5"
  fi
}

# Reports the three facts about a pair that need no daemon.
report_pair() { # report_pair CERTIFICATE KEY CA PURPOSE
  local problem='' ends
  asked="openssl verify -x509_strict -purpose $4 -CAfile $3 $1"
  judge CERT-1 'the certificate is of the CA, strictly valid, for this use' \
    "$(why_not_valid "$1" "$3" "$4")" OK \
    'renew it: make a request and sign it again'
  asked="openssl x509 -in $1 -pubkey; openssl pkey -in $2 -pubout"
  has_same_key "$1" "$2" || problem="$2 has another public key than $1"
  judge CERT-2 'the key belongs to the certificate' "${problem}" \
    'both public keys are the same' 'install the pair again, both from one run'
  report_days_left "$1"
}

# Time to renew: the last third of its life, at most 30 days.
report_days_left() { # report_days_left CERTIFICATE
  local starts ends now third problem=''
  starts=$(openssl x509 -in "$1" -noout -startdate)
  ends=$(openssl x509 -in "$1" -noout -enddate)
  asked="openssl x509 -in $1 -noout -dates"
  now=$(date '+%s')
  starts=$(date --date "${starts#*=}" '+%s')
  ends=$(date --date "${ends#*=}" '+%s')
  third=$(((ends - starts) / 3))
  if ((third > 30 * 86400)); then third=$((30 * 86400)); fi
  ((ends - now > third)) ||
    problem="it is time to renew it, $((third / 86400)) days before its end"
  judge CERT-3 "the certificate ends in $(((ends - now) / 86400)) days" \
    "${problem}" "$(date --utc --date "@${ends}" '+%F %T UTC')" \
    'renew it: make a request and sign it again'
}

# Prints how a file differs from the owner and the widest mode, or nothing.
file_problem() { # file_problem FILE OWNER:GROUP WIDEST_MODE
  local found
  found=$(stat --dereference --format '%U:%G %a' -- "$1" 2>&1) || {
    printf '%s\n' "${found}"
    return
  }
  if [[ ${found% *} != "$2" ]] || (((8#${found#* } & ~8#$3) != 0)); then
    printf '%s is %s, expected %s %s or less\n' "$1" "${found}" "$2" "$3"
  fi
}

judge_file() { # judge_file ID FILE OWNER:GROUP WIDEST_MODE
  asked="stat --format '%U:%G %a' $2"
  judge "$1" "$2 is $3 $4 or less" "$(file_problem "$2" "$3" "$4")" \
    "$(stat --dereference --format '%U:%G %a' -- "$2" 2>&1 || true)" \
    "chown $3 $2; chmod $4 $2"
}

finish_report() {
  if ((failed)); then exit 4; fi
  exit 0
}

# ---- What a stranger has: keys and certificates made for this run -----------

readonly s_client="openssl s_client -connect ${probe_address}:${listen_port}"
accepts=' --dir --json --yes --check --undo --remove-keys --help '
readonly accepts

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
  local entry text problem='' option
  for entry in "${names[@]}"; do
    option=-checkhost
    if [[ ${entry} == *:* || ${entry} =~ ^[0-9.]+$ ]]; then option=-checkip; fi
    # From OpenSSL 3.5 on the exit status says it too.
    text=$(openssl x509 -in "${certificate}" -noout "${option}" "${entry}") ||
      true
    [[ ${text} == *'does match'* ]] || problem+="no ${entry}; "
  done
  asked="openssl x509 -in ${certificate} -checkhost (or -checkip) NAME"
  judge CERT-4 "the certificate is for ${names[*]}" "${problem%; }" \
    "$(names_of "${certificate}")" 'renew it: make a request and sign it again'
}

# The widest modes that the CIS Docker Benchmark allows.
verify_files() {
  judge_file FILE-1 "${ca}" root:root 444
  judge_file FILE-2 "${certificate}" root:root 444
  judge_file FILE-3 "${key}" root:root 400
  judge_file FILE-4 /etc/docker root:root 755
  judge_file FILE-5 "${drop_in}" root:root 644
  judge_file FILE-6 "$(daemon_property FragmentPath)" root:root 644
  judge_file FILE-7 /var/run/docker.sock root:docker 660
}

verify_flags() {
  local problem=''
  asked='tr "\0" "\n" </proc/MAINPID/cmdline'
  is_running_with_flags || problem='dockerd runs without them'
  judge DAEMON-1 "dockerd runs with ${flags[0]} and tcp://${listen}" \
    "${problem}" "$(running_arguments)" 'run 20-configure-daemon.sh'
}

# ---- Handshakes -------------------------------------------------------------

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

ask() { # ask S_CLIENT_OPTION...
  ask_daemon "${probe_address}" "${listen_port}" "${probe_name}" "${ca}" "$@"
}

# The positive control. The refusals below mean nothing without it.
verify_good_client() {
  local answer problem=''
  good_client=()
  client=$(find_client)
  if [[ -z ${client} ]]; then
    report TLS-1 SKIP 'a client of this CA gets an answer' \
      "no client's key is here; clients/NAME/90-verify.sh shows it there" ''
    return
  fi
  good_client=(-cert "${client}/${client_certificate_file}"
    -key "${client}/${client_key_file}")
  answer=$(ask "${good_client[@]}")
  asked="${s_client} ${good_client[*]}"
  is_answer "${answer}" || problem=$(reason_in "${answer}")
  judge TLS-1 'a client of this CA gets an answer' "${problem}" \
    'HTTP/1.1 200 OK' \
    'read journalctl --unit docker.service; run 20-configure-daemon.sh'
}

# The alert is what the client saw, the pattern is what the daemon's log must
# say. Where there is no log, the alert alone decides.
verify_refusal() { # verify_refusal ID WHAT ALERT PATTERN S_CLIENT_OPTION...
  local id=$1 what=$2 alert=$3 pattern=$4 answer said='' problem=''
  shift 4
  mark_log
  answer=$(ask "$@")
  asked="${s_client} $*"
  if is_answer "${answer}"; then
    problem='it got an answer'
  elif [[ ! ${answer} =~ ${alert} ]]; then
    problem="it failed for another reason: $(reason_in "${answer}")"
  else
    said=$(refusal_in_log)
    [[ -z ${cursor} || ${said} =~ ${pattern} ]] ||
      problem="the daemon gave another reason: ${said:-none}"
  fi
  judge "${id}" "refused: ${what}" "${problem}" \
    "client: $(reason_in "${answer}"); daemon: ${said:-no log here}" \
    'run 20-configure-daemon.sh; dockerd must run with --tlsverify'
}

verify_refusals() {
  local alert='alert (bad certificate|certificate required|unknown ca)'
  verify_refusal TLS-2 'a client without a certificate' "${alert}" \
    "client didn't provide a certificate"
  verify_refusal TLS-3 'a client of another CA' "${alert}" 'unknown authority' \
    -cert "${scratch}/other.pem" -key "${scratch}/other.key"
  verify_refusal TLS-4 'a client of another CA with the same name' "${alert}" \
    'unknown authority' \
    -cert "${scratch}/same-name.pem" -key "${scratch}/same-name.key"
  verify_refusal TLS-5 'a self-signed client' "${alert}" 'unknown authority' \
    -cert "${scratch}/self-signed.pem" -key "${scratch}/self-signed.key"
  verify_refusal TLS-6 "the server's own certificate used as a client" \
    "${alert}" 'incompatible key usage' -cert "${certificate}" -key "${key}"
}

# A client of this CA where there is one: only the version can be at fault.
verify_old_tls() {
  local what='refused: TLS 1.1'
  if ! openssl ciphers -s -tls1_1 'ALL:@SECLEVEL=0' &>/dev/null; then
    report TLS-7 SKIP "${what}" 'this openssl cannot speak TLS 1.1' ''
    return
  fi
  verify_refusal TLS-7 'TLS 1.1' 'alert protocol version' \
    'unsupported versions' -tls1_1 -cipher 'ALL:@SECLEVEL=0' "${good_client[@]}"
}

# Asks in plain text and prints what comes back. dockerd hangs up as soon as it
# sees no handshake: writing on must not end the script.
ask_in_plain_text() {
  local connection
  trap '' PIPE
  exec {connection}<>"/dev/tcp/${probe_address}/${listen_port}" || return 0
  printf 'GET /_ping HTTP/1.1\r\nHost: docker\r\nConnection: close\r\n\r\n' \
    >&"${connection}" || true
  timeout 10 cat <&"${connection}" || true
} 2>/dev/null

verify_plain_http() {
  local answer problem=''
  asked="GET /_ping in plain text to ${probe_address}:${listen_port}"
  answer=$(ask_in_plain_text)
  [[ ${answer} == *'HTTP request to an HTTPS server'* ]] ||
    problem="expected HTTP 400, got: ${answer:-no answer}"
  judge TLS-8 "refused: plain HTTP on port ${listen_port}" "${problem}" \
    "${answer}" 'run 20-configure-daemon.sh; dockerd must run with --tlsverify'
}

can_connect() { # can_connect ADDRESS PORT
  (exec {connection}<>"/dev/tcp/$1/$2")
} 2>/dev/null

# Refused connections, beside one to the TLS port that is accepted.
verify_plain_port() {
  local address problem=''
  asked="connect to ${probe_address}, 127.0.0.1 and ::1, port 2375, and to"
  asked+=" ${probe_address}, port ${listen_port}"
  can_connect "${probe_address}" "${listen_port}" ||
    problem="port ${listen_port} cannot be reached either: this shows nothing"
  for address in "${probe_address}" 127.0.0.1 ::1; do
    if can_connect "${address}" 2375; then
      problem="something listens on ${address}, port 2375"
    fi
  done
  judge TLS-9 'port 2375 (plain text) is closed' "${problem}" \
    "2375 refused, ${listen_port} connected" \
    'find what listens on port 2375 and stop it'
}

main() {
  parse_options "$@"
  need_openssl
  ((EUID == 0)) || die 2 'this needs root: run it with sudo'
  if [[ ${verb} == undo ]]; then exit 0; fi
  key=${tls_directory}/${key_file}
  certificate=${tls_directory}/${certificate_file}
  ca=${tls_directory}/${ca_certificate_file}
  for file in "${key}" "${certificate}" "${ca}"; do
    if [[ ! -e ${file} ]]; then
      [[ ${verb} != check ]] || exit 0
      die 2 "${file} is not there: run 20-configure-daemon.sh first"
    fi
  done
  if [[ ${verb} == check ]]; then exit 0; fi
  scratch=$(mktemp -d)
  trap 'rm -rf -- "${scratch}"' EXIT
  make_strangers
  report_pair "${certificate}" "${key}" "${ca}" sslserver
  verify_names
  verify_files
  verify_flags
  verify_good_client
  verify_refusals
  verify_old_tls
  verify_plain_http
  verify_plain_port
  finish_report
}

main "$@"
