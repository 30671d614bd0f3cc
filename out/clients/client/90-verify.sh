#!/usr/bin/env bash
# Verifies one docker client: its files, and that each of its Docker hosts
# answers it and shows a certificate of the site's CA.
#
# Reads:      ~/.docker/: ca.pem, cert.pem, key.pem
# Writes:     FILE (--junit)
# Temporary:  /tmp/RANDOM/; a TLS server of an impostor, on a loopback address
# Restarts:   nothing
# Needs root: no
# Undo:       nothing to undo: it is read-only
# Options:    --dir DIR (~/docker-tls)  --json  --junit FILE  --yes  --check
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

readonly script='clients/client/90-verify.sh'
# Below the home folder; empty for none.
readonly shell_profile=''
readonly warn_days=30
# docker context, the address of its host, name or address, port
readonly -a hosts=(
  'localhost' 'tcp://localhost:2376' 'localhost' 2376
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

# Prints the value of a variable of whoever runs this script, or nothing.
caller_value() { # caller_value VARIABLE
  local setting
  for setting in "${caller_variables[@]}"; do
    if [[ ${setting} == "$1="* ]]; then printf '%s\n' "${setting#*=}"; fi
  done
}

# Stops where the user's docker does not look into ~/.docker.
need_own_config() {
  local config
  config=$(caller_value DOCKER_CONFIG)
  if [[ -z ${config} || ${config} -ef ${docker_config} ||
    ${config} == "${docker_config}" ]]; then
    return
  fi
  die 2 \
    "DOCKER_CONFIG is ${config}: there docker looks for certificates and" \
    "contexts, and this script is about ${docker_config}; run: unset" \
    "DOCKER_CONFIG, and take it out of your shell profile; ${leaves}"
}

# True when both files are there and hold the same bytes: in a variable bash
# drops NUL bytes.
is_same_file() { # is_same_file FILE FILE
  [[ -f $1 && -f $2 ]] && cmp --quiet -- "$1" "$2"
}

# ---- Keys, requests and certificates ----------------------------------------

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

# ---- An impostor: a TLS server of another CA on a loopback port -------------

# Prints the names and addresses of all hosts, for a certificate.
names_of_hosts() {
  local row
  for ((row = 2; row < ${#hosts[@]}; row += 4)); do
    if [[ ${hosts[row]} == *:* || ${hosts[row]} =~ ^[0-9.]+$ ]]; then
      printf ',IP:%s' "${hosts[row]}"
    else
      printf ',DNS:%s' "${hosts[row]}"
    fi
  done
}

# Its certificate has the hosts' own names too: only its CA is not theirs.
make_impostor() {
  local names
  names=DNS:localhost,IP:127.0.0.1$(names_of_hosts)
  printf '%s\n' '[req]' 'distinguished_name = subject' '[subject]' '[server]' \
    'basicConstraints = critical, CA:FALSE' \
    'keyUsage = critical, digitalSignature' 'extendedKeyUsage = serverAuth' \
    "subjectAltName = ${names}" >"${scratch}/impostor.cnf"
  openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 \
    -pkeyopt ec_param_enc:named_curve -out "${scratch}/impostor.key"
  openssl req -new -config "${scratch}/impostor.cnf" -subj '/CN=impostor' \
    -key "${scratch}/impostor.key" -sha256 -out "${scratch}/impostor.csr"
  openssl x509 -req -days 2 -sha256 -in "${scratch}/impostor.csr" \
    -CA "${scratch}/another-ca.pem" -CAkey "${scratch}/another-ca.key" \
    -set_serial 2 -extfile "${scratch}/impostor.cnf" -extensions server \
    -out "${scratch}/impostor.pem" 2>/dev/null
}

impostor_pids=() # the server, and what ends it

# It asks for a client certificate, takes any or none, and turns each line
# around: docker gets an answer at once, and one that is no answer of a daemon.
start_impostor() {
  local text deadline=$((SECONDS + 10))
  : >"${scratch}/impostor.log"
  openssl s_server -accept 127.0.0.1:0 -rev -verify 1 \
    -cert "${scratch}/impostor.pem" -key "${scratch}/impostor.key" \
    </dev/null >>"${scratch}/impostor.log" 2>&1 &
  impostor_pids=("$!")
  # It ends with this script, even when that is killed.
  {
    tail --pid="$$" --follow /dev/null
    kill "${impostor_pids[0]}"
  } &>/dev/null &
  impostor_pids+=("$!")
  while ((SECONDS < deadline)); do
    text=$(<"${scratch}/impostor.log")
    if [[ ${text} =~ ACCEPT\ 127\.0\.0\.1:([0-9]+) ]]; then
      impostor=127.0.0.1:${BASH_REMATCH[1]}
      return
    fi
    sleep 0.05
  done
  die 1 "openssl s_server does not start: ${text}"
}

stop_impostor() {
  kill "${impostor_pids[@]}" 2>/dev/null || true
}

knock_at_impostor() {
  local connection
  exec {connection}<>"/dev/tcp/${impostor%:*}/${impostor#*:}"
  printf 'this is no handshake\n' >&"${connection}"
  read -r -t 10 -N 100 -u "${connection}"
}

# The impostor serves one connection after the other: once it has hung up on
# this one, its log of those before is complete.
wait_for_impostor() {
  run_for 10 knock_at_impostor &>/dev/null || true
}

# ---- Folders for docker: links to the client's files, no copies -------------

# own: the client's files. other: the same with the impostor's CA. none: empty.
link_own_files() {
  local folder
  mkdir -- "${scratch}/own" "${scratch}/other" "${scratch}/none"
  for folder in own other; do
    ln -s -- "${certificate}" "${scratch}/${folder}/cert.pem"
    ln -s -- "${key}" "${scratch}/${folder}/key.pem"
  done
  ln -s -- "${ca}" "${scratch}/own/ca.pem"
  ln -s -- "${scratch}/another-ca.pem" "${scratch}/other/ca.pem"
}

# docker asks the host of the current context first, whatever it is told to do.
context_host() { # context_host NAME
  DOCKER_CONTEXT=default docker context inspect \
    --format '{{.Endpoints.docker.Host}}' "$1" 2>/dev/null
}

# Links the files of a docker context to FOLDER; CA takes the place of its own.
link_context_files() { # link_context_files CONTEXT_FOLDER FOLDER CA
  local file
  for file in ca.pem cert.pem key.pem; do
    if [[ -e $1/${file} ]]; then
      mkdir -p -- "$2"
      ln -sf -- "$1/${file}" "$2/${file}"
    fi
  done
  if [[ -e $1/ca.pem && -n $3 ]]; then ln -sf -- "$3" "$2/ca.pem"; fi
}

# Makes a docker context in own and other that leads to the impostor, not to
# its host, and is the same else. Status 1 where there is no such context, or
# one in which its host is not found.
link_context() { # link_context NAME
  local digest host meta folder contexts ca_of_other=''
  digest=$(printf '%s' "$1" | sha256sum)
  digest=${digest%% *}
  contexts=${docker_config}/contexts
  [[ -r ${contexts}/meta/${digest}/meta.json ]] || return 1
  host=$(context_host "$1") || return 1
  meta=$(<"${contexts}/meta/${digest}/meta.json")
  [[ ${meta} =~ \"Host\":[[:space:]]*\""${host}"\" ]] || return 1
  meta=${meta//"${BASH_REMATCH[0]}"/"\"Host\":\"tcp://${impostor}\""}
  for folder in own other; do
    mkdir -p -- "${scratch}/${folder}/contexts/meta/${digest}"
    printf '%s\n' "${meta}" \
      >"${scratch}/${folder}/contexts/meta/${digest}/meta.json"
    link_context_files "${contexts}/tls/${digest}/docker" \
      "${scratch}/${folder}/contexts/tls/${digest}/docker" "${ca_of_other}"
    ca_of_other=${scratch}/another-ca.pem
  done
}

# ---- What docker does with its flags and variables --------------------------

# Runs docker ps. WORDs are variables (NAME=VALUE) or options; HOST, CA, CERT,
# KEY and FOLDER at their end stand for ADDRESS and for the files in CONFIG,
# docker's own folder. POOL is the system's pool of CAs, '' for its real one.
docker_ps() { # docker_ps CONFIG POOL ADDRESS WORD...
  local word
  local -a options=()
  export DOCKER_CONFIG=$1
  unset SSL_CERT_FILE SSL_CERT_DIR
  if [[ -n $2 ]]; then export SSL_CERT_FILE=$2 SSL_CERT_DIR=/dev/null; fi
  for word in "${@:4}"; do
    word=${word/%=HOST/"=$3"}
    word=${word/%=CA/"=$1/ca.pem"}
    word=${word/%=CERT/"=$1/cert.pem"}
    word=${word/%=KEY/"=$1/key.pem"}
    word=${word/%=FOLDER/"=$1"}
    if [[ ${word} == -* ]]; then
      options+=("${word}")
    else
      export "${word?}"
    fi
  done
  timeout 20 docker "${options[@]}" ps --quiet 2>&1
}

# What the impostor sees of it.
ask_impostor() { # ask_impostor CONFIG POOL WORD...; sets said and seen
  : >"${scratch}/impostor.log"
  said=$(docker_ps "$1" "$2" "tcp://${impostor}" "${@:3}") || true
  wait_for_impostor
  seen=$(<"${scratch}/impostor.log")
}

# Tells yes, no or - (docker stopped before it connected) of three questions:
# server: did it refuse the impostor? sent: was there a client certificate?
# plain: was it plain text?
measure() { # measure WORD...; sets server, sent, plain and said
  server=- sent=- plain=-
  ask_impostor "${scratch}/own" '' "$@"
  case ${seen} in
    *'http request'*) server=no sent=no plain=yes ;;
    *'CONNECTION ESTABLISHED'*) server=no plain=no ;;
    *' alert '*)
      server=yes plain=no
      ask_with_its_own_ca "$@"
      ;;
    *) ;;
  esac
  case ${seen} in
    *'No peer certificate'*) sent=no ;;
    *'Peer certificate: '*) sent=yes ;;
    *) ;;
  esac
}

# The positive control of a refusal: the impostor is accepted when its own CA
# stands in the place of the client's. Only then does a client certificate show.
ask_with_its_own_ca() { # ask_with_its_own_ca WORD...
  local refusal=${said}
  ask_impostor "${scratch}/other" "${scratch}/another-ca.pem" "$@"
  [[ ${seen} == *'CONNECTION ESTABLISHED'* ]] || server='?'
  said=${refusal}
}

# ---- D19: docker's modes, measured ------------------------------------------

# The variables and options of a mode; whether docker finds its default files
# ({ca,cert,key}.pem in ~/.docker); whether it is a way in which this client is
# configured, so that it must check the server.
readonly -a modes=(
  '--tls' found no
  '--tls' absent no
  '--tls --tlscert=CERT --tlskey=KEY' found no
  '--tls --tlscert=CERT --tlskey=KEY' absent no
  '--tlsverify --tlscacert=CA' absent no
  '--tlsverify --tlscacert=CA' found no
  '--tlsverify --tlscacert=CA --tlscert=CERT --tlskey=KEY' found yes
  '--tlsverify=false --tlscert=CERT --tlskey=KEY' found no
  '--tlsverify --tlscacert=CA --tlscert=CERT' absent no
  '--tlsverify --tlscacert=' absent no
  "--tlsverify --tlscacert=''" absent no
  "--tlsverify --tlscacert='' --tlscert=CERT --tlskey=KEY" found no
  'DOCKER_TLS_VERIFY=1' found yes
  'DOCKER_TLS_VERIFY=0' found no
  'DOCKER_TLS=1' found no
  'DOCKER_CERT_PATH=FOLDER' found no
  '--context' found yes
)

# What is said of a mode: its number in the table above, who says it, the words,
# and what they mean for the server, the client certificate and plain text.
readonly -a claims=(
  1 document 'will authenticate the server using the default CA pool'
  'server=yes'
  1 manual 'Authenticate server based on public/default CA pool'
  'server=yes'
  1 manual 'If found, the client sends its client certificate'
  'sent=yes'
  3 document
  "will verify the client's certificate without authenticating the server's CA"
  'server=no sent=yes'
  3 manual
  "Authenticate with client certificate, do not authenticate server based on\
 given CA"
  'server=no sent=yes'
  5 document
  'will enforce the server uses the given CA without any other checks'
  'server=yes sent=no'
  5 manual 'Authenticate server based on given CA'
  'server=yes'
  6 document
  'will enforce the server uses the given CA without any other checks'
  'server=yes sent=no'
  6 manual 'If found, the client sends its client certificate'
  'sent=yes'
  7 manual
  "Authenticate with client certificate and authenticate server based on\
 given CA"
  'server=yes sent=yes'
)

# Sets said_of_it: each claim of a mode, and whether it is true.
judge_claims() { # judge_claims NUMBER
  local claim cells truth
  cells=" server=${server} sent=${sent} plain=${plain} "
  said_of_it=()
  for ((claim = 0; claim < ${#claims[@]}; claim += 4)); do
    [[ ${claims[claim]} == "$1" ]] || continue
    truth=false
    # The cells stand in the order of the claims.
    if [[ ${cells} == *" ${claims[claim + 3]} "* ]]; then truth=true; fi
    said_of_it+=("the ${claims[claim + 1]}: \"${claims[claim + 2]}\": ${truth}")
  done
}

# Sets words: what docker gets in this mode.
words_of_mode() { # words_of_mode MODE DEFAULT_FILES CONTEXT
  read -r -a words <<<"$1"
  case $1 in
    --context) words=("--context=$3") ;;
    --*) words+=(--host=HOST) ;;
    *) words+=(DOCKER_HOST=HOST) ;;
  esac
  if [[ $2 == absent ]]; then words+=("DOCKER_CERT_PATH=${scratch}/none"); fi
}

# Sets real: does the real daemon answer in this mode? Where it does not even
# answer the complete command, it is not asked again and again.
ask_real_daemon() { # ask_real_daemon DOCKER_HOST WORD...
  real=-
  ((answers)) || return 0
  real=no
  if said=$(docker_ps "${docker_config}" '' "$@"); then real=yes; fi
}

# ---- The table --------------------------------------------------------------

print_modes_header() { # print_modes_header DOCKER_HOST
  if ((json)); then return; fi
  printf '%s\n' '' \
    "What docker does with its flags and variables, measured at $1" \
    'and at an impostor: a server of another CA with the same names. Modes 7,' \
    "13 and 17 are this client's own: they alone can FAIL. *: there are no" \
    'default files. Below a mode stands what is said of it, true or false.'
  printf '%58s%-7s %-4s %-5s %s\n' '' server cert. plain real \
    '' checked sent text answers
}

# The columns for the reader, the mode for a program.
name_of_mode() { # name_of_mode MODE DEFAULT_FILES CONTEXT
  local shown=$1
  shown=${shown//=CA/}
  shown=${shown//=CERT/}
  shown=${shown//=KEY/}
  shown=${shown/=FOLDER/=~\/.docker}
  if [[ $1 == --context ]]; then shown="--context $3"; fi
  if ((json)) && [[ $2 == absent ]]; then
    printf 'docker %s, without the files in ~/.docker' "${shown}"
  elif ((json)); then
    printf 'docker %s' "${shown}"
  else
    if [[ $2 == absent ]]; then shown+=' *'; fi
    printf '%-42s %-7s %-4s %-5s %s' "${shown}" "${server}" "${sent}" \
      "${plain}" "${real}"
  fi
}

# Sets problem: what is wrong with a mode in which this client is configured.
judge_mode() { # judge_mode OWN
  problem=''
  if [[ $1 == no ]]; then return; fi
  case ${server}${plain} in
    ?yes | noyes) problem='docker sends plain text' ;;
    no*) problem='docker accepts a server of another CA' ;;
    '?'*) problem='docker refuses each server: the refusal shows nothing' ;;
    *) ;;
  esac
}

report_mode() { # report_mode NUMBER MODE DEFAULT_FILES OWN CONTEXT
  local name evidence claim
  name=$(name_of_mode "$2" "$3" "$5")
  judge_claims "$1"
  judge_mode "$4"
  evidence="server authenticated: ${server}; client certificate sent: ${sent};"
  evidence+=" plain text: ${plain}; the real daemon answers: ${real}"
  evidence+="; docker said: ${said%%$'\n'*}"
  for claim in "${said_of_it[@]}"; do evidence+=$'\n'${claim}; done
  if [[ $4 == yes && ${server} == - ]]; then
    report "MODE-$1" SKIP "${name}" "$(explain_handshake "${said}")" ''
  else
    judge "MODE-$1" "${name}" "${problem}" "${evidence}" \
      'run 20-configure-client.sh again; give --tlsverify and a CA'
  fi
  if ((! json)) && ((${#said_of_it[@]})); then
    printf '              %s\n' "${said_of_it[@]}"
  fi
}

# Prints the command that was run, as it can be typed.
typed() { # typed DOCKER_HOST WORD...
  local word
  local -a variables=() options=()
  for word in "${@:2}"; do
    word=${word/%=HOST/"=$1"}
    word=${word/%=CA/"=${ca}"}
    word=${word/%=CERT/"=${certificate}"}
    word=${word/%=KEY/"=${key}"}
    word=${word/%=FOLDER/"=${docker_config}"}
    if [[ ${word} == -* ]]; then
      options+=("${word}")
    else
      variables+=("${word}")
    fi
  done
  printf '%q ' "${variables[@]}" docker "${options[@]}" ps
  printf '%s' --quiet
}

verify_modes() { # verify_modes NAME DOCKER_HOST
  local row
  local -a words
  print_modes_header "$2"
  link_context "$1" || true
  for ((row = 0; row < ${#modes[@]}; row += 3)); do
    words_of_mode "${modes[row]}" "${modes[row + 1]}" "$1"
    measure "${words[@]}"
    measured=${said}
    ask_real_daemon "$2" "${words[@]}"
    said=${measured}
    asked="$(typed "$2" "${words[@]}"), and at tcp://${impostor}"
    report_mode "$((row / 3 + 1))" "${modes[@]:row:3}" "$1"
  done
}

# ---- Ways in which this user falls back to plain text -----------------------

readonly docker_variable='DOCKER_(HOST|CONTEXT|TLS|TLS_VERIFY|CERT_PATH)'

readonly set_beside='export DOCKER_TLS_VERIFY=1 beside it, or use --context'

# Prints the value of a variable; a later one counts, as in the shell.
value_of() { # value_of VARIABLE NAME=VALUE...
  local setting value=''
  for setting in "${@:2}"; do
    if [[ ${setting} == "$1="* ]]; then value=${setting#*=}; fi
  done
  printf '%s\n' "${value}"
}

# Prints why no TCP comes of these variables, or nothing.
why_harmless() { # why_harmless NAME=VALUE...
  local host context
  host=$(value_of DOCKER_HOST "$@")
  context=$(value_of DOCKER_CONTEXT "$@")
  if (($# == 0)); then
    printf "none of docker's variables is set\n"
  elif [[ ${host} =~ ^(unix|fd|npipe|ssh):// ]]; then
    printf '%s is no TCP\n' "${host}"
  elif [[ -z ${host} && -n ${context} ]]; then
    printf 'the docker context %s: see PLAIN-3\n' "${context}"
  fi
}

# Tries what docker does with these variables at the impostor: adds to problem
# and evidence of its caller.
try_variables() { # try_variables PLACE NAME=VALUE...
  local harmless setting wrong
  local -a with=()
  harmless=$(why_harmless "${@:2}")
  if [[ -n ${harmless} ]]; then
    evidence+="$1: ${harmless}"$'\n'
    return
  fi
  for setting in "${@:2}"; do
    [[ ${setting} =~ ^DOCKER_(HOST|CONTEXT)= ]] || with+=("${setting}")
  done
  measure DOCKER_HOST=HOST "${with[@]}"
  asked=$(typed "tcp://${impostor}" DOCKER_HOST=HOST "${with[@]}")
  wrong=$(problem_of "$@")
  problem+=${wrong:+${problem:+; }${wrong}}
  evidence+="$1: docker said: ${said}"$'\n'
}

# Prints what docker does wrong, after measure.
problem_of() { # problem_of PLACE NAME=VALUE...
  local settings="${*:2}"
  if [[ ${plain} == yes ]]; then
    printf '%s sets %s and no DOCKER_TLS_VERIFY: docker sends plain text' \
      "$1" "${settings}"
  elif [[ ${server} == no ]]; then
    printf '%s sets %s and no DOCKER_TLS_VERIFY: docker accepts any server' \
      "$1" "${settings}"
  fi
}

# Only such a line of a profile is taken for what it says. A profile is read,
# not run: of other variables only HOME is known.
readonly value_form="\"?([$]HOME|[$]\{HOME\})?[A-Za-z0-9_:/.@%+,-]*\"?"
readonly export_form="^ *export( +[A-Za-z_]+=${value_form})+ *(#.*)?\$"

# Prints the docker variables that a shell profile exports, one a line.
variables_in() { # variables_in FILE
  local line word
  local -a line_words
  while IFS= read -r line || [[ -n ${line} ]]; do
    [[ ${line} =~ ${export_form} ]] || continue
    read -r -a line_words <<<"${line%%#*}"
    for word in "${line_words[@]}"; do
      [[ ${word} =~ ^${docker_variable}= ]] || continue
      word=${word//\"/}
      word=${word//\$\{HOME\}/"${HOME}"}
      printf '%s\n' "${word//\$HOME/"${HOME}"}"
    done
  done <"$1"
}

# Prints each line of a shell profile that has to do with a docker variable and
# that is not understood, with its place.
unclear_lines() { # unclear_lines FILE
  local line number=0
  while IFS= read -r line || [[ -n ${line} ]]; do
    number=$((number + 1))
    if [[ ! ${line} =~ ${export_form} && ! ${line} =~ ^[[:space:]]*# &&
      ${line} =~ ${docker_variable} ]]; then
      printf '%s:%d: %s\n' "$1" "${number}" "${line}"
    fi
  done <"$1"
}

# Each profile by itself: a shell reads one, and not the others.
verify_profiles() {
  local file path found problem='' evidence='' unclear='' places=''
  local what='no shell profile lets docker send plain text'
  local -a settings
  asked='env'
  for file in .profile .bash_profile .bash_login .bashrc .zshenv .zprofile \
    .zshrc .zlogin "${shell_profile}"; do
    path=${HOME}/${file}
    if [[ ! -f ${path} || ${places} == *" ${path} "* ]]; then continue; fi
    places+=" ${path} "
    found=$(unclear_lines "${path}")
    unclear+=${found:+$'\n'${found}}
    found=$(variables_in "${path}")
    if [[ -z ${found} ]]; then continue; fi
    mapfile -t settings <<<"${found}"
    try_variables "${path}" "${settings[@]}"
  done
  if [[ -z ${problem} && -n ${unclear} ]]; then
    report PLAIN-2 SKIP "${what}" \
      "these lines are not judged; write export NAME=VALUE: ${unclear}" ''
    return
  fi
  judge PLAIN-2 "${what}" "${problem}" "${evidence:-nothing sets one}" \
    "${set_beside}"
}

is_current() { # is_current CONTEXT
  local text
  [[ -r ${docker_config}/config.json ]] || return 1
  text=$(<"${docker_config}/config.json")
  [[ ${text} =~ \"currentContext\":[[:space:]]*\""$1"\" ]]
}

# Prints what is wrong with a docker context, or nothing.
problem_of_context() { # problem_of_context NAME
  local host current=''
  host=$(context_host "$1") || return 0
  if [[ ${host} =~ ^(unix|fd|npipe|ssh):// ]]; then return; fi
  link_context "$1" || {
    printf 'the context %s (%s) cannot be read: its file has another form' \
      "$1" "${host}"
    return
  }
  measure "--context=$1"
  if is_current "$1"; then
    current=", the current one in ${docker_config}/config.json,"
  fi
  if [[ ${plain} == yes ]]; then
    printf 'the context %s (%s)%s has no CA: docker sends plain text' \
      "$1" "${host}" "${current}"
  elif [[ ${server} == no ]]; then
    printf 'the context %s (%s)%s skips the check: docker accepts any server' \
      "$1" "${host}" "${current}"
  fi
}

verify_contexts() {
  local name names problem='' one
  asked='docker context ls --quiet; docker --context NAME ps'
  names=$(DOCKER_CONTEXT=default docker context ls --quiet 2>/dev/null) || {
    problem='docker context ls fails: run it, and mend what it names'
    names=''
  }
  while IFS= read -r name; do
    if [[ -z ${name} || ${name} == default ]]; then continue; fi
    one=$(problem_of_context "${name}")
    problem+=${one:+${problem:+; }${one}}
  done <<<"${names}"
  judge PLAIN-3 'no docker context lets docker send plain text' "${problem}" \
    "${names//$'\n'/ }" 'docker context rm it, or give it ca=, cert= and key='
}

verify_plain_text() {
  local setting problem='' evidence=''
  local -a settings=()
  for setting in "${caller_variables[@]}"; do
    if [[ ${setting} =~ ^${docker_variable}= ]]; then
      settings+=("${setting}")
    fi
  done
  asked='env'
  try_variables 'the environment' "${settings[@]}"
  judge PLAIN-1 'no variable lets docker send plain text' "${problem}" \
    "${evidence}" "${set_beside}"
  verify_profiles
  verify_contexts
}

# ---- This script ------------------------------------------------------------

accepts=' --dir --json --junit --yes --check --undo --remove-keys --help '
readonly accepts

verify_files() {
  local owner problem
  owner=$(id -un):$(id -gn)
  asked="namei --long ${docker_config}"
  problem=$(file_problem "${docker_config}" "${owner}" 700)
  if [[ -z ${problem} ]]; then problem=$(why_unsafe "${docker_config}"); fi
  judge CFILE-1 "${docker_config} is ${owner} 700 or less, and nobody can\
 replace it" "${problem}" "$(namei --long -- "${docker_config}")" \
    "chown ${owner} ${docker_config}; chmod 700 ${docker_config}"
  judge_file CFILE-2 "${key}" "${owner}" 600
}

# Prints each CA in a bundle, with the digest that people compare.
list_bundle() { # list_bundle BUNDLE
  local authority
  local -a roots=() announcements=()
  sort_certificates "$1" || return 0
  for authority in "${roots[@]}"; do
    printf 'sha256 %s: %s\n' "$(digest_of_pem "${authority}")" \
      "$(openssl x509 -noout -subject <<<"${authority}")"
  done
}

# Whoever has the key of one of these CAs can be each host.
judge_bundle() { # judge_bundle ID WHAT BUNDLE
  local problem listed
  asked="openssl crl2pkcs7 -nocrl -certfile $3 | openssl pkcs7 -print_certs"
  listed=$(list_bundle "$3")
  problem=$(why_not_trusted "$3" "$3")
  if [[ -z ${problem} ]] && ! is_same_file "$3" "${ca}"; then
    problem="it is not the same as ${ca}"
  fi
  judge "$1" "$2 trusts the site's CA alone" \
    "${problem:+$3: ${problem}${listed:+$'\n'${listed}}}" "${listed}" \
    "compare the sha256 with the CA's own; bring ca-public.pem from the CA\
 again and run 20-configure-client.sh"
}

judge_copied_bundle() { # judge_copied_bundle NAME
  local digest bundle
  digest=$(printf '%s' "$1" | sha256sum)
  bundle=${docker_config}/contexts/tls/${digest%% *}/docker/ca.pem
  if [[ -e ${bundle} ]]; then
    judge_bundle CLIENT-6 "docker --context $1" "${bundle}"
  else
    report CLIENT-6 SKIP "docker --context $1 trusts the site's CA alone" \
      "there is no ${bundle}" ''
  fi
}

# There is no daemon's log here: what is wrong with this client's certificate
# is what the daemon will have found.
explain() { # explain TEXT
  local log said
  log=$(why_not_valid "${certificate}" "${ca}" sslclient)
  if [[ -n ${log} ]]; then
    log+=$'\n'$(openssl x509 -in "${certificate}" -noout -dates)
  fi
  said=$(reason_in "$1")
  if [[ ${said} == 'no answer' && -n $1 ]]; then said=${1%%$'\n'*}; fi
  printf '%s (%s)\n' "$(explain_handshake "$1" "${log}")" "${said}"
}

# Prints the proxy variables of whoever runs this, one a line.
caller_proxies() {
  local variable value
  for variable in {http,https,no}_proxy {HTTP,HTTPS,NO}_PROXY; do
    value=$(caller_value "${variable}")
    if [[ -n ${value} ]]; then printf '%s\n' "${variable}=${value}"; fi
  done
}

docker_through() { # docker_through PROXIES OPTION...
  local setting
  while read -r setting; do
    if [[ -n ${setting} ]]; then export "${setting?}"; fi
  done <<<"$1"
  timeout 20 docker "${@:2}" 2>&1
}

# docker goes through those proxies, openssl, with which CLIENT-1 asks, through
# none. Where docker gets its answer without them, they are the problem.
ask_docker_at() { # ask_docker_at NAME OPTION...
  # Sets text, problem, remedy, and answered: 1 where docker got an answer.
  local proxies
  proxies=$(caller_proxies)
  problem='' answered=1
  asked="${proxies//$'\n'/ }${proxies:+ }docker ${*:2}"
  if text=$(docker_through "${proxies}" "${@:2}"); then return; fi
  problem=$(explain "${text}")
  if [[ -z ${proxies} ]]; then
    answered=0
  elif text=$(docker_through '' "${@:2}"); then
    problem="client: docker goes through the proxy of ${proxies//$'\n'/ } and"
    problem+=" gets no answer there; without it $1 answers"
    remedy="add $1 to no_proxy, in the environment and in the shell profile"
  else
    answered=0
    problem=$(explain "${text}")
  fi
}

# D17: docker -H tcp://HOST:2376 --tlsverify --tlscacert=ca-public.pem
#      --tlscert=client-certificate.pem --tlskey=client-key.pem ps
verify_docker() { # verify_docker CONNECT DOCKER_HOST
  local text problem answered
  local remedy='read journalctl --unit docker.service on that host'
  if ((! has_docker)); then
    report CLIENT-3 SKIP "docker ps on $2" 'there is no docker client here' ''
    return
  fi
  ask_docker_at "$1" -H "$2" --tlsverify --tlscacert="${ca}" \
    --tlscert="${certificate}" --tlskey="${key}" ps
  answers=${answered}
  judge CLIENT-3 "docker ps on $2" "${problem}" "${text}" "${remedy}"
}

# Prints in what a docker context differs from what 20-configure-client.sh made.
difference_of_context() { # difference_of_context NAME DOCKER_HOST
  local digest file host
  host=$(context_host "$1") || {
    printf 'client: there is no docker context %s: run %s\n' "$1" \
      '20-configure-client.sh'
    return
  }
  if [[ ${host} != "$2" ]]; then
    printf 'it leads to %s, and the site says %s\n' "${host}" "$2"
    return
  fi
  digest=$(printf '%s' "$1" | sha256sum)
  for file in ca cert key; do
    is_same_file "${docker_config}/${file}.pem" \
      "${docker_config}/contexts/tls/${digest%% *}/docker/${file}.pem" ||
      printf 'its %s.pem is not %s\n' "${file}" "${docker_config}/${file}.pem"
  done
}

# A context that leads elsewhere is not followed.
verify_context() { # verify_context CONNECT NAME DOCKER_HOST
  local text='' problem answered remedy='run 20-configure-client.sh again'
  if ((! has_docker)); then
    report CLIENT-4 SKIP "docker --context $2 gets an answer" \
      'there is no docker client here' ''
    return
  fi
  problem=$(difference_of_context "$2" "$3")
  if [[ -z ${problem} ]]; then
    ask_docker_at "$1" --context "$2" version --format '{{.Server.Version}}'
  fi
  judge CLIENT-4 "docker --context $2 gets an answer" "${problem}" \
    "server ${text}" "${remedy}"
}

# The client must refuse the real host when it trusts another CA only.
verify_server() { # verify_server CONNECT PORT
  local answer problem=''
  asked="openssl s_client -connect $1:$2 -CAfile ${ca}"
  asked+=" -cert ${certificate} -key ${key}"
  answer=$(ask_daemon "$1" "$2" "$1" "${ca}" -cert "${certificate}" \
    -key "${key}")
  is_answer "${answer}" || problem=$(explain "${answer}")
  judge CLIENT-1 "$1:$2 answers and has a certificate of this CA" "${problem}" \
    'HTTP/1.1 200 OK' \
    "is $1 that machine, does its dockerd run, is the name in its certificate?"
  asked="openssl s_client -connect $1:$2 -CAfile another-ca.pem"
  answer=$(ask_daemon "$1" "$2" "$1" "${scratch}/another-ca.pem" \
    -cert "${certificate}" -key "${key}")
  problem=''
  if is_answer "${answer}"; then
    problem='it got an answer'
  elif [[ ${answer} != *'certificate verify failed'* ]]; then
    problem="it failed for another reason: $(explain "${answer}")"
  fi
  judge CLIENT-2 "$1:$2 is refused by a client that trusts another CA" \
    "${problem}" "$(reason_in "${answer}")" 'compare the CA of host and client'
}

make_another_ca() {
  printf '%s\n' '[req]' 'distinguished_name = subject' '[subject]' '[ca]' \
    'basicConstraints = critical, CA:TRUE' >"${scratch}/openssl.cnf"
  openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 \
    -pkeyopt ec_param_enc:named_curve -out "${scratch}/another-ca.key"
  openssl req -new -x509 -config "${scratch}/openssl.cnf" -extensions ca \
    -days 2 -subj '/CN=another CA' -key "${scratch}/another-ca.key" -sha256 \
    -out "${scratch}/another-ca.pem"
}

# D19. Sets has_docker.
prepare_docker() {
  has_docker=0
  if ! command -v docker >/dev/null; then
    report MODE-1 SKIP "docker's modes" 'there is no docker client here' ''
    report PLAIN-1 SKIP 'docker never sends plain text' \
      'there is no docker client here' ''
    return
  fi
  has_docker=1
  make_impostor
  link_own_files
  start_impostor
}

verify_host() { # verify_host NAME DOCKER_HOST CONNECT PORT
  # 1 once docker got an answer
  answers=0
  verify_server "$3" "$4"
  verify_docker "$3" "$2"
  verify_context "$3" "$1" "$2"
  judge_copied_bundle "$1"
  if ((has_docker)); then verify_modes "$1" "$2"; fi
}

main() {
  local row file
  parse_options "$@"
  need_openssl
  if [[ ${verb} == undo ]]; then exit 0; fi
  docker_config=${HOME}/.docker
  key=${docker_config}/key.pem
  certificate=${docker_config}/cert.pem
  ca=${docker_config}/ca.pem
  if [[ ${verb} == check ]]; then exit 0; fi
  need_own_config
  need_access "${key}"
  for file in "${key}" "${certificate}" "${ca}"; do
    [[ -e ${file} ]] ||
      die 2 "${file} is not there: run 20-configure-client.sh first"
    [[ -r ${file} ]] ||
      die 2 "$(id -un) cannot read ${file}; run this as its owner"
  done
  check_junit
  scratch=$(mktemp -d)
  trap 'stop_impostor; rm -rf -- "${scratch}"' EXIT
  make_another_ca
  report_pair CCERT "${certificate}" "${key}" "${ca}" sslclient
  verify_files
  judge_bundle CLIENT-5 docker "${ca}"
  prepare_docker
  if ((has_docker)); then verify_plain_text; fi
  for ((row = 0; row < ${#hosts[@]}; row += 4)); do
    verify_host "${hosts[@]:row:4}"
  done
  finish_report
}

main "$@"
