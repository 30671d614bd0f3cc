#!/usr/bin/env bash
# Verifies one Docker host: its files, its daemon, and who gets an answer from
# it. Shown by handshakes, each refusal beside a client that is answered.
#
# Reads:      /etc/docker/tls/: ca-public.pem, certificate.pem, server-key.pem;
#             /etc/systemd/system/docker.service.d/override.conf;
#             DIR/probe-image.tar; DIR/hosts/localhost/ca-public.pem;
#             DIR/ca/ca-public.pem; DIR/clients/client/: client-key.pem,
#             client-certificate.pem
# Writes:     /run/dockseal.lock; FILE (--junit)
# Temporary:  /run/dockseal-probe.RANDOM/; /tmp/RANDOM/; throwaway containers,
#             networks and an image
# Restarts:   nothing
# Needs root: yes
# Undo:       nothing to undo: it is read-only
# Options:    --dir DIR (~/docker-tls)  --json  --junit FILE
#             --no-containers  --yes  --check
#             --undo [--remove-keys]  --help
# Status:     0 every control holds, 2 wrong use, 4 a control does not hold
case ${BASH_VERSION:-} in
  '')
    printf 'error: this script needs bash; run: bash %s\n' "$0" >&2
    exit 2
    ;;
  *) ;;
esac
# A clean start: the script runs again with nothing of the caller's environment
# but what is named here. exec keeps the process, so that its number tells the
# second start from the first; in POSIX mode it is no exported function. A
# proxy's user and password stay behind: everybody can see arguments.
if [[ ${clean_start:-} != "$$" ]]; then
  POSIXLY_CORRECT=1
  set +k
  http_proxy=${http_proxy:-} HTTP_PROXY=${HTTP_PROXY:-}
  https_proxy=${https_proxy:-} HTTPS_PROXY=${HTTPS_PROXY:-}
  exec /usr/bin/env -i clean_start="$$" HOME="${HOME:-}" \
    DOCKER_HOST="${DOCKER_HOST:-}" DOCKER_CONTEXT="${DOCKER_CONTEXT:-}" \
    DOCKER_TLS="${DOCKER_TLS:-}" DOCKER_TLS_VERIFY="${DOCKER_TLS_VERIFY:-}" \
    DOCKER_CERT_PATH="${DOCKER_CERT_PATH:-}" \
    DOCKER_CONFIG="${DOCKER_CONFIG:-}" \
    DOCKER_API_VERSION="${DOCKER_API_VERSION:-}" \
    http_proxy="${http_proxy##*@}" HTTP_PROXY="${HTTP_PROXY##*@}" \
    https_proxy="${https_proxy##*@}" HTTPS_PROXY="${HTTPS_PROXY##*@}" \
    no_proxy="${no_proxy:-}" NO_PROXY="${NO_PROXY:-}" \
    /bin/bash -p -- "${BASH_SOURCE[0]}" "$@"
fi
unset clean_start
if ((BASH_VERSINFO[0] * 100 + BASH_VERSINFO[1] < 404)); then
  printf 'error: bash 4.4 or newer is needed, found %s\n' "${BASH_VERSION}" >&2
  exit 2
fi
set -Eeuo pipefail
shopt -s inherit_errexit
umask 077
ulimit -c 0
# Fixed, so that nobody's environment decides which programs run, which
# certificates openssl trusts and which of its settings are the machine's own,
# or which daemon docker talks to.
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export LC_ALL=C SSL_CERT_FILE=/dev/null SSL_CERT_DIR=/dev/null
export OPENSSL_CONF=/dev/null
# Kept for the scripts that judge them.
caller_variables=()
for variable in DOCKER_{HOST,CONTEXT,TLS,TLS_VERIFY,CERT_PATH} \
  DOCKER_{CONFIG,API_VERSION} {http,https,no}_proxy {HTTP,HTTPS,NO}_PROXY; do
  if [[ -n ${!variable} ]]; then
    caller_variables+=("${variable}=${!variable}")
  fi
  unset -v "${variable}"
done
readonly -a caller_variables

readonly script='hosts/localhost/90-verify.sh'
# mutual: TLS on both sides; server-only: without client certificates.
readonly daemon_mode='mutual'
readonly -a names=(
  'localhost'
  '127.0.0.1'
)
readonly listen='127.0.0.1:2376'
readonly listen_port=2376
# The address in hexadecimal, in network byte order, as the kernel lists it.
readonly listen_hex='7F000001'
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
readonly warn_days=30
readonly userns_remap=''
readonly icc='true'
readonly probe_image=''
# Each row: name, icc, internal, subnet, IPv6 subnet (an empty subnet is one of
# docker's choice, an empty IPv6 subnet is no IPv6).
readonly -a networks=(
  'isolated' 'false' 'false' '' ''
)

# ==== Below this line every site has the same bytes ==========================

# ---- Shared by every script -------------------------------------------------

verb=apply # apply, check or undo
dir=''     # working folder; docker-tls in the home folder without --dir
yes=0
remove_keys=0
renew=0
new_key=0
now=0    # 1: --now
stage='' # begin, switch or finish
passphrase_file=''
passphrase='' # of the CA key: in this variable alone, which is not exported
json=0
junit=''                     # the file for --junit
to=''                        # the file for --to
restore_from=''              # the file for --restore
containers=1                 # 0: --no-containers
leaves='nothing was changed' # the state to report when a command fails

# Names and logs may be a stranger's: bytes that a terminal would obey become
# blanks. Line ends stay.
plain_text() { # plain_text TEXT
  printf '%s' "${1//[^[:print:]$'\n']/ }"
}

die() { # die STATUS MESSAGE...
  printf 'error: %s: %s\n' "${script}" "$(plain_text "${*:2}")" >&2
  exit "$1"
}

note() { # note MESSAGE...
  printf '%s: %s\n' "${script}" "$(plain_text "$*")" >&2
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

# The home folder of the user who runs this: where the caller names none, that
# of passwd(5). Another user's would get files that are not theirs.
find_home() {
  if [[ -z ${HOME} ]]; then
    IFS=: read -r _ _ _ _ _ HOME _ < <(getent passwd "${EUID}") ||
      die 2 "user ${EUID} has no home folder; set HOME to one"
  fi
  [[ ! -e ${HOME} || -O ${HOME} ]] ||
    die 2 "HOME is ${HOME}, another user's folder; with sudo, give it -H too"
}

# What may not be looked at is not what is not there.
need_access() { # need_access FOLDER
  local path=$1
  while [[ ! -e ${path} && ${path} == /*/* ]]; do path=${path%/*}; done
  [[ ! -d ${path} || -x ${path} ]] ||
    die 2 "$(id -un) may not look into ${path}; run this as its owner does," \
      'with sudo where that is root, or give another --dir'
}

# setup.sh hands the passphrase over on a descriptor. It is read and closed
# here, before a program is started that would inherit it.
take_passphrase() { # take_passphrase FILE
  local descriptor
  passphrase_file=$1
  if [[ ! $1 =~ ^/dev/fd/([0-9]+)$ ]]; then return; fi
  descriptor=${BASH_REMATCH[1]}
  IFS= read -r passphrase <&"${descriptor}" || [[ -n ${passphrase} ]] ||
    die 2 "$1 holds no passphrase"
  exec {descriptor}<&-
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
      --no-containers) containers=0 ;;
      --renew) renew=1 ;;
      --new-key) new_key=1 ;;
      --now) now=1 ;;
      --begin | --switch | --finish)
        [[ -z ${stage} ]] || die 2 'give one of --begin, --switch and --finish'
        stage=${option#--}
        ;;
      --help)
        print_help
        exit 0
        ;;
      --dir | --passphrase-file | --junit | --to | --restore)
        [[ -n ${1:-} ]] || die 2 "${option} needs a value"
        case ${option} in
          --dir) dir=$1 ;;
          --junit) junit=$1 ;;
          --to) to=$1 ;;
          --restore) restore_from=$1 ;;
          *) take_passphrase "$1" ;;
        esac
        shift
        ;;
      *) die 2 "option ${option} is not handled" ;;
    esac
  done
  ((! remove_keys)) || [[ ${verb} == undo ]] ||
    die 2 '--remove-keys goes with --undo'
  ((! new_key || renew)) || die 2 '--new-key goes with --renew'
  ((! renew)) || [[ ${verb} != undo ]] ||
    die 2 '--renew does not go with --undo'
  find_home
  dir=$(realpath --canonicalize-missing -- "${dir:-${HOME}/docker-tls}")
  need_access "${dir}"
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
  public_key=$(openssl pkey -in "$2" -passin pass: -pubout 2>/dev/null) ||
    return 1
  [[ $(public_key_of "$1") == "${public_key}" ]]
}

# Prints why openssl does not accept a certificate, or nothing. A date is told
# beside this machine's clock: either of them may be the one that is wrong.
why_not_valid() { # why_not_valid CERTIFICATE CA PURPOSE
  local text file=$1
  if text=$(openssl verify -x509_strict -purpose "$3" -CAfile "$2" "$1" \
    2>&1); then
    return
  fi
  [[ ${text} == *' at 0 depth '* ]] || file=$2
  text=${text#*lookup: }
  text=${text%%$'\n'*}
  case ${text} in
    *'not yet valid')
      text+=": it begins $(date_of startdate "${file}"), and the clock here"
      text+=" says $(date --utc '+%F %T') UTC; set the clock, or wait"
      ;;
    *'has expired')
      text+=": it ended $(date_of enddate "${file}"), and the clock here says"
      text+=" $(date --utc '+%F %T') UTC; renew it, or set the clock"
      ;;
    *) ;;
  esac
  printf '%s\n' "${text}"
}

date_of() { # date_of startdate|enddate CERTIFICATE
  local date
  date=$(openssl x509 -in "$2" -noout "-$1")
  date --utc --date "${date#*=}" '+%F %T UTC'
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

# Prints the certificate that a server shows, or nothing.
certificate_shown() { # certificate_shown ADDRESS PORT NAME
  local address=$1
  local -a name_options
  if [[ ${address} == *:* ]]; then address="[${address}]"; fi
  expect_name "$3"
  timeout 10 openssl s_client -connect "${address}:$2" "${name_options[@]}" \
    </dev/null 2>/dev/null | openssl x509 2>/dev/null || true
}

# Prints the names of the certificate that a server shows, as Go lists them.
names_shown() { # names_shown ADDRESS PORT NAME
  local text
  text=$(certificate_shown "$@" |
    openssl x509 -noout -ext subjectAltName 2>/dev/null) || true
  text=${text#*$'\n'}
  text=${text//DNS:/}
  text=${text//IP Address:/}
  printf '%s\n' "${text#"${text%%[![:space:]]*}"}"
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
  if [[ ${answer} =~ 'verify error'.*mismatch ]]; then
    printf 'x509: certificate is valid for %s, not %s\n' \
      "$(names_shown "$1" "$2" "$3")" "$3"
  fi
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
    [[ $1 =~ ${begins} ]] || return 0
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

# Runs a command in the background and ends it after SECONDS: a connection waits
# for minutes where the queue of who listens is full.
run_for() { # run_for SECONDS COMMAND [ARGUMENT]...
  local pid
  "${@:2}" &
  pid=$!
  timeout "$1" tail --pid="${pid}" --sleep-interval=0.05 --follow /dev/null ||
    kill "${pid}" 2>/dev/null || true
  wait "${pid}" 2>/dev/null
}

# A dockerd with TLS hangs up as soon as it sees no handshake: writing on must
# not end the script.
send_plain_request() { # send_plain_request PATH
  local connection
  trap '' PIPE
  exec {connection}<>"/dev/tcp/${probe_address}/${listen_port}"
  printf 'GET %s HTTP/1.1\r\nHost: docker\r\nConnection: close\r\n\r\n' "$1" \
    1>&"${connection}" || true
  timeout 5 head --bytes=16384 <&"${connection}" | tr -d '\0' || true
}

# Asks in plain text and prints what comes back, its first 16 KiB.
ask_in_plain_text() { # ask_in_plain_text PATH
  run_for 10 send_plain_request "$1" 2>/dev/null || true
}

is_good_client() { # is_good_client FOLDER
  local certificate=$1/${client_certificate_file}
  [[ -z $(why_not_valid "${certificate}" "${ca}" sslclient) ]] &&
    has_same_key "${certificate}" "$1/${client_key_file}"
}

# Prints the folder of a client whose key and certificate are on this machine:
# of one whose certificate is valid, where there is one.
find_client() {
  local folder found=''
  for folder in "${client_folders[@]}"; do
    folder=${dir}/${folder}
    if [[ -f ${folder}/${client_key_file} &&
      -f ${folder}/${client_certificate_file} &&
      -r ${folder}/${client_key_file} &&
      -r ${folder}/${client_certificate_file} ]]; then
      if is_good_client "${folder}"; then
        printf '%s\n' "${folder}"
        return
      fi
      found=${found:-${folder}}
    fi
  done
  if [[ -n ${found} ]]; then printf '%s\n' "${found}"; fi
}

# D16, with absolute paths: under systemd the working directory is /.
flags=(
  "--tlscert=${tls_directory}/${certificate_file}"
  "--tlskey=${tls_directory}/${key_file}"
)
case ${daemon_mode} in
  mutual)
    flags=(
      --tlsverify
      "--tlscacert=${tls_directory}/${ca_certificate_file}"
      "${flags[@]}"
    )
    ;;
  # D19: with certificate and key, =false is TLS that asks clients for none.
  server-only) flags=(--tlsverify=false "${flags[@]}") ;;
  *) die 2 "unknown mode ${daemon_mode}" ;;
esac

# ---- The docker daemon on this machine --------------------------------------

if [[ ${icc} == false ]]; then flags+=(--icc=false); fi
# D22: sudo dockerd --userns-remap=default &
if [[ -n ${userns_remap} ]]; then
  flags+=("--userns-remap=${userns_remap}")
fi
readonly -a flags

is_running_with_flags() {
  local arguments flag
  arguments=$'\n'$(running_arguments)$'\n'
  for flag in "tcp://${listen}" "${flags[@]}"; do
    [[ ${arguments} == *$'\n'"${flag}"$'\n'* ]] || return 1
  done
}

# Prints where dockerd was told to listen besides the site's places: a file or a
# variable that is read only at its start may say so.
other_listeners() {
  local word last='' places='' socket=' unix:///var/run/docker.sock '
  while IFS= read -r word; do
    case ${last} in
      -H | --host) places+=" ${word}" ;;
      *)
        case ${word} in
          --host=*) places+=" ${word#*=}" ;;
          -H?*) places+=" ${word#-H}" ;;
          *) ;;
        esac
        ;;
    esac
    last=${word}
  done < <(running_arguments)
  places+=' '
  places=${places/"${socket}"/ }
  places=${places/" tcp://${listen} "/ }
  printf '%s\n' "${places}"
}

# ---- Subordinate ids: what containers get in place of the host's ------------

# Prints the user whose ranges dockerd takes; dockremap it makes itself.
remap_user() {
  if [[ ${userns_remap} == default ]]; then
    printf 'dockremap\n'
  else
    printf '%s\n' "${userns_remap}"
  fi
}

has_user() { # has_user NAME
  id -u -- "$1" &>/dev/null
}

# Sets owner, first and last from a line; false for what is no range.
is_range() { # is_range LINE
  [[ $1 =~ ^([^:]+):([0-9]+):([1-9][0-9]*)$ ]] || return 1
  owner=${BASH_REMATCH[1]}
  first=${BASH_REMATCH[2]}
  last=$((first + BASH_REMATCH[3] - 1))
}

# Sets own and others to the lines of a file that are USER's, by name or number,
# and to all other users'.
read_ranges() { # read_ranges FILE USER
  local line uid
  own=()
  others=()
  uid=$(id -u -- "$2" 2>/dev/null) || uid=$2
  while IFS= read -r line || [[ -n ${line} ]]; do
    is_range "${line}" || continue
    if [[ ${owner} == "$2" || ${owner} == "${uid}" ]]; then
      own+=("${line}")
    else
      others+=("${line}")
    fi
  done < <(cat -- "$1" 2>/dev/null || true)
}

has_range() { # has_range FILE USER
  read_ranges "$1" "$2"
  ((${#own[@]}))
}

# ---- What is wrong with the ids of a user -----------------------------------

# Each of these reads own and others, as read_ranges sets them.

# Prints a line of the user and another user's with the same ids in it. Who has
# ids in common can reach the files of the other's containers.
shared_range() {
  local mine other own_first own_last
  for mine in "${own[@]}"; do
    is_range "${mine}"
    own_first=${first} own_last=${last}
    for other in "${others[@]}"; do
      is_range "${other}"
      ((first <= own_last && own_first <= last)) || continue
      printf 'these have ids in common: %s and %s' "${mine}" "${other}"
      return
    done
  done
}

# Prints a range that is too short: images have files of all users up to nobody,
# 65534.
short_range() {
  local mine count=0
  for mine in "${own[@]}"; do count=$((count + ${mine##*:})); done
  if ((count && count < 65536)); then
    printf '%s has %d ids, and containers need 65536' "${own[*]}" "${count}"
  fi
}

# Prints the names and ids of this machine's accounts: users for /etc/subuid;
# groups for /etc/subgid, and those that have no name but a user's.
host_ids() { # host_ids FILE
  if [[ $1 == /etc/subuid ]]; then
    getent passwd | cut -d : -f 1,3
  else
    getent group | cut -d : -f 1,3
    getent passwd | cut -d : -f 1,4
  fi
}

# Prints an account whose id is a container's too: whoever has that id in a
# container has the account's files.
account_in_range() { # account_in_range FILE
  local ids name id mine
  # All of them first: who writes to a reader that is gone fails.
  ids=$(host_ids "$1")
  while IFS=: read -r name id; do
    [[ ${id} =~ ^[0-9]+$ ]] || continue
    for mine in "${own[@]}"; do
      is_range "${mine}"
      ((first <= id && id <= last)) || continue
      printf '%s holds %d, the id of the account %s' "${mine}" "${id}" "${name}"
      return
    done
  done <<<"${ids}"
}

# Prints what is wrong with the ranges in own, or nothing.
range_fault() { # range_fault FILE
  local fault
  fault=$(shared_range)
  if [[ -z ${fault} ]]; then fault=$(account_in_range "$1"); fi
  if [[ -z ${fault} ]]; then fault=$(short_range); fi
  printf '%s' "${fault}"
}

# ---- Containers that run, whether dockerd lists them or not -----------------

# Prints the ids of this machine's docker containers that run, by the processes
# that hold them. A dockerd in a container and a user's own one have namespaces
# of their own: theirs are not meant.
held_containers() {
  local folder name words
  for folder in /proc/[0-9]*; do
    { read -r name <"${folder}/comm"; } 2>/dev/null || continue
    [[ ${name} == containerd-shim ]] || continue
    [[ ${folder}/ns/pid -ef /proc/self/ns/pid ]] || continue
    [[ ${folder}/ns/user -ef /proc/self/ns/user ]] || continue
    words=$(tr '\0' ' ' <"${folder}/cmdline") || continue
    if [[ ${words} =~ ' -namespace moby'.*' -id '([0-9a-f]{64})' ' ]]; then
      printf '%s\n' "${BASH_REMATCH[1]}"
    fi
  done
}

# Prints those of them that dockerd does not list. With live-restore a change of
# its data folder leaves them running, as the user that they were started as.
lost_containers() {
  local listed id lost=''
  listed=$(docker -H unix:///var/run/docker.sock ps --all --quiet --no-trunc \
    2>/dev/null) || return 0
  for id in $(held_containers); do
    if [[ ${listed} != *"${id}"* ]]; then lost+=", ${id:0:12}"; fi
  done
  printf '%s' "${lost#, }"
}

# ---- Who listens where: the kernel's own tables -----------------------------

# The kernel lists addresses in groups of four octets, each group reversed.
reverse_octets() { # reverse_octets HEX
  local group text=''
  for ((group = 0; group < ${#1}; group += 8)); do
    text+=${1:group+6:2}${1:group+4:2}${1:group+2:2}${1:group:2}
  done
  printf '%s\n' "${text}"
}

# True for 0.0.0.0 and ::, which stand for every address.
is_any() { # is_any HEX
  [[ ! $1 =~ [^0] ]]
}

# Prints ADDRESS:PORT in hexadecimal and the inode of each listening socket.
listening_sockets() {
  local place state inode
  while read -r _ place _ state _ _ _ _ _ inode _; do
    [[ ${state} != 0A ]] || printf '%s %s\n' "${place}" "${inode}"
  done < <(cat /proc/net/tcp /proc/net/tcp6 2>/dev/null)
}

# Prints the inode and the path of each listening local socket; @ begins a name
# that is no file's.
listening_local_sockets() {
  local kind inode path
  while read -r _ _ _ kind _ _ inode path; do
    # __SO_ACCEPTCON of linux/net.h.
    [[ ${kind} != 00010000 ]] || printf '%s %s\n' "${inode}" "${path}"
  done < <(cat /proc/net/unix)
}

is_listen_address() { # is_listen_address HEX: the site's, as the kernel has it
  local own
  own=$(reverse_octets "${listen_hex}")
  [[ $1 == "${own}" ]] || { is_any "$1" && is_any "${own}"; }
}

# ---- Folders that nobody else can change ------------------------------------

# Prints why another user could change what is in a folder, or nothing.
why_unsafe() { # why_unsafe FOLDER
  local owner mode
  read -r owner mode < <(stat --dereference --format '%u %a' -- "$1")
  if ((owner != EUID && owner != 0)); then
    printf '%s belongs to another user; give another --dir\n' "$1"
  elif (((8#${mode} & 8#022) != 0)); then
    printf 'others can write to %s; run: chmod go-w %s\n' "$1" "$1"
  else
    why_replaceable "$1"
  fi
}

# Who can write to a folder above can put another one in its place, and who owns
# a link on the way can turn it; in a sticky folder only an entry's owner can.
why_replaceable() { # why_replaceable FOLDER
  local mode owner part user
  user=$(id -un)
  while read -r mode owner _ part; do
    if [[ ${owner} != root && ${owner} != "${user}" ]]; then
      printf '%s could replace %s: %s on its path is theirs\n' "${owner}" \
        "$1" "${part}"
    elif [[ ${mode} =~ ^d....w...[^tT]|^d.......w[^tT] ]]; then
      printf 'others could replace %s: they can write to %s on its path\n' \
        "$1" "${part}"
    else
      continue
    fi
    return
  done < <(namei --long -- "$1" | tail --lines=+2)
}

# Below DIR no link is followed: a folder that was carried here may hold one.
need_no_links() { # need_no_links PATH
  local path=${dir} part
  local -a parts
  IFS=/ read -r -a parts <<<"${1#"${dir}"/}"
  for part in "${parts[@]}"; do
    path+=/${part}
    [[ ! -L ${path} ]] ||
      die 2 "${path} is a link; put what it leads to in its place"
  done
}

need_safe() { # need_safe FOLDER
  local problem
  problem=$(why_unsafe "$1")
  [[ -z ${problem} ]] || die 2 "${problem}"
}

# What is made in a sticky folder, such as /tmp, is its owner's alone.
need_safe_parent() { # need_safe_parent FOLDER
  local parent=${1%/*}/ problem=''
  if [[ -d ${parent} ]]; then
    problem=$(why_replaceable "${parent}")
  elif [[ ${verb} != check ]]; then
    problem="there is no folder ${parent}; make it, or give another --dir"
  fi
  [[ -z ${problem} ]] || die 2 "${problem}"
}

# Stops where another user could change what is read here as root.
need_safe_folders() {
  local folder
  if [[ -d ${dir} ]]; then need_safe "${dir}"; fi
  for folder in "${script%/*}" "${client_folders[@]}"; do
    need_no_links "${dir}/${folder}"
    if [[ -d ${dir}/${folder} ]]; then need_safe "${dir}/${folder}"; fi
  done
}

# ---- JSON -------------------------------------------------------------------

json_string() { # json_string TEXT
  local text
  text=$(plain_text "$1")
  text=${text//\\/\\\\}
  text=${text//\"/\\\"}
  printf '"%s"' "${text//$'\n'/\\n}"
}

# ---- Controls: one line each, a table or --json -----------------------------

readonly benchmark='CIS Docker Benchmark v1.6.0'

failed=0
asked=''         # what was run for the control that is reported next
show_evidence=0  # 1: also of the controls that hold
has_items=0      # 1 once a control has an item of the benchmark
junit_cases=''   # what --junit writes at the end
junit_failures=0 # and how many of them are FAIL, SKIP, or any
junit_skips=0
junit_tests=0

xml_text() { # xml_text TEXT
  local text
  text=$(plain_text "$1")
  text=${text//'&'/'&amp;'}
  text=${text//'<'/'&lt;'}
  text=${text//'>'/'&gt;'}
  printf '%s' "${text//'"'/'&quot;'}"
}

report_as_json() { # report_as_json ID RESULT WHAT EVIDENCE REMEDY BENCHMARK
  printf '{"id":%s,"result":%s,"what":%s,' "$(json_string "$1")" \
    "$(json_string "$2")" "$(json_string "$3")"
  printf '"asked":%s,"evidence":%s,"remedy":%s,"benchmark":%s}\n' \
    "$(json_string "${asked}")" "$(json_string "$4")" "$(json_string "$5")" \
    "$(json_string "$6")"
}

report_as_text() { # report_as_text ID RESULT WHAT EVIDENCE REMEDY BENCHMARK
  local what evidence indent=$'\n                     '
  what=$(plain_text "$3")
  printf '%-8s %s  %s%s\n' "$1" "$2" "${what//$'\n'/ }" \
    "${6:+ [CIS ${6#"${benchmark}, "}]}"
  if [[ $2 != PASS ]] || ((show_evidence)); then
    evidence=$(plain_text "$4")
    printf '              found: %s\n' "${evidence//$'\n'/"${indent}"}"
  fi
  if [[ $2 == FAIL ]]; then
    printf '              do:    %s\n' "$(plain_text "$5")"
  fi
}

# The form that Jenkins, GitLab and others read.
add_junit_case() { # add_junit_case ID RESULT WHAT EVIDENCE REMEDY BENCHMARK
  local name
  name=$(xml_text "$1 $3${6:+ [${6}]}")
  junit_tests=$((junit_tests + 1))
  junit_cases+="  <testcase classname=\"${script}\" name=\"${name}\">"$'\n'
  case $2 in
    FAIL)
      junit_failures=$((junit_failures + 1))
      junit_cases+="    <failure message=\"$(xml_text "$4")\">"
      junit_cases+="$(xml_text "$5")</failure>"$'\n'
      ;;
    SKIP)
      junit_skips=$((junit_skips + 1))
      junit_cases+="    <skipped message=\"$(xml_text "$4")\"/>"$'\n'
      ;;
    *) ;;
  esac
  junit_cases+="    <system-out>$(xml_text "${asked}"$'\n'"$4")</system-out>"
  junit_cases+=$'\n  </testcase>\n'
}

# Made where nobody else can make its name first, then moved: a link that stands
# there is replaced, not followed.
write_junit() {
  local text
  text=$(mktemp)
  {
    printf '<?xml version="1.0" encoding="UTF-8"?>\n'
    printf '<testsuite name="%s" tests="%d" failures="%d" skipped="%d">\n' \
      "${script}" "${junit_tests}" "${junit_failures}" "${junit_skips}"
    printf '%s</testsuite>\n' "${junit_cases}"
  } >"${text}"
  mv -fT -- "${text}" "${junit}"
}

# Prints the result of a control. EVIDENCE is what came back, REMEDY what to
# do, CIS_ITEM its number in the benchmark, where it has one.
report() { # report ID RESULT WHAT EVIDENCE REMEDY [CIS_ITEM]
  local -a control=("${@:1:5}" "${6:+${benchmark}, ${6}}")
  if [[ $2 == FAIL ]]; then failed=1; fi
  if [[ -n ${control[5]} ]]; then has_items=1; fi
  if ((json)); then
    report_as_json "${control[@]}"
  else
    report_as_text "${control[@]}"
  fi
  if [[ -n ${junit} ]]; then add_junit_case "${control[@]}"; fi
  asked=''
}

# Reports PASS when there is no problem, FAIL with the problem otherwise.
judge() { # judge ID WHAT PROBLEM EVIDENCE REMEDY [CIS_ITEM]
  if [[ -z $3 ]]; then
    report "$1" PASS "$2" "$4" '' "${6:-}"
  else
    report "$1" FAIL "$2" "$3" "$5" "${6:-}"
  fi
}

finish_report() {
  if ((has_items && ! json)); then
    printf 'CIS items are those of the %s.\n' "${benchmark}"
  fi
  if [[ -n ${junit} ]]; then write_junit; fi
  if ((failed)); then exit 4; fi
  exit 0
}

# Before anything is judged: a report that cannot be written is none.
check_junit() {
  local folder problem
  if [[ -z ${junit} ]]; then return; fi
  if [[ -L ${junit} || (-e ${junit} && ! -f ${junit}) ]]; then
    die 2 \
      "--junit wants a file, and ${junit} is something else; give another"
  fi
  folder=$(realpath --no-symlinks --canonicalize-missing -- "${junit}")
  folder=${folder%/*}/
  [[ -d ${folder} ]] ||
    die 2 "there is no folder ${folder} for --junit; make it, or give another"
  problem=$(why_replaceable "${folder}")
  [[ -z ${problem} ]] ||
    die 2 "${problem}; give --junit a file in a folder of your own"
}

# ---- When a certificate is to be renewed ------------------------------------

# Prints the moments between which a certificate is valid, as seconds.
life_of() { # life_of CERTIFICATE
  local begins ends
  begins=$(openssl x509 -in "$1" -noout -startdate)
  ends=$(openssl x509 -in "$1" -noout -enddate)
  printf '%d %d\n' "$(date --date "${begins#*=}" '+%s')" \
    "$(date --date "${ends#*=}" '+%s')"
}

# Prints how many seconds before its end a certificate is to be renewed:
# warn_days, or the last third of a shorter life.
renewal_limit() { # renewal_limit BEGINS ENDS
  local limit=$((($2 - $1) / 3))
  if ((limit > warn_days * 86400)); then limit=$((warn_days * 86400)); fi
  printf '%d\n' "${limit}"
}

# Reports the three facts about a pair that need no daemon. ID is what the ids
# of these controls begin with: those of a host and of a client differ.
report_pair() { # report_pair ID CERTIFICATE KEY CA PURPOSE
  local problem=''
  asked="openssl verify -x509_strict -purpose $5 -CAfile $4 $2"
  judge "$1-1" 'the certificate is of the CA, strictly valid, for this use' \
    "$(why_not_valid "$2" "$4" "$5")" OK \
    'renew it: make a request and sign it again'
  asked="openssl x509 -in $2 -pubkey; openssl pkey -in $3 -pubout"
  has_same_key "$2" "$3" || problem="$3 has another public key than $2"
  judge "$1-2" 'the key belongs to the certificate' "${problem}" \
    'both public keys are the same' 'install the pair again, both from one run'
  report_days_left "$1-3" "$2"
}

# The same moment from which on 60-watch-expiry.sh and 60-check-expiry.sh warn.
report_days_left() { # report_days_left ID CERTIFICATE
  local begins ends left limit problem=''
  asked="openssl x509 -in $2 -noout -dates"
  read -r begins ends < <(life_of "$2")
  left=$((ends - $(date '+%s')))
  limit=$(renewal_limit "${begins}" "${ends}")
  if ((left <= limit)); then
    problem="it is time to renew it, $((limit / 86400)) days before its end"
  fi
  judge "$1" "the certificate ends in $((left / 86400)) days" \
    "${problem}" "$(date --utc --date "@${ends}" '+%F %T UTC')" \
    'renew it: make a request and sign it again'
}

# ---- Which CA certificates are to be trusted --------------------------------

# A bundle is a file of CA certificates (ca-public.pem). It holds
#   one CA, or
#   while the CA is rolled over: the old CA, the new one, and the announcement,
#   which is a certificate for the new CA's key that the old CA has signed
#   ("NewWithOld" of RFC 4210, 4.4). Nobody else can make one.
# and nothing else: no text, no other PEM block, no third CA.
#
# why_not_trusted BUNDLE INSTALLED [CERTIFICATE] prints why a bundle is refused,
#   or nothing. INSTALLED is the bundle that is trusted here now: of two CAs the
#   one that announces must be in it. Where nothing is trusted yet (INSTALLED is
#   empty, or not there) it must have signed CERTIFICATE, the party's own. With
#   BUNDLE itself as INSTALLED a bundle is judged alone, as a verification does.
#   One CA is never refused for being new: people compare its digest. Dates are
#   not judged: why_not_valid does that.
# ca_digests_of BUNDLE prints the sha256 of each CA, one a line, as people
#   compare them by voice. The announcement is no CA of its own.

readonly ca_constraints='X509v3BasicConstraints:criticalCA:TRUE,pathlen:0'
readonly ca_key_usage='X509v3KeyUsage:criticalCertificateSign,CRLSign'

# Reads a file as certificates, PEM text each, into the array certificates of
# its caller; false when openssl would not write the very same file.
read_certificates() { # read_certificates FILE; sets certificates
  local line text='' written
  certificates=()
  while IFS= read -r line || [[ -n ${line} ]]; do
    text+=${line}$'\n'
    if [[ ${line} == '-----END CERTIFICATE-----' ]]; then
      written=$(printf '%s' "${text}" | openssl x509 2>/dev/null) || return 1
      [[ ${written}$'\n' == "${text}" ]] || return 1
      certificates+=("${written}")
      text=''
    fi
  done < <(tr -d '\0' <"$1")
  ((${#certificates[@]} > 0)) &&
    cmp --quiet -- "$1" <(printf '%s\n' "${certificates[@]}")
}

# True when each certificate has the extensions of this product's CAs.
are_of_ca_profile() { # are_of_ca_profile PEM...
  local certificate text
  for certificate in "$@"; do
    text=$(openssl x509 -noout -ext basicConstraints,keyUsage \
      <<<"${certificate}" 2>/dev/null) || return 1
    [[ ${text//[[:space:]]/} == "${ca_constraints}${ca_key_usage}" ||
      ${text//[[:space:]]/} == "${ca_key_usage}${ca_constraints}" ]] ||
      return 1
  done
}

# True when CA has signed the certificate PEM; a CA has signed itself.
is_signed_by() { # is_signed_by PEM CA
  openssl verify -x509_strict -check_ss_sig -no_check_time \
    -CAfile <(printf '%s\n' "$2") <<<"$1" &>/dev/null
}

# Prints what an announcement has in common with the CA that it announces.
key_and_name_of() { # key_and_name_of PEM
  openssl x509 -noout -pubkey -subject <<<"$1"
}

# Prints the sha256 of a certificate in DER.
digest_of_pem() { # digest_of_pem PEM
  local digest
  digest=$(openssl x509 -outform DER <<<"$1" | sha256sum)
  printf '%s\n' "${digest%% *}"
}

# Sorts the certificates of a file into CAs and announcements.
sort_certificates() { # sort_certificates FILE; sets roots, announcements
  local certificate
  local -a certificates=()
  roots=()
  announcements=()
  read_certificates "$1" || return 1
  for certificate in "${certificates[@]}"; do
    if is_signed_by "${certificate}" "${certificate}"; then
      roots+=("${certificate}")
    else
      announcements+=("${certificate}")
    fi
  done
}

# Prints the CA that has announced the other one, or nothing.
announcer_of() { # announcer_of CA CA ANNOUNCEMENT
  local announced
  announced=$(key_and_name_of "$3")
  if [[ ${announced} == "$(key_and_name_of "$2")" ]] &&
    is_signed_by "$3" "$1"; then
    printf '%s\n' "$1"
  elif [[ ${announced} == "$(key_and_name_of "$1")" ]] &&
    is_signed_by "$3" "$2"; then
    printf '%s\n' "$2"
  fi
}

# Prints why two CAs are refused of which one has announced the other.
why_not_announced() { # why_not_announced ANNOUNCER INSTALLED CERTIFICATE
  local authority
  local -a roots=() announcements=()
  if [[ -f $2 ]]; then
    sort_certificates "$2" || roots=()
    for authority in "${roots[@]}"; do
      if [[ ${authority} == "$1" ]]; then return; fi
    done
  elif [[ -f $3 ]] && is_signed_by "$(cat -- "$3")" "$1"; then
    return
  fi
  printf 'it holds two CAs, and the one that announces the other is not'
  printf ' trusted here: sha256 %s\n' "$(digest_of_pem "$1")"
}

why_not_trusted() { # why_not_trusted BUNDLE INSTALLED [CERTIFICATE]
  local announcer
  local -a roots=() announcements=()
  if [[ ! -f $1 ]] ||
    (($(stat --dereference --format '%s' -- "$1") > 65536)); then
    printf 'it is not a file of 64 KiB at most\n'
  elif ! sort_certificates "$1"; then
    printf 'it holds something else than certificates as openssl writes them\n'
  elif ! are_of_ca_profile "${roots[@]}" "${announcements[@]}"; then
    printf 'it holds a certificate that is not of a CA of this kind\n'
  elif ((${#roots[@]} == 2 && ${#announcements[@]} == 1)); then
    announcer=$(announcer_of "${roots[@]}" "${announcements[@]}")
    if [[ -z ${announcer} ]]; then
      printf 'it holds two CAs, and neither has announced the other\n'
    elif [[ ! $1 -ef $2 ]]; then
      why_not_announced "${announcer}" "$2" "${3:-}"
    fi
  elif ((${#roots[@]} != 1 || ${#announcements[@]} != 0)); then
    printf 'it holds %d CAs and %d announcements; expected is one CA, or,' \
      "${#roots[@]}" "${#announcements[@]}"
    printf ' while the CA is rolled over, two and the announcement of one\n'
  fi
}

ca_digests_of() { # ca_digests_of BUNDLE
  local certificate
  local -a roots=() announcements=()
  sort_certificates "$1" || return 1
  for certificate in "${roots[@]}"; do
    digest_of_pem "${certificate}"
  done
}

# ---- Which CAs dockerd trusts -----------------------------------------------

readonly restart_dockerd='run: systemctl restart docker.service'

# Prints the file of the CAs that the running dockerd trusts, or nothing. Of two
# options the last one counts.
trusted_file() {
  local word before='' file=''
  while IFS= read -r word; do
    if [[ ${before} == --tlscacert ]]; then
      file=${word}
    elif [[ ${word} == --tlscacert=* ]]; then
      file=${word#*=}
    fi
    before=${word}
  done < <(running_arguments)
  printf '%s\n' "${file}"
}

# Prints the CAs of a file that are not in the site's own, where that is here:
# the host's, which the CA's machine gave it, or the CA's.
strange_authorities() { # strange_authorities FILE
  local own=${dir}/${script%/*}/${ca_certificate_file} known digest
  if [[ ! -f ${own} ]]; then own=${dir}/ca/${ca_certificate_file}; fi
  if [[ ! -f ${own} ]]; then return; fi
  known=$(ca_digests_of "${own}") || known=''
  while read -r digest; do
    if [[ $'\n'${known}$'\n' != *$'\n'"${digest}"$'\n'* ]]; then
      printf 'sha256 %s is not in %s; ' "${digest}" "${own}"
    fi
  done < <(ca_digests_of "$1")
}

# Prints when dockerd was started, in hundredths of a second since 1970: the
# kernel counts them from its boot, in field 22 of proc_pid_stat(5).
daemon_start() {
  local pid text now uptime
  local -a fields
  pid=$(daemon_property MainPID)
  text=$(cat -- "/proc/${pid}/stat")
  read -r -a fields <<<"${text##*) }"
  now=$(date '+%s%2N')
  read -r uptime _ </proc/uptime
  printf '%d\n' "$((now - 10#${uptime/./} + fields[19]))"
}

# Prints what changed after dockerd had read it, at its start. A time of change
# cannot be set back; the folder's and its link's are those of a rename.
unread_change() { # unread_change FILE
  local start changed path
  start=$(daemon_start)
  while read -r changed path; do
    if ((${changed/./} >= start)); then
      printf '%s has changed since dockerd started and read it; ' "${path}"
    fi
  done < <(
    stat --format '%.2Z %n' -- "${tls_directory}"
    stat --dereference --format '%.2Z %n' -- "${tls_directory}" "$1"
  )
}

verify_authorities() {
  local file digests='' problem remedy
  local what="every CA that dockerd trusts is the site's, or announced by it"
  if [[ ${daemon_mode} == server-only ]]; then
    report CERT-5 SKIP "${what}" \
      'mode server-only: no client certificate is asked for' ''
    return
  fi
  remedy='carry ca-public.pem from the CA again; run 20-configure-daemon.sh'
  file=$(trusted_file)
  asked="the sha256 of each certificate in ${file}, in DER; stat"
  if [[ ! -f ${file} ]]; then
    problem="dockerd trusts no file that is there: --tlscacert=${file}"
  else
    digests=$(ca_digests_of "${file}") || digests=unreadable
    problem=$(why_not_trusted "${file}" "${file}")
    if [[ -n ${problem} ]]; then
      problem="${file}: ${problem}; sha256 ${digests//$'\n'/, sha256 }"
    else
      problem=$(strange_authorities "${file}")
    fi
    if [[ -z ${problem} ]]; then
      problem=$(unread_change "${file}")
      remedy=${restart_dockerd}
    fi
  fi
  judge CERT-5 "${what}" "${problem%; }" \
    "sha256 ${digests//$'\n'/, sha256 }" "${remedy}"
}

# Prints who is in a group, and whose own group it is, one a line.
members_of() { # members_of GROUP
  local entry gid members user own
  entry=$(getent group "$1") || return 1
  IFS=: read -r _ _ gid members <<<"${entry}"
  printf '%s\n' "${members//,/$'\n'}"
  while IFS=: read -r user _ _ own _; do
    if [[ ${own} == "${gid}" ]]; then printf '%s\n' "${user}"; fi
  done < <(getent passwd)
}

# True when everybody in a group is in the expected one too.
is_narrower_group() { # is_narrower_group GROUP EXPECTED
  local user found expected
  found=$(members_of "$1") || return 1
  expected=$(members_of "$2") || return 1
  while read -r user; do
    if [[ -n ${user} && ${user} != root &&
      $'\n'${expected}$'\n' != *$'\n'"${user}"$'\n'* ]]; then
      return 1
    fi
  done <<<"${found}"
}

# Prints how a file is wider than its owner and mode allow, or nothing. Which
# group it is does not matter where it may do nothing or adds nobody.
file_problem() { # file_problem FILE OWNER:GROUP WIDEST_MODE
  local found owner group mode
  found=$(stat --dereference --format '%U:%G %a' -- "$1" 2>&1) || {
    printf '%s\n' "${found}"
    return
  }
  mode=$((8#${found##* }))
  # The group's bits are then what any user of the list may have.
  if (((mode & 8#070) != 0)) && [[ $(ls -ldL -- "$1") == ??????????+* ]]; then
    printf '%s has an access control list: getfacl shows it, setfacl -b' "$1"
    printf ' removes it\n'
    return
  fi
  owner=${found%%:*}
  group=${found#*:}
  group=${group% *}
  if (((mode & 8#070) == 0)) || [[ ${group} == root ]] ||
    is_narrower_group "${group}" "${2#*:}"; then
    group=${2#*:}
  fi
  if [[ ${owner}:${group} != "$2" ]] || (((mode & ~8#$3) != 0)); then
    printf '%s is %s, expected %s %s or less\n' "$1" "${found}" "$2" "$3"
  fi
}

judge_file() { # judge_file ID FILE OWNER:GROUP WIDEST_MODE [CIS_ITEM]
  asked="stat --format '%U:%G %a' $2"
  judge "$1" "$2 is $3 $4 or less" "$(file_problem "$2" "$3" "$4")" \
    "$(stat --dereference --format '%U:%G %a' -- "$2" 2>&1 || true)" \
    "chown $3 $2; chmod $4 $2" "${5:-}"
}

# ---- The daemon's own files and flags ---------------------------------------

# The widest modes that the CIS Docker Benchmark allows.
verify_daemon_files() {
  if [[ -e /etc/docker ]]; then
    judge_file FILE-4 /etc/docker root:root 755 '3.5 and 3.6'
  else
    report FILE-4 SKIP '/etc/docker is root:root 755 or less' \
      'there is no /etc/docker' '' '3.5 and 3.6'
  fi
  judge_file FILE-5 "${drop_in}" root:root 644 '3.1 and 3.2'
  judge_file FILE-6 "$(daemon_property FragmentPath)" root:root 644 \
    '3.1 and 3.2'
  judge_file FILE-7 /var/run/docker.sock root:docker 660 '3.15 and 3.16'
}

# What it was started with, and what the kernel says of where it listens: flags
# come from variables, from daemon.json and from socket units too.
verify_flags() { # verify_flags [CIS_ITEM]
  local problem='' places flag what="dockerd runs with -H tcp://${listen}"
  for flag in "${flags[@]}"; do what+=" ${flag%%=/*}"; done
  asked='tr "\0" "\n" </proc/MAINPID/cmdline; cat /proc/net/{tcp,tcp6,unix}'
  is_running_with_flags || problem='dockerd runs without them; '
  places=$(other_listeners)
  [[ ${places} == ' ' ]] || problem+="it was told to listen on${places}too; "
  problem+=$(listener_problem)
  judge DAEMON-1 "${what}, and listens nowhere else" "${problem%; }" \
    "$(running_arguments)" "${remove_listener}" "${1:-}"
}

# ---- Where dockerd listens --------------------------------------------------

remove_listener='run 20-configure-daemon.sh; take away every other -H, hosts,'
remove_listener+=' metrics-addr or ListenStream'
readonly remove_listener

# Prints a place in the kernel's tables as ADDRESS:PORT. getent knows the short
# form of an IPv6 address.
place_text() { # place_text HEX:PORT
  local hex text port=$((16#${1##*:}))
  hex=$(reverse_octets "${1%:*}")
  if ((${#hex} == 8)); then
    printf '%d.%d.%d.%d:%d\n' "0x${hex:0:2}" "0x${hex:2:2}" "0x${hex:4:2}" \
      "0x${hex:6:2}" "${port}"
    return
  fi
  printf -v text ':%s' "${hex:0:4}" "${hex:4:4}" "${hex:8:4}" "${hex:12:4}" \
    "${hex:16:4}" "${hex:20:4}" "${hex:24:4}" "${hex:28:4}"
  read -r text _ < <(getent ahostsv6 "${text#:}")
  printf '[%s]:%d\n' "${text}" "${port}"
}

# Prints what dockerd has open.
open_by_dockerd() {
  local pid
  pid=$(daemon_property MainPID)
  stat --format '%N' "/proc/${pid}"/fd/* 2>/dev/null || true
}

# Prints the places in the kernel's tables where dockerd listens.
places_of_dockerd() {
  local text place inode
  text=$(open_by_dockerd)
  while read -r place inode; do
    if [[ ${text} == *"socket:[${inode}]"* ]]; then
      printf '%s\n' "${place}"
    fi
  done < <(listening_sockets)
}

# True for what dockerd has besides: the socket unit's, and those of its
# plugins' metrics and of its networks.
is_own_local_socket() { # is_own_local_socket PATH
  [[ $1 == /run/docker.sock || $1 == /var/run/docker/metrics.sock ||
    $1 =~ ^/var/run/docker/libnetwork/[0-9a-f]{12}\.sock$ ]]
}

# Prints on which other local sockets dockerd listens. The API's is the positive
# control.
local_listener_problem() {
  local text inode path found=0
  text=$(open_by_dockerd)
  while read -r inode path; do
    if [[ ${text} != *"socket:[${inode}]"* ]]; then
      continue
    elif [[ ${path} == /var/run/docker.sock ]]; then
      found=1
    elif ! is_own_local_socket "${path}"; then
      printf 'it listens on %s too; ' "${path}"
    fi
  done < <(listening_local_sockets)
  if ((! found)); then
    printf 'it does not listen on /var/run/docker.sock; '
  fi
}

# Prints ADDRESS:PORT of each port that a running container publishes. Without
# its userland proxy dockerd itself holds these, and answers nobody there.
published_places() {
  local text place pattern='"HostIp":"([^"]*)","HostPort":"([0-9]+)"'
  local -a ids
  text=$(docker -H unix:///var/run/docker.sock ps --quiet 2>/dev/null) ||
    text=''
  if [[ -z ${text} ]]; then return; fi
  mapfile -t ids <<<"${text}"
  text=$(docker -H unix:///var/run/docker.sock inspect \
    --format '{{json .NetworkSettings.Ports}}' "${ids[@]}" 2>/dev/null) || true
  while [[ ${text} =~ ${pattern} ]]; do
    place=${BASH_REMATCH[1]}
    if [[ ${place} == *:* ]]; then place="[${place}]"; fi
    printf '%s:%s\n' "${place}" "${BASH_REMATCH[2]}"
    text=${text#*"${BASH_REMATCH[0]}"}
  done
}

# Prints where the socket units that start dockerd listen: systemd does so for
# it.
socket_unit_places() {
  local unit place
  local -a units
  read -r -a units < <(daemon_property TriggeredBy)
  for unit in "${units[@]}"; do
    if ! systemctl --quiet is-active "${unit}"; then continue; fi
    while read -r place _; do
      if [[ -n ${place} && ! ${place} =~ ^(/var)?/run/docker\.sock$ ]]; then
        printf '%s of %s\n' "${place}" "${unit}"
      fi
    done < <(systemctl show --property Listen --value "${unit}")
  done
}

# Prints where dockerd listens and the site does not say so, and the other way
# round. The site's own place is the positive control: it must be there.
listener_problem() {
  local place text port found=0 published
  printf -v port '%04X' "${listen_port}"
  published=$'\n'$(published_places)$'\n'
  while read -r place; do
    text=$(place_text "${place}")
    if [[ ${place##*:} == "${port}" ]] && is_listen_address "${place%:*}"; then
      found=1
    elif [[ ${published} != *$'\n'"${text}"$'\n'* ]]; then
      printf 'it listens on %s too; ' "${text}"
    fi
  done < <(places_of_dockerd)
  local_listener_problem
  while read -r place; do
    printf 'systemd listens for it on %s; ' "${place}"
  done < <(socket_unit_places)
  if ((! found)); then printf 'it does not listen on %s; ' "${listen}"; fi
}

# ---- User namespaces --------------------------------------------------------

# Prints what does not hold: the option, and the folder of the remapped ids.
remap_problem() { # remap_problem INFO
  local root=${1##*/} file id
  [[ $1 == *name=userns* ]] || printf 'no name=userns; '
  for file in /etc/subuid:"${root%.*}" /etc/subgid:"${root#*.}"; do
    id=${file#*:}
    read_ranges "${file%:*}" "$(remap_user)"
    [[ " ${own[*]} " == *:"${id}":* ]] ||
      printf 'the data folder is not of a range of %s in %s; ' \
        "$(remap_user)" "${file%:*}"
  done
}

verify_remap() {
  local what='dockerd uses user namespaces' info problem lost
  local remedy='run 20-configure-daemon.sh'
  if [[ -z ${userns_remap} ]]; then
    report USERNS-1 SKIP "${what}" 'the site has no userns_remap' '' 2.9
    return
  fi
  asked="docker info --format '{{.SecurityOptions}} {{.DockerRootDir}}'"
  info=$(docker -H unix:///var/run/docker.sock info \
    --format '{{.SecurityOptions}} {{.DockerRootDir}}' 2>&1) || true
  problem=$(remap_problem "${info}")
  lost=$(lost_containers)
  if [[ -n ${lost} ]]; then
    problem+="containers run that dockerd does not list: ${lost}"
    remedy+=' --undo, stop them (docker stop), and run it again'
  fi
  judge USERNS-1 "${what} of $(remap_user)" "${problem%; }" "${info}" \
    "${remedy}" 2.9
}

verify_ranges() {
  local what='nobody else has the ids of containers' file problem=''
  local user evidence='' fault
  if [[ -z ${userns_remap} ]]; then
    report USERNS-2 SKIP "${what}" 'the site has no userns_remap' '' 2.9
    return
  fi
  asked='cat /etc/subuid /etc/subgid; getent passwd; getent group'
  user=$(remap_user)
  for file in /etc/subuid /etc/subgid; do
    has_range "${file}" "${user}" || problem+="no range of ${user} in ${file}; "
    fault=$(range_fault "${file}")
    [[ -z ${fault} ]] || problem+="in ${file} ${fault}; "
    evidence+="${file}: ${own[*]}; "
  done
  judge USERNS-2 "${what}" "${problem%; }" "${evidence%; }" \
    "give ${user} 65536 ids of its own in both files: usermod(8)" 2.9
}

# Prints the process whose open file has the lock. The kernel's own list names
# the flock command, which has ended.
holder_of() { # holder_of FILE
  local file pid info holder=''
  for file in /proc/[0-9]*/fd/*; do
    pid=${file#/proc/}
    pid=${pid%%/*}
    [[ ${file} -ef $1 ]] || continue
    info=$(cat -- "/proc/${pid}/fdinfo/${file##*/}" 2>/dev/null) || continue
    # Commands that the holder runs have the same open file, and larger numbers.
    if [[ ${info} == *lock:* ]] && ((pid < ${holder:-pid + 1})); then
      holder=${pid}
    fi
  done
  printf '%s\n' "${holder:-unknown}"
}

# One run at a time. The lock ends with the process, however it ends. Whoever
# can open a file can lock it: this one is its owner's alone.
lock() { # lock FILE
  local lock_fd
  # One that was carried here may be anything.
  [[ ! -L $1 && (! -e $1 || -f $1) ]] ||
    die 2 "$1 is not a regular file; remove it and run this again"
  exec {lock_fd}>>"$1"
  if [[ $(stat --format '%a' -- "$1") != 600 ]]; then chmod 0600 -- "$1"; fi
  if ! flock --nonblock "${lock_fd}"; then
    note "another run holds $1 (process $(holder_of "$1")); waiting for it"
    flock "${lock_fd}"
  fi
  # A run that was waited for may have removed the file, as --undo does.
  if [[ ! $1 -ef /proc/self/fd/${lock_fd} ]]; then lock "$1"; fi
}

# ---- Throwaway containers ---------------------------------------------------

readonly docker_socket=unix:///var/run/docker.sock
readonly probe_label=dockseal.probe
# A container ends by itself after about this time, whatever became of the
# script that started it; --rm then removes it.
readonly probe_seconds=120
readonly -a probe_commands=(
  arping cat grep hostname httpd id ip ls mkdir nc ping ps sh sleep touch
  traceroute
)

probe_image_id=''
probe_image_made=0 # 1 once this run has imported it
image_tar=''       # what it is imported from: a tar that is there,
busybox=''         # or one that is made of this busybox
no_image_reason='' # why there is no image
probe_folder=''    # for the image's files, and what containers say
probe_run=RUN      # the label's value
probe_count=0      # each container sleeps a second longer than the last one
left_over=0        # 1 once something of a killed run was found
show_commands=0    # 1: print what starts and removes something
probe_error=''     # what docker said when a container did not start
started=''         # the id of the container that start_probe started
started_name=''    # its name
started_pid=''     # its first process, as this machine numbers it

# Runs a command that changes files; --check prints it and no more.
run_here() { # run_here WORD...
  local words
  if [[ ${verb} == check ]]; then
    printf -v words ' %q' "$@"
    printf '%s\n' "${words# }"
    return
  fi
  "$@"
}

# Runs docker on this machine. timeout puts it into a process group of its own,
# which Ctrl-C does not reach: docker cut short would leave what the daemon goes
# on to make. For the same reason its output goes to a file and not to $(...).
run_docker() { # run_docker WORD...
  local words
  printf -v words ' %q' docker -H "${docker_socket}" "$@"
  if [[ ${verb} == check ]]; then
    printf '%s\n' "${words# }"
    return
  fi
  if ((show_commands)); then printf '+%s\n' "${words}" >&2; fi
  timeout 60 docker -H "${docker_socket}" "$@" \
    >"${probe_folder}/output" 2>"${probe_folder}/error"
}

ask_docker() { # ask_docker WORD...
  timeout 60 docker -H "${docker_socket}" "$@" 2>/dev/null
}

is_answering() {
  ask_docker version --format '{{.Server.Version}}' >/dev/null
}

# Whether dockerd was told to make no default bridge: "bridge": "none".
lacks_default_bridge() {
  local listed
  listed=$(ask_docker network ls --format '{{.Name}}') || return
  [[ $'\n'${listed}$'\n' != *$'\n'bridge$'\n'* ]]
}

# Runs a command in a container, for what it prints.
in_probe() { # in_probe ID COMMAND...
  timeout 30 docker -H "${docker_socket}" exec "$@"
}

# ---- What is left is removed ------------------------------------------------

# Without --all docker lists no container that has stopped, and docker 29 no
# image without a name.
list_labelled() { # list_labelled container|network|image LABEL
  local -a all=(--all)
  if [[ $1 == network ]]; then all=(); fi
  ask_docker "$1" ls "${all[@]}" --quiet --no-trunc --filter "label=$2"
}

# Removes containers, networks and images that carry LABEL, each by its id, and
# waits until they are gone: --rm may be at it already. Fails when some stay.
remove_labelled() { # remove_labelled LABEL
  local tries kind text
  local -a ids force=(--force --volumes)
  for ((tries = 0; tries < 50; tries++)); do
    for kind in container network image; do
      text=$(list_labelled "${kind}" "$1") || return
      if [[ -n ${text} ]]; then break; fi
    done
    [[ -n ${text} ]] || return 0
    left_over=1
    mapfile -t ids <<<"${text}"
    if [[ ${kind} != container ]]; then force=(); fi
    run_docker "${kind}" rm "${force[@]}" "${ids[@]}" || sleep 0.2
  done
  return 1
}

# For the EXIT trap. A second Ctrl-C does not stop it.
remove_probes() {
  trap '' HUP INT TERM
  [[ -n ${probe_folder} ]] || return 0
  remove_labelled "${probe_label}=${probe_run}" ||
    note "containers with the label ${probe_label}=${probe_run} may be left;" \
      'they end by themselves, and the next run removes what is left'
  rm -rf -- "${probe_folder}"
  probe_folder=''
}

# What a killed run left. One run at a time: nobody else is using it.
remove_stale_probes() {
  local folder
  left_over=0
  remove_labelled "${probe_label}" ||
    note "containers or images with the label ${probe_label} cannot be removed"
  for folder in /run/dockseal-probe.*; do
    [[ -d ${folder} && ${folder} != "${probe_folder}" ]] || continue
    rm -rf -- "${folder}"
    left_over=1
  done
}

# ---- The image --------------------------------------------------------------

# A root file system with busybox, and a link for each of its commands.
make_probe_files() { # make_probe_files BUSYBOX
  local name
  run_here mkdir -m 0755 -- "${probe_folder}/image" "${probe_folder}/image/bin"
  run_here install -m 0755 -T -- "$1" "${probe_folder}/image/bin/busybox"
  for name in "${probe_commands[@]}"; do
    run_here ln -s -- busybox "${probe_folder}/image/bin/${name}"
  done
  run_here tar --create --directory "${probe_folder}/image" \
    --file "${probe_folder}/image.tar" .
}

no_image() { # no_image REASON...
  no_image_reason=$*
  return 1
}

import_probe_image() { # import_probe_image TAR
  run_docker import --change "LABEL ${probe_label}=${probe_run}" "$1" || {
    no_image "docker import $1: $(<"${probe_folder}/error")"
    return
  }
  probe_image_made=1
  probe_image_id=IMAGE
  [[ ${verb} == check ]] || probe_image_id=$(<"${probe_folder}/output")
}

# A named image, else the tar that came with the scripts, else the busybox of
# this machine. Nothing is pulled.
choose_probe_image() {
  if [[ -n ${probe_image} ]]; then
    probe_image_id=$(ask_docker image inspect --format '{{.Id}}' \
      "${probe_image}") ||
      no_image "the image ${probe_image} is not on this host; load it (docker" \
        'load), or take probe_image out of the site file. Images from before' \
        'user namespaces were switched on have to be loaded again'
  elif [[ -e ${dir}/probe-image.tar ]]; then
    image_tar=${dir}/probe-image.tar
  elif ! busybox=$(type -P busybox); then
    no_image 'there is no image for the throwaway containers: install the' \
      'package busybox-static, or carry the files of a container with busybox' \
      "here (docker export) as ${dir}/probe-image.tar, or set probe_image in" \
      'the site file'
  fi
}

get_probe_image() {
  if [[ -n ${busybox} ]]; then
    make_probe_files "${busybox}"
    image_tar=${probe_folder}/image.tar
  fi
  [[ -z ${image_tar} ]] || import_probe_image "${image_tar}"
}

# Runs the image once, by its id. A busybox that is not static, or a tar made by
# docker save, does not start.
try_probe_image() {
  local text found
  text="id -u; for name in ${probe_commands[*]}; do"
  text+=" command -v \$name >/dev/null || echo \$name; done"
  run_docker run --rm --label "${probe_label}=${probe_run}" --network none \
    "${probe_image_id}" sh -c "${text}" || {
    no_image 'no command runs in the image for the throwaway containers:' \
      "$(<"${probe_folder}/error") It has to be a root file system with a" \
      'static busybox: install the package busybox-static, or make the tar' \
      'with docker export'
    return
  }
  [[ ${verb} != check ]] || return 0
  found=$(<"${probe_folder}/output")
  [[ ${found} == 0 ]] ||
    no_image 'in the image for the throwaway containers commands have to run' \
      "as user 0, and none may be missing; found user ${found//$'\n'/, no }"
}

# Takes the lock, removes what killed runs left, and sets probe_image_id; fails
# with no_image_reason where there is no image. Needs root.
find_probe_image() {
  if [[ -n ${no_image_reason} ]]; then return 1; fi
  if [[ -n ${probe_image_id} ]]; then return; fi
  if ! command -v docker >/dev/null; then
    no_image 'docker is not installed; run this on the Docker host'
    return
  elif ! is_answering; then
    no_image "dockerd does not answer on ${docker_socket}; start it:" \
      'systemctl start docker.service'
    return
  fi
  # Images are named by id, and built for the daemon's own machine.
  unset DOCKER_DEFAULT_PLATFORM DOCKER_CONTENT_TRUST
  choose_probe_image || return
  open_probe_folder
  get_probe_image && try_probe_image && return
  probe_image_id=''
  return 1
}

# Root alone can write to /run: no name there is somebody else's. Containers
# with another user's rights read below it.
open_probe_folder() {
  if [[ ${verb} == check ]]; then
    run_here mktemp -d /run/dockseal-probe.XXXXXXXX
    probe_folder=/run/dockseal-probe.${probe_run}
    run_here chmod -- 0755 "${probe_folder}"
    return
  fi
  lock /run/dockseal.lock
  trap 'exit 129' HUP
  trap 'exit 130' INT
  trap 'exit 143' TERM
  probe_folder=$(mktemp -d /run/dockseal-probe.XXXXXXXX)
  chmod -- 0755 "${probe_folder}"
  probe_run=${probe_folder##*.}
  remove_stale_probes
}

# ---- Containers -------------------------------------------------------------

# Starts a container of this name, or NAME-RUN where the name is taken. It
# sleeps; a COMMAND runs beside that. Fails with probe_error.
start_probe() { # start_probe NAME OPTION... -- [COMMAND...]
  local name=$1
  local -a options=() command
  shift
  while [[ $1 != -- ]]; do
    options+=("$1")
    shift
  done
  probe_count=$((probe_count + 1))
  command=(sleep "$((probe_seconds + probe_count))")
  if (($# > 1)); then
    command=(sh -c "\"\$@\" & ${command[*]} & wait \$!" sh "${@:2}")
  fi
  if ask_docker container inspect "${name}" >/dev/null; then
    name+=-${probe_run}
  fi
  run_docker run --detach --rm --label "${probe_label}=${probe_run}" \
    "${options[@]}" --name "${name}" "${probe_image_id}" "${command[@]}" || {
    probe_error=$(<"${probe_folder}/error")
    return 1
  }
  read_started "${name}"
}

# Sets started, started_name and started_pid; with --check there is a name only.
read_started() { # read_started NAME
  started=$1
  started_name=$1
  [[ ${verb} != check ]] || return 0
  started=$(<"${probe_folder}/output")
  started_pid=$(ask_docker inspect --format '{{.State.Pid}}' "${started}") || {
    probe_error='it ended at once'
    return 1
  }
}

# ---- What dockerd is told, on its command line and in its file --------------

daemon_property() { # daemon_property PROPERTY
  systemctl show --property "$1" --value docker.service
}

# Prints the command line of the running dockerd, one word a line.
running_arguments() {
  local pid
  pid=$(daemon_property MainPID)
  if [[ -r /proc/${pid}/cmdline ]] && ((pid)); then
    cat -- "/proc/${pid}/cmdline" 2>/dev/null | tr '\0' '\n' || true
  fi
}

# Prints the file that dockerd reads its options from.
options_file() {
  local word file=/etc/docker/daemon.json is_next=0
  while IFS= read -r word; do
    if ((is_next)); then file=${word}; fi
    is_next=0
    case ${word} in
      --config-file=*) file=${word#*=} ;;
      --config-file) is_next=1 ;;
      *) ;;
    esac
  done < <(running_arguments)
  printf '%s\n' "${file}"
}

# Prints where the file says that an option is true, or false, or nothing.
where_in_file() { # where_in_file OPTION true|false
  local file pattern="\"$1\"[[:space:]]*:[[:space:]]*$2"
  file=$(options_file)
  if [[ -e ${file} && $(<"${file}") =~ ${pattern} ]]; then
    printf '"%s": %s in %s\n' "$1" "$2" "${file}"
  fi
}

# The same of the command line and the file.
where_option_is() { # where_option_is OPTION true|false
  local words values='1|t|T|TRUE|true|True'
  if [[ $2 == false ]]; then values='0|f|F|FALSE|false|False'; fi
  words=$'\n'$(running_arguments)$'\n'
  if [[ ${words} =~ $'\n'--$1=(${values})$'\n' ]] ||
    [[ $2 == true && ${words} == *$'\n'"--$1"$'\n'* ]]; then
    printf "%s=%s on dockerd's command line\n" "--$1" "$2"
  else
    where_in_file "$1" "$2"
  fi
}

# ---- The networks of this host ----------------------------------------------

readonly network_columns=5
readonly icc_option=com.docker.network.bridge.enable_icc

# Sets the row_ variables to the row that starts at word FIRST of the table.
read_row() { # read_row FIRST
  row_name=${networks[$1]}
  row_icc=${networks[$1 + 1]}
  row_internal=${networks[$1 + 2]}
  row_subnet=${networks[$1 + 3]}
  row_ipv6_subnet=${networks[$1 + 4]}
}

# Sets row_id, which is empty where there is no such network. docker itself
# would also take the beginning of an id for a name.
find_network() { # find_network NAME
  local id name text
  row_id=''
  text=$(docker -H unix:///var/run/docker.sock network ls --no-trunc \
    --format '{{.ID}} {{.Name}}')
  while read -r id name; do
    if [[ ${name} == "$1" ]]; then row_id=${id}; fi
  done < <(printf '%s\n' "${text}")
}

# Prints what docker says of a network: an option and its value a line. As JSON,
# because docker 29 has words of its own for an address that is not there.
network_facts() { # network_facts ID
  docker -H unix:///var/run/docker.sock network inspect --format \
    'driver {{json .Driver}}
internal {{json .Internal}}
ipv6 {{json .EnableIPv6}}
script {{json (index .Labels "dockseal.script")}}
{{range .IPAM.Config}}subnet {{json .Subnet}}
ip-range {{json .IPRange}}
{{end}}{{range $option, $value := .Options}}{{$option}} {{json $value}}
{{end}}' "$1"
}

# Adds a line to differences, unless FOUND is what is EXPECTED.
expect_option() { # expect_option OPTION FOUND EXPECTED
  if [[ $2 != "$3" ]]; then
    differences+="${row_name}: $1: found ${2:-none}, expected ${3:-none}"$'\n'
  fi
}

# Sets properties: what the network row_id has. docker may add whether it does
# IPv4 and IPv6 at all.
read_options() {
  local option value
  properties=(["${icc_option}"]=true [subnet]='' [ipv6_subnet]='')
  while read -r option value; do
    value=${value#\"}
    value=${value%\"}
    case ${option} in
      subnet)
        if [[ ${value} == *:* ]]; then option=ipv6_subnet; fi
        properties[${option}]+="${properties[${option}]:+ }${value}"
        ;;
      ip-range)
        if [[ -n ${value} ]]; then properties[${option}]=${value}; fi
        ;;
      '' | com.docker.network.enable_ipv[46]) ;;
      *) properties[${option}]=${value} ;;
    esac
  done < <(network_facts "${row_id}")
}

# Adds to differences how the network row_id is not as its row says. docker
# chooses a subnet itself where the row has none. What else a network of this
# product has comes from dockerd's default-network-opts.
compare_network() {
  local option subnet ipv6=false
  local -A properties
  read_options
  subnet=${row_subnet:-${properties[subnet]}}
  if [[ -n ${row_ipv6_subnet} ]]; then ipv6=true; fi
  expect_option driver "${properties[driver]:-}" bridge
  expect_option icc "${properties[${icc_option}]}" "${row_icc}"
  expect_option internal "${properties[internal]:-}" "${row_internal}"
  expect_option ipv6 "${properties[ipv6]:-}" "${ipv6}"
  expect_option subnet "${properties[subnet]}" "${subnet}"
  expect_option ipv6_subnet "${properties[ipv6_subnet]}" "${row_ipv6_subnet}"
  if [[ -n ${properties[script]:-} ]]; then return; fi
  for option in "${!properties[@]}"; do
    case ${option} in
      driver | internal | ipv6 | script | subnet | ipv6_subnet) ;;
      "${icc_option}") ;;
      *) expect_option "${option}" "${properties[${option}]}" '' ;;
    esac
  done
}

# ---- What isolation depends on ----------------------------------------------

# Whether dockerd has this version or a newer one.
is_dockerd_from() { # is_dockerd_from MAJOR MINOR PATCH
  local text
  text=$(docker -H unix:///var/run/docker.sock version \
    --format '{{.Server.Version}}')
  [[ ${text} =~ ^([0-9]+)\.([0-9]+)\.([0-9]+) ]] &&
    ((BASH_REMATCH[1] * 1000000 + BASH_REMATCH[2] * 1000 + BASH_REMATCH[3] >= \
    $1 * 1000000 + $2 * 1000 + $3))
}

# Without br_netfilter the packets between two containers never meet iptables,
# and dockerd 20.10 does no more than warn. From 27.3.1 on dockerd loads it and
# sets this to 1 when it makes the first isolated network.
bridge_filter_problem() { # bridge_filter_problem iptables|ip6tables
  local file=/proc/sys/net/bridge/bridge-nf-call-$1 setting=missing
  if [[ -r ${file} ]]; then setting=$(<"${file}"); fi
  if [[ ${setting} != 1 ]]; then
    printf '%s is %s, expected 1\n' "${file}" "${setting}"
  fi
}

# Prints why dockerd does not filter the packets of an isolated network, or
# nothing. Before 27.0 it leaves IPv6 alone unless it is told to filter it.
filter_problem() { # filter_problem iptables|ip6tables
  local where
  where=$(where_option_is "$1" false)
  if [[ $1 == ip6tables && -z $(where_option_is ip6tables true) ]] &&
    ! is_dockerd_from 27 0 0; then
    printf '%s %s\n' 'this dockerd does not filter IPv6; set "ip6tables":' \
      "true and \"experimental\": true in $(options_file) and restart docker"
  elif [[ -n ${where} ]]; then
    printf 'dockerd has %s; take it out and restart docker\n' "${where}"
  fi
}

# ---- Networks: what arrives, counted by the receiver's kernel ---------------

# Each packet goes to a closed port (9, discard). What arrives is counted all
# the same, so no listener can be down.
readonly -a protocols=(TCP UDP ICMP)

ids=()              # two containers of one network, their first processes
pids=()             # and their addresses
addresses_IPv4=()   #
addresses_IPv6=()   #
counts=()           # what arrived there: TCP UDP ICMP host; and back: the same
ordinary=''         # the network that isolates nothing
ordinary_id=''      # a container of it
ordinary_problem='' # why it is not there
ordinary_IPv4=(0 0 0 0 0 0 0 0)
ordinary_IPv6=(0 0 0 0 0 0 0 0)

# Prints how many TCP segments, UDP datagrams and echo requests have arrived in
# the network namespace of a process.
arrived() { # arrived PID IPv4|IPv6
  local at key value
  local -a fields values
  local -A count
  while read -r -a fields && read -r -a values; do
    for at in "${!fields[@]}"; do
      count["${fields[0]%:}${fields[at]}"]=${values[at]}
    done
  done < <(cat -- "/proc/$1/net/snmp")
  if [[ $2 == IPv4 ]]; then
    printf '%d %d %d\n' "${count[TcpInSegs]}" \
      "$((count[UdpInDatagrams] + count[UdpNoPorts]))" \
      "${count[IcmpInEchos]}"
    return
  fi
  while read -r key value; do count["${key}"]=${value}; done \
    < <(cat -- "/proc/$1/net/snmp6")
  printf '%d %d %d\n' "${count[TcpInSegs]}" \
    "$((count[Udp6InDatagrams] + count[Udp6NoPorts]))" "${count[Icmp6InEchos]}"
}

# One packet of each protocol, at the same time. Each program waits a second for
# an answer.
send_packets() { # send_packets ID ADDRESS
  in_probe "$1" sh -c "nc -w 1 $2 9 </dev/null &
    traceroute -n -q 1 -m 1 -w 1 -p 9 $2 &
    ping -c 1 -W 1 $2 &
    wait" &>/dev/null || true
}

# Sends from one container of the pair to the other, and then from this machine:
# its packet is let through and arrives last. Adds four numbers to counts.
send() { # send FROM TO IPv4|IPv6
  local -n addresses=addresses_$3
  local pid=${pids[$2]} address=${addresses[$2]}
  local -a before after last
  read -r -a before < <(arrived "${pid}" "$3")
  send_packets "${ids[$1]}" "${address}"
  read -r -a after < <(arrived "${pid}" "$3")
  timeout 2 bash -c ": >/dev/tcp/${address}/9" 2>/dev/null || true
  read -r -a last < <(arrived "${pid}" "$3")
  counts+=("$((after[0] - before[0]))" "$((after[1] - before[1]))"
    "$((after[2] - before[2]))" "$((last[0] - after[0]))")
}

# Prints a container's IPv4 address, a blank, and its IPv6 address where it has
# one. As JSON: docker 29 has words of its own for one that is not there.
container_addresses() { # container_addresses ID
  local text
  text=$(ask_docker inspect --format '{{range .NetworkSettings.Networks -}}
    {{json .IPAddress}} {{json .GlobalIPv6Address}}{{end}}' "$1")
  printf '%s\n' "${text//\"/}"
}

# D28: docker run --network <network-name>, with an image; twice.
start_pair() { # start_pair NETWORK
  local text
  ids=() pids=() addresses_IPv4=() addresses_IPv6=()
  while ((${#ids[@]} < 2)); do
    start_probe "dockseal-${probe_run}-${probe_count}" --network "$1" -- ||
      return
    ids+=("${started}")
    pids+=("${started_pid}")
    text=$(container_addresses "${started}")
    addresses_IPv4+=("${text% *}")
    addresses_IPv6+=("${text#* }")
  done
}

# Sets counts for the pair, both ways. Where packets are to arrive it tries
# again: a container that has just started may not answer yet.
measure_pair() { # measure_pair IPv4|IPv6 HOW_OFTEN
  local tries
  for ((tries = 0; tries < $2; tries++)); do
    counts=()
    send 0 1 "$1"
    send 1 0 "$1"
    if [[ " ${counts[*]} " != *' 0 '* ]]; then return; fi
  done
}

# ---- The ordinary network: beside it, a loss means something ----------------

# Sets what the site asks for: any isolation, that of IPv6, internal networks.
read_wishes() {
  local at
  isolated=0 isolated_ipv6=0 internal=0
  if [[ ${icc} == false ]] && ! lacks_default_bridge; then isolated=1; fi
  for ((at = 0; at < ${#networks[@]}; at += network_columns)); do
    read_row "${at}"
    if [[ ${row_internal} == true ]]; then internal=1; fi
    if [[ ${row_icc} == true ]]; then continue; fi
    isolated=1
    if [[ -n ${row_ipv6_subnet} ]]; then isolated_ipv6=1; fi
  done
}

# Makes a network that is ordinary whatever dockerd's default-network-opts say.
# It is removed with the containers of this run.
make_ordinary() {
  local prefix
  local -a more=()
  ordinary=dockseal-${probe_run}
  if ((isolated_ipv6)); then
    printf -v prefix 'fd%02x:%x:%x' "$((RANDOM % 256))" "${RANDOM}" "${RANDOM}"
    more=(--ipv6 --subnet "${prefix}::/64")
  fi
  run_docker network create --driver bridge -o "${icc_option}=true" \
    --label "${probe_label}=${probe_run}" "${more[@]}" "${ordinary}" || {
    ordinary_problem="it could not be made: $(<"${probe_folder}/error")"
    return 1
  }
  start_pair "${ordinary}" || {
    ordinary_problem=${probe_error}
    return 1
  }
}

measure_ordinary() {
  ((isolated || internal)) || return 0
  make_ordinary || return 0
  ordinary_id=${ids[0]}
  measure_pair IPv4 3
  ordinary_IPv4=("${counts[@]}")
  ((isolated_ipv6)) || return 0
  measure_pair IPv6 3
  ordinary_IPv6=("${counts[@]}")
}

# ---- The controls of one network --------------------------------------------

# Prints what arrived there and back.
arrivals() { # arrivals ARRAY AT
  local -n numbers=$1
  printf '%d and %d arrived' "${numbers[$2]}" "${numbers[$2 + 4]}"
}

# Prints why a protocol is not isolated, or nothing.
why_not_isolated() { # why_not_isolated FAMILY AT
  local -n normal=ordinary_$1
  if ((counts[$2] || counts[$2 + 4])); then
    printf 'one packet sent each way: %s\n' "$(arrivals counts "$2")"
  elif ((! normal[$2] || ! normal[$2 + 4])); then
    printf 'this shows nothing: on the ordinary network %s, %s\n' \
      "${ordinary}" "${ordinary_problem:-packets are lost too}"
  elif ((! counts[3] || ! counts[7])); then
    printf "this shows nothing: the host's own packets are lost too\n"
  fi
}

judge_lost() { # judge_lost ID NETWORK FAMILY AT CIS_ITEM
  local evidence remedy='dockerd must not run with --iptables=false; remove the'
  evidence="one packet sent each way: $(arrivals counts "$4"); then one of the"
  evidence+=" host each: $(arrivals counts 3); the same on the ordinary network"
  evidence+=" ${ordinary}: $(arrivals "ordinary_$3" "$4")"
  remedy+=' network and run 30-create-networks.sh again'
  if [[ $2 == bridge ]]; then
    remedy='run 20-configure-daemon.sh; dockerd must run with --icc=false'
  elif [[ $3 == IPv6 ]]; then
    remedy='set "ip6tables": true (before docker 27.0, "experimental": true'
    remedy+=' too) in /etc/docker/daemon.json and restart docker'
  fi
  judge "$1" "$2: $3 ${protocols[$4]} between containers is lost, both ways" \
    "$(why_not_isolated "$3" "$4")" "${evidence}" "${remedy}" "$5"
}

judge_passes() { # judge_passes ID NETWORK FAMILY AT
  local problem='' evidence where=''
  local remedy='the site says icc: true; find what else drops packets on that'
  remedy+=' bridge'
  evidence="one packet sent each way: $(arrivals counts "$4")"
  ((counts[$4] && counts[$4 + 4])) || problem=${evidence}
  if [[ $2 == bridge ]]; then where=$(where_option_is icc false); fi
  if [[ -n ${where} ]]; then
    remedy="dockerd has ${where}; take it out and restart docker, or set icc:"
    remedy+=' false for this host in the site file'
  fi
  judge "$1" "$2: $3 ${protocols[$4]} between containers passes, both ways" \
    "${problem}" "${evidence}" "${remedy}"
}

# IPv4 has the controls 3 to 5, IPv6 6 to 8.
judge_family() { # judge_family NETWORK ICC IPv4|IPv6 CIS_ITEM
  local at tries=1 first=3
  if [[ $2 == true ]]; then tries=3; fi
  if [[ $3 == IPv6 ]]; then first=6; fi
  measure_pair "$3" "${tries}"
  for at in "${!protocols[@]}"; do
    asked="docker run --network $1 IMAGE, twice; ${protocols[at]} from one to"
    asked+=" the other, counted in its /proc/PID/net/snmp"
    if [[ $2 == true ]]; then
      judge_passes "ICC-$((first + at))" "$1" "$3" "${at}"
    else
      judge_lost "ICC-$((first + at))" "$1" "$3" "${at}" "$4"
    fi
  done
}

can_ping() { # can_ping ID ADDRESS
  in_probe "$1" ping -c 1 -W 1 "$2" &>/dev/null
}

# Prints the host's address on the network of the pair. docker does not always
# say it; a container knows it once the host has sent something.
host_address() {
  local address
  while read -r address _; do
    if [[ ${address} == *.* && ${address} != "${addresses_IPv4[1]}" ]]; then
      printf '%s\n' "${address}"
      return
    fi
  done <"/proc/${pids[0]}/net/arp"
}

judge_outside() { # judge_outside NETWORK
  local address problem=''
  address=$(host_address)
  asked="ping -c 1 -W 1 ${address}, in a container of $1"
  can_ping "${ids[0]}" "${address}" || problem='no answer'
  judge ICC-9 "$1: a container reaches the host" "${problem}" \
    "${address} answered" \
    'see which rule of the host drops it: iptables -S INPUT'
}

# Prints the router of this host, as the kernel lists it.
default_router() {
  local to router
  while read -r _ to router _; do
    if [[ ${to} == 00000000 && ${router} != 00000000 ]]; then
      printf '%d.%d.%d.%d\n' "0x${router:6:2}" "0x${router:4:2}" \
        "0x${router:2:2}" "0x${router:0:2}"
      return
    fi
  done </proc/net/route
}

judge_internal() { # judge_internal NETWORK
  local router problem='' what="$1: a container does not get past the host"
  router=$(default_router)
  if [[ -z ${router} || -z ${ordinary_id} ]] ||
    ! can_ping "${ordinary_id}" "${router}"; then
    report ICC-10 SKIP "${what}" \
      "no router answers a container of an ordinary network either" ''
    return
  fi
  asked="ping -c 1 -W 1 ${router}, in a container of $1 and of ${ordinary}"
  if can_ping "${ids[0]}" "${router}"; then problem="${router} answered"; fi
  judge ICC-10 "${what}" "${problem}" \
    "${router} answered a container of ${ordinary} only" \
    'remove the network and run 30-create-networks.sh again'
}

# What icc false does not do. ARP stands for all frames that are not IP.
judge_limits() { # judge_limits NETWORK
  local said problem='' what="$1: limits: the host reaches each container; raw"
  said=$(in_probe "${ids[0]}" arping -c 1 -w 2 -I eth0 \
    "${addresses_IPv4[1]}" 2>&1 || true)
  said=${said#*$'\n'}
  asked="TCP from the host; arping -c 1 ${addresses_IPv4[1]} in a container"
  ((counts[3] && counts[7])) || problem='the packets of the host were lost'
  judge ICC-11 "${what} frames pass unless NET_RAW is dropped" "${problem}" \
    "one packet of the host to each: $(arrivals counts 3); arping:\
 ${said%%$'\n'*}" 'see which rule of the host drops them: iptables -S OUTPUT'
}

# Reports the packets of IPv4 where no containers could be started.
report_unmeasured() { # report_unmeasured SKIP|FAIL WHERE REASON [REMEDY]
  local at
  for at in "${!protocols[@]}"; do
    report "ICC-$((3 + at))" "$1" \
      "$2IPv4 ${protocols[at]} between containers" "$3" "${4:-}"
  done
}

judge_network() { # judge_network NETWORK ICC INTERNAL CIS_ITEM
  start_pair "$1" || {
    report_unmeasured FAIL "$1: " "no container starts: ${probe_error}" \
      "docker run --network $1 must work"
    return
  }
  judge_family "$1" "$2" IPv4 "$4"
  if [[ -n ${addresses_IPv6[0]} ]]; then judge_family "$1" "$2" IPv6 "$4"; fi
  judge_outside "$1"
  if [[ $3 == true ]]; then judge_internal "$1"; fi
  if [[ $2 == false ]]; then judge_limits "$1"; fi
}

# ---- All networks -----------------------------------------------------------

verify_bridge_filter() {
  local problem
  ((isolated)) || return 0
  problem=$(bridge_filter_problem iptables)
  if ((isolated_ipv6)); then
    problem+=${problem:+; }$(bridge_filter_problem ip6tables)
  fi
  asked='cat /proc/sys/net/bridge/bridge-nf-call-iptables (IPv6: -ip6tables)'
  judge ICC-1 'br_netfilter hands bridged packets to iptables' \
    "${problem%; }" 'it is 1' \
    'modprobe br_netfilter; sysctl net.bridge.bridge-nf-call-iptables=1'
}

verify_options() {
  local differences=''
  find_network "${row_name}"
  asked="docker network inspect ${row_name}"
  if [[ -n ${row_id} ]]; then
    compare_network
  else
    differences='there is no such network'
  fi
  judge ICC-2 "${row_name}: the network has the options of the site" \
    "${differences%$'\n'}" "icc ${row_icc}, internal ${row_internal}" \
    'run 30-create-networks.sh; it says what to do about other options'
}

# Sets no_image_reason and fails where no container can be started.
can_start_probes() {
  if ((! containers)); then no_image_reason='left out by --no-containers'; fi
  find_probe_image
}

verify_default_bridge() {
  local cis_item=''
  if lacks_default_bridge; then
    report_unmeasured SKIP 'bridge: ' 'dockerd has no default bridge'
    return
  fi
  if [[ ${icc} == false ]]; then cis_item=2.2; fi
  judge_network bridge "${icc}" false "${cis_item}"
}

verify_networks() {
  local at
  read_wishes
  verify_bridge_filter
  if ! can_start_probes; then
    report_unmeasured SKIP '' "${no_image_reason}"
  else
    measure_ordinary
    verify_default_bridge
  fi
  for ((at = 0; at < ${#networks[@]}; at += network_columns)); do
    read_row "${at}"
    verify_options
    if [[ -n ${row_id} && -z ${no_image_reason} ]]; then
      judge_network "${row_name}" "${row_icc}" "${row_internal}" ''
    fi
  done
}

# ---- Namespaces: what is isolated, and what sharing does --------------------

# Each control and what it says, the document's commands beside it.
readonly -a pid_claims=(
  PID-1 'a container sees no process but its own'
  PID-2 'each container has a PID namespace of its own'
  PID-3 'with --pid=container: two containers see each other (D20)'
  PID-4 'with --pid=host a container sees every process'
)
readonly -a user_claims_off=(
  USER-1 'user namespaces are off, as the site says (D22)'
  USER-2 "root in a container is the host's root"
  USER-3 "root in a container writes to a folder of the host's root (D21)"
  USER-4 'with --userns=host it is the same'
)
readonly -a user_claims_on=(
  USER-1 'user namespaces are on, as the site says (D22)'
  USER-2 'root in a container is not root on the host'
  USER-3 "root in a container cannot write to the host's folder (D21)"
  USER-4 'with --userns=host it can'
)
readonly -a other_claims=(
  UTS-1 'a container is named after the first 12 characters of its id'
  UTS-2 "--hostname=customhost leaves the host's name alone (D23)"
  UTS-3 "with --uts=host a container has the host's name"
  IPC-1 "a container's queue and shared memory are its own (D24)"
  IPC-2 'with --ipc=container: two containers have the same ones'
  IPC-3 "with --ipc=host a container is in the host's IPC namespace"
  MNT-1 "a container's mount and file are its own (D25)"
  MNT-2 'each container has a root of its own'
  MNT-3 'a folder mounted into two containers is in both, in no third'
  NET-1 'each container has an interface and address of its own (D26)'
  NET-2 'three web servers on port 80 answer, each with its own page'
  NET-3 "the host's port 80 stays free for another service"
  NET-4 'with --network=container: two containers have one address'
)
claims=()    # those of this site
id_prefix='' # before each id: 40-show-namespaces.sh has ids of its own
# The six containers, by the part that they play.
declare -A member_id=() member_name=() member_pid=() member_sleep=()
declare -A member_answers=()
member_network=() # the option for a network of their own
questions=()
host_name=''     # before the first container
mark=''          # a name that nothing else has
alone=''         # what container1 sees before container3 joins it
port_was_open='' # a note, where the host's own service has port 80

choose_claims() {
  claims=("${pid_claims[@]}")
  if [[ -z ${userns_remap} ]]; then
    claims+=("${user_claims_off[@]}")
  else
    claims+=("${user_claims_on[@]}")
  fi
  claims+=("${other_claims[@]}")
}

claim_of() { # claim_of ID
  local number
  for ((number = 0; number < ${#claims[@]}; number += 2)); do
    if [[ ${claims[number]} == "$1" ]]; then
      printf '%s\n' "${claims[number + 1]}"
    fi
  done
}

# Reports the control with what was run, what is wrong or nothing, what came
# back, and what to do.
judge_claim() { # judge_claim ID ASKED PROBLEM EVIDENCE REMEDY [CIS_ITEM]
  asked=$2
  judge "${id_prefix}$1" "$(claim_of "$1")" "${3:+$3$'\n'$4}" "$4" "$5" "${6:-}"
}

# Where nothing can be shown.
report_all() { # report_all SKIP|FAIL REASON [REMEDY]
  local number
  for ((number = 0; number < ${#claims[@]}; number += 2)); do
    report "${id_prefix}${claims[number]}" "$1" "${claims[number + 1]}" "$2" \
      "${3:-}"
  done
}

# ---- The containers, the same six for all namespaces ------------------------

add_member() { # add_member PART NAME OPTION...
  start_probe "${@:2}" -- || {
    probe_error="the container $2 does not start: ${probe_error}"
    return 1
  }
  member_id[$1]=${started}
  member_name[$1]=${started_name}
  member_pid[$1]=${started_pid}
  member_sleep[$1]=$((probe_seconds + probe_count))
}

# Without a default bridge the containers get a network of their own.
choose_network() {
  local name=dockseal-members-${probe_run}
  lacks_default_bridge || return 0
  run_docker network create --label "${probe_label}=${probe_run}" "${name}"
  member_network=(--network "${name}")
}

# The documented -it wants a terminal; --detach leaves the container running.
# Fails with probe_error.
start_members() {
  local one folder=${probe_folder}
  choose_network || {
    probe_error="no network: $(<"${probe_folder}/error")"
    return 1
  }
  # SELinux would refuse to write for a reason of its own.
  local -a there=(--volume "${folder}/root:/there"
    --security-opt label=disable)
  add_member container1 container1 --ipc=shareable --tmpfs /mounted \
    --volume "${folder}/shared:/shared:ro" "${member_network[@]}" || return
  add_member container2 "container2-${probe_run}" "${there[@]}" \
    "${member_network[@]}" || return
  if [[ ${verb} != check ]]; then alone=$(processes_of container1); fi
  one=container:${member_name[container1]}
  # D20
  add_member container3 container3 "--pid=${one}" || return
  # D23
  add_member container4 container4 --hostname=customhost \
    "${member_network[@]}" || return
  add_member joined "joined-${probe_run}" "--ipc=${one}" "--network=${one}" \
    --volume "${folder}/shared:/shared:ro" || return
  # Where user namespaces are on, docker wants --userns=host beside the others.
  add_member sharing "sharing-${probe_run}" --userns=host --pid=host \
    --uts=host --ipc=host --network=host "${there[@]}"
}

make_folders() {
  run_here mkdir -m 0755 -- "${probe_folder}/root" "${probe_folder}/shared"
  run_here bash -c "echo 'shared file' >${probe_folder}/shared/file"
  run_here chmod -- 0644 "${probe_folder}/shared/file"
}

# Runs a command in a container for what it makes there. Whether it could is
# what the controls find out.
change_member() { # change_member PART COMMAND...
  run_docker exec "${member_name[$1]}" "${@:2}" || true
}

serve_page() { # serve_page PART WHERE
  change_member "$1" sh -c \
    "mkdir /www && echo page of $1 >/www/index.html && httpd -p $2 -h /www"
}

fill_members() {
  local part
  change_member container1 touch "/dev/mqueue/${mark}" "/dev/shm/${mark}" \
    "/mounted/${mark}" "/${mark}"
  for part in container1 container2 container4; do
    serve_page "${part}" 80
  done
  # Another service on the host's port 80.
  serve_page sharing 127.0.0.1:80
}

in_member() { # in_member PART COMMAND...
  in_probe "${member_id[$1]}" "${@:2}" 2>&1 || true
}

# Asks every container all questions at once: each start of a command in a
# container takes its time.
ask_members() {
  local part question text=''
  questions=(hostname 'id -u' 'cat /proc/self/uid_map' 'cat /shared/file'
    "ls /dev/mqueue/${mark}" "ls /dev/shm/${mark}" 'ip -o -4 addr show')
  for question in "${questions[@]}"; do
    text+="echo '\$ ${question}'; ${question}; "
  done
  for part in "${!member_id[@]}"; do
    member_answers[${part}]=$(in_member "${part}" sh -c "exec 2>&1; ${text}")
  done
}

# Prints what a container answered to one of the questions.
answer_of() { # answer_of PART QUESTION
  local line is_asked=0
  while IFS= read -r line; do
    if [[ ${line} == "\$ "* ]]; then
      is_asked=0
      [[ ${line} != "\$ $2" ]] || is_asked=1
    elif ((is_asked)); then
      printf '%s\n' "${line}"
    fi
  done <<<"${member_answers[$1]}"
}

# ---- What is compared -------------------------------------------------------

# Prints the number of a namespace; PART may be host, this machine.
namespace_of() { # namespace_of KIND PART
  stat --dereference --format '%i' -- "/proc/${member_pid[$2]}/ns/$1"
}

# Prints the numbers of a namespace, one line for each PART.
namespaces_of() { # namespaces_of KIND PART...
  local part
  for part in "${@:2}"; do
    printf '%s: %s:[%s]\n' "${part}" "$1" "$(namespace_of "$1" "${part}")"
  done
}

# Prints which of the parts share a namespace, or nothing.
sharing_problem() { # sharing_problem KIND PART...
  local part number
  local -A owner=()
  for part in "${@:2}"; do
    number=$(namespace_of "$1" "${part}")
    if [[ -n ${owner[${number}]:-} ]]; then
      printf '%s and %s share a namespace. ' "${owner[${number}]}" "${part}"
    fi
    owner[${number}]=${part}
  done
}

# Prints a problem when the two do not share a namespace.
apart_problem() { # apart_problem KIND PART PART
  [[ $(namespace_of "$1" "$2") == "$(namespace_of "$1" "$3")" ]] ||
    printf '%s and %s do not share a namespace. ' "$2" "$3"
}

# Prints a problem when TEXT has no WORD, or with no: when it has it.
word_problem() { # word_problem WHERE has|lacks TEXT WORD
  local found=lacks
  if [[ $3 == *"$4"* ]]; then found=has; fi
  [[ ${found} == "$2" ]] || printf '%s %s %s. ' "$1" "${found}" "$4"
}

# The same for a whole line of TEXT.
line_problem() { # line_problem WHERE has|lacks TEXT LINE
  local found=lacks
  if [[ $'\n'$3$'\n' == *$'\n'"$4"$'\n'* ]]; then found=has; fi
  [[ ${found} == "$2" ]] || printf '%s %s %s. ' "$1" "${found}" "$4"
}

# ---- PID --------------------------------------------------------------------

processes_of() { # processes_of PART
  in_member "$1" ps -o pid,args
}

# Prints TEXT's first lines.
shorten() { # shorten TEXT
  local -a lines
  mapfile -t lines <<<"$1"
  printf '%s\n' "${lines[@]:0:6}"
  if ((${#lines[@]} > 6)); then
    printf '(and %d more)\n' "$((${#lines[@]} - 6))"
  fi
}

# Prints the processes of a list that are none of the container's own.
strangers_in() { # strangers_in PART LIST
  local pid words
  while read -r pid words; do
    case ${words} in
      COMMAND | 'ps -o pid,args' | 'httpd -p 80 '*) ;;
      "sleep ${member_sleep[$1]}") ;;
      *) printf '%s %s\n' "${pid}" "${words}" ;;
    esac
  done <<<"$2"
}

verify_own_processes() {
  local strangers problem evidence part
  problem=$(word_problem container1 has "${alone}" \
    "sleep ${member_sleep[container1]}")
  strangers=$(strangers_in container1 "${alone}")
  if [[ -n ${strangers} ]]; then
    problem+="container1 sees others: $(shorten "${strangers}")"
  fi
  evidence="container1 sees:"$'\n'$(shorten "${alone}")
  for part in container1 container2; do
    evidence+=$'\n'"this host sees ${part} as process ${member_pid[${part}]}:"
    evidence+=" sleep ${member_sleep[${part}]}"
    problem+=$(host_problem "${part}")
  done
  judge_claim PID-1 'docker exec container1 ps -o pid,args' "${problem}" \
    "${evidence}" 'start the container without --pid=host'
}

# The positive control: the host does see the process.
host_problem() { # host_problem PART
  local words
  words=$(tr '\0' ' ' <"/proc/${member_pid[$1]}/cmdline") || true
  [[ ${words} == "sleep ${member_sleep[$1]} " ]] ||
    printf 'this host sees "%s" in place of the sleep of %s. ' "${words}" "$1"
}

# Both directions, and not container2's.
verify_shared_processes() {
  local part list problem='' evidence=''
  for part in container1 container3; do
    list=$(processes_of "${part}")
    evidence+="${part} sees:"$'\n'$(shorten "${list}")$'\n'
    problem+=$(word_problem "${part}" has "${list}" \
      "sleep ${member_sleep[container1]}")
    problem+=$(word_problem "${part}" has "${list}" \
      "sleep ${member_sleep[container3]}")
    problem+=$(word_problem "${part}" lacks "${list}" \
      "sleep ${member_sleep[container2]}")
  done
  problem+=$(apart_problem pid container1 container3)
  judge_claim PID-3 \
    "docker run --pid=container:${member_name[container1]}; ps -o pid,args" \
    "${problem}" "${evidence}$(namespaces_of pid container1 container3)" \
    'dockerd has to support --pid=container:; read its log'
}

# The list that shows no stranger above does show them where there are some.
verify_host_processes() {
  local list part problem='' seen line
  list=$(processes_of sharing)
  for part in container1 container2 sharing; do
    problem+=$(word_problem 'the list' has "${list}" \
      "sleep ${member_sleep[${part}]}")
  done
  problem+=$(apart_problem pid sharing host)
  seen="sharing sees $(wc -l <<<"${list}") lines, among them:"$'\n'
  while read -r line; do
    [[ ! ${line} =~ ^$$\ |sleep\ 12[0-9]$ ]] || seen+=${line}$'\n'
  done <<<"${list}"
  [[ ${seen} == *$'\n'"$$ "* ]] ||
    problem+="it does not see this script, process $$. "
  judge_claim PID-4 'docker run --pid=host; ps -o pid,args' "${problem}" \
    "${seen}$(namespaces_of pid sharing host)" \
    "read the log of dockerd; without this ${id_prefix}PID-1 shows nothing"
}

verify_pid() {
  verify_own_processes
  judge_claim PID-2 'stat --dereference /proc/PID/ns/pid' \
    "$(sharing_problem pid host container1 container2)" \
    "$(namespaces_of pid host container1 container2)" \
    'start the containers without --pid'
  verify_shared_processes
  verify_host_processes
}

# ---- User -------------------------------------------------------------------

# Prints a problem when a line of a map is no range of the user.
range_problem() { # range_problem MAP
  local first_inside start count user text own others
  user=$(remap_user)
  read_ranges /etc/subuid "${user}"
  text=" ${own[*]} "
  while read -r first_inside start count; do
    [[ ${text} == *":${start}:${count} "* ]] ||
      printf '%s %s %s is no range of %s in /etc/subuid. ' \
        "${first_inside}" "${start}" "${count}" "${user}"
  done <<<"$1"
}

# Prints a part's map of user ids, without the blanks of its columns.
map_of() { # map_of PART
  local first start count
  answer_of "$1" 'cat /proc/self/uid_map' | while read -r first start count; do
    printf '%s %s %s\n' "${first}" "${start}" "${count}"
  done
}

verify_map() {
  local map problem item='' remedy
  map=$(map_of container2)
  remedy='set userns_remap in the site file as the daemon runs, or run'
  remedy+=' 20-configure-daemon.sh'
  if [[ -z ${userns_remap} ]]; then
    problem=$(apart_problem user container2 host)
    map+=$'\n''root in a container is root on this host, and who gets out of'
    map+=$'\n''a container owns it; CIS 2.9 asks for userns_remap: default'
  else
    problem=$(sharing_problem user host container2)
    problem+=$(range_problem "${map}")
    item=2.9
  fi
  judge_claim USER-1 'docker exec container2 cat /proc/self/uid_map' \
    "${problem}" \
    "${map}"$'\n'"$(namespaces_of user host container2)" "${remedy}" \
    "${item}"
}

# The host's view of the owner of a container's first process.
verify_owner() {
  local owner problem='' start
  owner=$(stat --format '%u' -- "/proc/${member_pid[container2]}")
  read -r _ start _ < <(map_of container2)
  if [[ -z ${userns_remap} && ${owner} != 0 ]]; then
    problem="its owner is user ${owner}, expected 0. "
  elif [[ -n ${userns_remap} && ${owner} == 0 || ${owner} != "${start}" ]]; then
    problem="its owner is user ${owner}, expected the first one mapped. "
  fi
  judge_claim USER-2 "stat --format '%u' /proc/${member_pid[container2]}" \
    "${problem}" \
    "in container2: user $(answer_of container2 'id -u'); here: user ${owner}" \
    'run 20-configure-daemon.sh'
}

# D21: root in a container, and a folder of the host's that belongs to root.
# Prints what came of writing to it: wrote, or what was said.
write_there() { # write_there PART
  local said file=${probe_folder}/root/$1
  said=$(in_member "$1" touch "/there/$1")
  if [[ -e ${file} ]]; then
    printf 'wrote a file that belongs to user %s\n' \
      "$(stat --format '%u' -- "${file}")"
  else
    printf '%s\n' "${said:-no file, and nothing was said}"
  fi
}

verify_root_folder() {
  local wanted='wrote a file that belongs to user 0' came problem=''
  if [[ -n ${userns_remap} ]]; then wanted='Permission denied'; fi
  came=$(write_there container2)
  [[ ${came} == *"${wanted}"* ]] || problem="expected: ${wanted}. "
  judge_claim USER-3 'docker run --volume FOLDER:/there; touch /there/NAME' \
    "${problem}" "container2: ${came}; FOLDER is $(stat --format '%U %a' \
      -- "${probe_folder}/root") on this host" 'run 20-configure-daemon.sh'
  came=$(write_there sharing)
  problem=$(apart_problem user sharing host)
  [[ ${came} == *'wrote a file that belongs to user 0'* ]] ||
    problem+='expected that it writes. '
  judge_claim USER-4 'docker run --userns=host --volume FOLDER:/there; touch' \
    "${problem}" \
    "it ${came}"$'\n'"$(namespaces_of user sharing host)" \
    "read the log of dockerd; without this ${id_prefix}USER-3 shows nothing"
}

verify_user() {
  verify_map
  verify_owner
  verify_root_folder
}

# ---- UTS --------------------------------------------------------------------

verify_default_name() {
  local part name problem evidence=''
  problem=$(sharing_problem uts host container1 container2)
  for part in container1 container2; do
    name=$(answer_of "${part}" hostname)
    evidence+="${part} is ${name}, its id ${member_id[${part}]}"$'\n'
    [[ ${name} == "${member_id[${part}]:0:12}" ]] ||
      problem+="${part} is named ${name}. "
  done
  judge_claim UTS-1 'docker exec container1 hostname' "${problem}" \
    "${evidence}$(namespaces_of uts host container1 container2)" \
    'start the container without --uts=host and --hostname'
}

verify_custom_name() {
  local name now problem='' evidence
  name=$(answer_of container4 hostname)
  now=$(</proc/sys/kernel/hostname)
  [[ ${name} == customhost ]] || problem="container4 is named ${name}. "
  [[ ${now} == "${host_name}" ]] ||
    problem+="this host was ${host_name} before, and is ${now}. "
  problem+=$(sharing_problem uts host container4)
  evidence="container4 is ${name}; this host was ${host_name}, and is ${now}"
  judge_claim UTS-2 \
    'docker run --hostname=customhost --name container4; hostname' \
    "${problem}" "${evidence}"$'\n'"$(namespaces_of uts host container4)" \
    'read the log of dockerd'
}

verify_uts() {
  local name problem evidence
  verify_default_name
  verify_custom_name
  name=$(answer_of sharing hostname)
  problem=$(apart_problem uts sharing host)
  [[ ${name} == "${host_name}" ]] || problem+="it is named ${name}. "
  evidence="sharing is ${name}, this host is ${host_name}"$'\n'
  evidence+=$(namespaces_of uts sharing host)
  judge_claim UTS-3 'docker run --uts=host; hostname' "${problem}" \
    "${evidence}" \
    "read the log of dockerd; without this ${id_prefix}UTS-1 shows nothing"
}

# ---- IPC --------------------------------------------------------------------

# D24: a POSIX message queue and a shared memory object, by name.
objects_of() { # objects_of PART
  answer_of "$1" "ls /dev/mqueue/${mark}"
  answer_of "$1" "ls /dev/shm/${mark}"
}

# Prints a problem for each of the two objects that a part has or lacks.
objects_problem() { # objects_problem PART has|lacks LIST
  line_problem "$@" "/dev/mqueue/${mark}"
  line_problem "$@" "/dev/shm/${mark}"
}

verify_own_objects() {
  local part list problem evidence='' expected=has
  problem=$(sharing_problem ipc host container1 container2)
  for part in container1 container2 sharing; do
    list=$(objects_of "${part}")
    evidence+="${part}:"$'\n'"${list}"$'\n'
    problem+=$(objects_problem "${part}" "${expected}" "${list}")
    expected=lacks
  done
  judge_claim IPC-1 "docker exec container1 touch /dev/mqueue/${mark}; ls" \
    "${problem}" \
    "${evidence}$(namespaces_of ipc host container1 container2)" \
    'start the containers without --ipc=host and --ipc=container:'
}

verify_ipc() {
  local list
  verify_own_objects
  list=$(objects_of joined)
  judge_claim IPC-2 "docker run --ipc=container:container1; ls" \
    "$(objects_problem joined has "${list}")$(apart_problem ipc container1 \
      joined)" \
    "${list}"$'\n'"$(namespaces_of ipc container1 joined)" \
    'start the first one with --ipc=shareable'
  judge_claim IPC-3 'docker run --ipc=host; stat /proc/PID/ns/ipc' \
    "$(apart_problem ipc sharing host)" \
    "$(namespaces_of ipc sharing host)" 'read the log of dockerd'
}

# ---- MNT --------------------------------------------------------------------

# D25: prints which of container1's files and mounts are in a part, as its
# processes see it.
own_files_of() { # own_files_of PART
  local file what where process=/proc/${member_pid[$1]}
  for file in "/mounted/${mark}" "/${mark}"; do
    if [[ -e ${process}/root${file} ]]; then printf '%s\n' "${file}"; fi
  done
  while read -r what where _; do
    [[ ${where} != /mounted ]] || printf '%s on %s\n' "${what}" "${where}"
  done <"${process}/mounts"
}

verify_own_files() {
  local part list line problem='' evidence='' expected=has
  for part in container1 container2 host; do
    list=$(own_files_of "${part}")
    evidence+="${part}: ${list:-none}"$'\n'
    for line in "/mounted/${mark}" "/${mark}" 'tmpfs on /mounted'; do
      problem+=$(line_problem "${part}" "${expected}" "${list}" "${line}")
    done
    expected=lacks
  done
  judge_claim MNT-1 \
    "docker run --tmpfs /mounted; touch /mounted/${mark} /${mark}" \
    "${problem}" "${evidence%$'\n'}" \
    'mount nothing into both containers that is to be of one'
}

verify_roots() {
  local part root problem evidence=''
  local -A owner=()
  problem=$(sharing_problem mnt host container1 container2)
  for part in host container1 container2; do
    root=$(stat --format 'device %d, inode %i' \
      -- "/proc/${member_pid[${part}]}/root/.")
    evidence+="${part}: root is ${root}"$'\n'
    [[ -z ${owner[${root}]:-} ]] ||
      problem+="${owner[${root}]} and ${part} have one root. "
    owner[${root}]=${part}
  done
  judge_claim MNT-2 'stat /proc/PID/root/. /proc/PID/ns/mnt' "${problem}" \
    "${evidence}$(namespaces_of mnt host container1 container2)" \
    'read the log of dockerd'
}

verify_shared_folder() {
  local part text problem='' evidence='' expected=has
  for part in container1 joined container2; do
    text=$(answer_of "${part}" 'cat /shared/file')
    evidence+="${part}: ${text}"$'\n'
    if [[ ${part} == container2 ]]; then expected=lacks; fi
    problem+=$(line_problem "${part}" "${expected}" "${text}" 'shared file')
  done
  judge_claim MNT-3 \
    'docker run --volume FOLDER:/shared:ro; cat /shared/file' "${problem}" \
    "${evidence%$'\n'}" 'mount the folder only where it is wanted'
}

verify_mnt() {
  verify_own_files
  verify_roots
  verify_shared_folder
}

# ---- NET --------------------------------------------------------------------

# Prints the interfaces and the IPv4 addresses of a part, but for loopback.
addresses_of() { # addresses_of PART
  local word=''
  local -a words
  read -r -d '' -a words < <(answer_of "$1" 'ip -o -4 addr show') || true
  for word in "${!words[@]}"; do
    if [[ ${words[word]} == inet && ${words[word + 1]} != 127.* ]]; then
      printf '%s %s\n' "${words[word - 1]}" "${words[word + 1]}"
    fi
  done
}

# D26: asks for the page on port 80 from this machine, and prints its text.
page_at() { # page_at ADDRESS
  local connection text
  { exec {connection}<>"/dev/tcp/$1/80"; } 2>/dev/null || return 0
  { printf 'GET / HTTP/1.0\r\n\r\n' >&"${connection}"; } 2>/dev/null || true
  text=$(timeout 10 cat <&"${connection}" 2>/dev/null | tr -d '\0\r') || true
  exec {connection}>&-
  printf '%s\n' "${text##*$'\n'}"
}

verify_own_networks() {
  local part found problem evidence=''
  local -A owner=()
  problem=$(sharing_problem net host container1 container2 container4)
  for part in container1 container2 container4; do
    found=$(addresses_of "${part}")
    evidence+="${part}: ${found:-no address}"$'\n'
    [[ -n ${found} ]] || problem+="${part} has no address. "
    [[ -z ${owner[x${found}]:-} ]] ||
      problem+="${owner[x${found}]} and ${part} have the same address. "
    owner[x${found}]=${part}
  done
  judge_claim NET-1 'docker exec container1 ip -o -4 addr show' "${problem}" \
    "${evidence}$(namespaces_of net host container1 container2 \
      container4)" 'start the containers without --network=host'
}

verify_pages() {
  local part address page problem='' evidence=''
  for part in container1 container2 container4; do
    address=$(addresses_of "${part}")
    address=${address%%/*}
    page=$(page_at "${address#* }")
    evidence+="${address#* } port 80: ${page}"$'\n'
    [[ ${page} == "page of ${part}" ]] ||
      problem+="${part} answered: ${page:-nothing}. "
  done
  judge_claim NET-2 'GET / HTTP/1.0 to port 80 of each container' \
    "${problem}" "${evidence%$'\n'}" \
    "let this host's firewall pass packets to the bridge docker0"
}

# The other service is httpd in the host's network, on 127.0.0.1. Where one of
# the host's own has the port, that one answers.
verify_host_port() {
  local page problem=''
  page=$(page_at 127.0.0.1)
  if [[ ${page} == 'page of container'* ]]; then
    problem="a container has taken it: ${page}. "
  elif [[ ${page} != 'page of sharing' && -z ${port_was_open} ]]; then
    problem="another service could not use it: ${page:-no answer}. "
  fi
  judge_claim NET-3 \
    'docker run --network=host; httpd -p 127.0.0.1:80; GET / of 127.0.0.1' \
    "${problem}" "127.0.0.1 port 80: ${page:-no text}${port_was_open}
$(namespaces_of net sharing host)" \
    'publish no port 80 of a container, and start none with --network=host'
}

verify_joined_network() {
  local page one two problem
  one=$(addresses_of container1)
  two=$(addresses_of joined)
  page=$(in_member joined sh -c \
    "printf 'GET / HTTP/1.0\r\n\r\n' | nc -w 5 127.0.0.1 80")
  problem=$(apart_problem net container1 joined)
  [[ ${one} == "${two}" ]] || problem+='they have different addresses. '
  problem+=$(word_problem '127.0.0.1 of joined' has "${page}" \
    'page of container1')
  judge_claim NET-4 'docker run --network=container:container1' \
    "${problem}" "container1: ${one}"$'\n'"joined: ${two}
joined, 127.0.0.1 port 80: ${page##*$'\n'}
$(namespaces_of net container1 joined)" 'read the log of dockerd'
}

verify_net() {
  verify_own_networks
  verify_pages
  verify_host_port
  verify_joined_network
}

# ---- All of them ------------------------------------------------------------

has_listener() { # has_listener ADDRESS PORT
  (exec {connection}<>"/dev/tcp/$1/$2") 2>/dev/null
}

# What has to be there, or known, before the first container.
prepare_namespaces() {
  mark=dockseal-${probe_run}
  host_name=$(</proc/sys/kernel/hostname)
  member_pid[host]=$$
  port_was_open=''
  if has_listener 127.0.0.1 80; then
    port_was_open=', of a service that was there before'
  fi
  make_folders
}

verify_namespaces() {
  choose_claims
  if ((! containers)); then
    report_all SKIP 'left out by --no-containers'
    return
  elif ! find_probe_image; then
    report_all SKIP "${no_image_reason}"
    return
  fi
  prepare_namespaces
  if ! start_members; then
    report_all FAIL "${probe_error}" 'read the log of dockerd'
    return
  fi
  fill_members
  ask_members
  verify_pid
  verify_user
  verify_uts
  verify_ipc
  verify_mnt
  verify_net
}

# ---- What a stranger has: keys and certificates made for this run -----------

readonly s_client="openssl s_client -connect ${probe_address}:${listen_port}"
accepts=' --dir --json --junit --no-containers --yes --check --undo '
accepts+='--remove-keys --help '
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

ask() { # ask S_CLIENT_OPTION...: after mark_log
  ask_daemon "${probe_address}" "${listen_port}" "${probe_name}" "${ca}" \
    "${from_own_port[@]}" "$@"
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
  mark_log
  answer=$(ask "${good_client[@]}")
  asked="${s_client} ${good_client[*]}"
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
  answer=$(ask "$@")
  asked="${s_client} $*"
  if is_answer "${answer}"; then
    problem='it got an answer'
  elif [[ ! ${answer} =~ ${alert} ]]; then
    problem="it failed for another reason: $(reason_in "${answer}")"
  elif ((has_log)); then
    said=$(refusal_in_log)
    [[ ${said} =~ ${pattern} ]] ||
      problem="the daemon gave another reason: ${said:-none}"
  fi
  judge "${id}" "refused: ${what}" "${problem}" \
    "client: $(reason_in "${answer}"); daemon: ${said}" \
    "run 20-configure-daemon.sh; dockerd must run with ${flags[0]}"
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
  answer=$(ask)
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

verify_plain_http() {
  local answer problem=''
  asked="GET /_ping in plain text to ${probe_address}:${listen_port}"
  answer=$(ask_in_plain_text /_ping)
  [[ ${answer} == *'HTTP request to an HTTPS server'* ]] ||
    problem="expected HTTP 400, got: ${answer:-no answer}"
  judge TLS-8 "refused: plain HTTP on port ${listen_port}" "${problem}" \
    "${answer}" "run 20-configure-daemon.sh; dockerd must run with ${flags[0]}"
}

connect() { # connect ADDRESS PORT
  local connection
  exec {connection}<>"/dev/tcp/$1/$2"
}

# True when somebody takes a connection within 5 seconds.
can_connect() { # can_connect ADDRESS PORT
  run_for 5 connect "$1" "$2" 2>/dev/null
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
  check_junit
  need_safe_folders
  scratch=$(mktemp -d)
  trap 'remove_probes; rm -rf -- "${scratch}"' EXIT
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
  verify_networks
  verify_namespaces
  finish_report
}

main "$@"
