#!/usr/bin/env bash
# Configures dockerd for TLS. Mode mutual: only clients with a certificate of
# the site's CA are answered. Mode server-only: the server shows a certificate,
# everyone is answered. Then proves it, or puts back what was there.
#
# Reads:      DIR/hosts/localhost/: server-key.pem, certificate.pem,
#             ca-public.pem; /etc/docker/daemon.json
# Writes:     /etc/docker/tls; /etc/docker/tls-DIGEST/: ca-public.pem,
#             certificate.pem, server-key.pem; DIR/hosts/localhost/:
#             server-key.pem, certificate.pem; DIR/hosts/localhost/previous/:
#             server-key.pem, certificate.pem;
#             /etc/systemd/system/docker.service.d/override.conf;
#             /run/dockseal.lock
# Removes:    DIR/hosts/localhost/: request.csr, extfile.cnf;
#             DIR/hosts/localhost/renewal/: server-key.pem, certificate.pem,
#             request.csr, extfile.cnf
# Temporary:  /etc/docker/tls.previous/
# Restarts:   docker.service, docker.socket
# Needs root: yes
# Undo:       removes the drop-in, and what was installed, and restarts
# Options:    --dir DIR (~/docker-tls)  --yes  --check
#             --undo [--remove-keys]  --help
# Status:     0 done, 1 failed, 2 wrong use, 3 --check: changes, 5 waits
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

readonly script='hosts/localhost/20-configure-daemon.sh'
# mutual: TLS on both sides; server-only: without client certificates.
readonly daemon_mode='mutual'
readonly alternative_names='DNS:localhost,IP:127.0.0.1'
readonly listen='127.0.0.1:2376'
readonly listen_address='127.0.0.1'
readonly listen_port=2376
# The address in hexadecimal, in network byte order, as the kernel lists it.
readonly listen_hex='7F000001'
# Where this script itself connects to, and the name that it expects there.
readonly probe_address='127.0.0.1'
readonly probe_name='localhost'
readonly tls_directory='/etc/docker/tls'
readonly drop_in='/etc/systemd/system/docker.service.d/override.conf'
readonly key_file='server-key.pem'
readonly certificate_file='certificate.pem'
readonly ca_certificate_file='ca-public.pem'
readonly request_file='request.csr'
readonly extensions_file='extfile.cnf'
readonly -a client_folders=(
  'clients/client'
)
readonly client_key_file='client-key.pem'
readonly client_certificate_file='client-certificate.pem'
readonly userns_remap=''
readonly icc='true'

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

# ---- Changes ----------------------------------------------------------------

changed=0 # 1 once something was changed, or would be

# Commands that change something are printed so that they can be typed again:
# --check prints them on standard output and does no more.
print_line() { # print_line TEXT
  changed=1
  if [[ ${verb} == check ]]; then
    printf '%s\n' "$1"
  else
    printf '+ %s\n' "$1" >&2
  fi
}

print_command() { # print_command WORD...
  local words
  printf -v words ' %q' "$@"
  print_line "${words# }"
}

run() { # run COMMAND...
  print_command "$@"
  [[ ${verb} != check ]] || return 0
  doing=$*
  "$@" || return
  doing=''
}

# Files are compared as they are: in a variable bash drops NUL bytes.
is_text_of() { # is_text_of TEXT FILE
  [[ -f $2 && ! -L $2 ]] && cmp --quiet -- "$2" <(printf '%s\n' "$1")
}

# Writes a file whole or not at all; does nothing when it is so already. Its
# temporary name is made anew: what has it already is not written through.
write_file() { # write_file FILE MODE TEXT
  local file=$1 mode=$2 text=$3
  if is_text_of "${text}" "${file}"; then return; fi
  changed=1
  if [[ ${verb} == check ]]; then
    printf "cat >%q <<'END'\n%s\nEND\n" "${file}" "${text}"
    return
  fi
  printf "+ cat >%q <<'END'\n%s\nEND\n" "${file}" "${text}" >&2
  rm -f -- "${file}.new"
  set -o noclobber
  printf '%s\n' "${text}" >"${file}.new"
  set +o noclobber
  is_text_of "${text}" "${file}.new" ||
    die 1 "${file}.new did not read back; is the disk full? ${leaves}"
  chmod -- "${mode}" "${file}.new"
  sync -- "${file}.new"
  mv -fT -- "${file}.new" "${file}"
}

waits=0 # 1: a file has to be carried here before there is more to do

# Ends the script with the status of its verb.
finish() {
  if [[ ${verb} == check ]] && ((changed)); then exit 3; fi
  if ((waits)); then exit 5; fi
  ((changed)) || note 'nothing to do'
  exit 0
}

# Copies a file, and has the copy on the disk before it counts. What has the
# copy's name already is removed, and not written through.
keep_copy() { # keep_copy FILE COPY
  run cp -p --remove-destination -T -- "$1" "$2"
  run sync -- "$2"
}

# True when both files are there and hold the same bytes: in a variable bash
# drops NUL bytes.
is_same_file() { # is_same_file FILE FILE
  [[ -f $1 && -f $2 ]] && cmp --quiet -- "$1" "$2"
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
  exec {lock_fd}>>"$1"
  chmod 0600 -- "$1"
  if ! flock --nonblock "${lock_fd}"; then
    note "another run holds $1 (process $(holder_of "$1")); waiting for it"
    flock "${lock_fd}"
  fi
  # A run that was waited for may have removed the file, as --undo does.
  if [[ ! $1 -ef /proc/self/fd/${lock_fd} ]]; then lock "$1"; fi
}

has_terminal() {
  : 2>/dev/null </dev/tty
}

# Goes on only after a y on the terminal, or with --yes.
confirm() { # confirm QUESTION
  local answer
  if ((yes)) || [[ ${verb} == check ]]; then return; fi
  has_terminal || die 2 "$1 There is no terminal to ask on: give --yes"
  printf '%s [y/N] ' "$1" >/dev/tty
  IFS= read -r answer </dev/tty || answer=''
  [[ ${answer} == [yY]* ]] || die 2 "not confirmed; ${leaves}"
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

# Stops unless key, certificate and CA are here and fit together.
check_certificate() {
  local problem file
  need_access "${folder}"
  [[ -e ${key} ]] ||
    die 2 \
      "${key} is not here: run ${script%/*}/10-request-certificate.sh, or run" \
      'this as the user who did (with sudo, where that was root), or give the' \
      "--dir of that run; ${leaves}"
  for file in "${certificate}" "${ca}"; do
    [[ -e ${file} ]] ||
      die 5 \
        "${file} is not here: carry ${folder}/${request_file} to the CA, run" \
        "${signer} there, and bring ${certificate_file} and" \
        "${ca_certificate_file} back; ${leaves}"
  done
  problem=$(why_not_valid "${certificate}" "${ca}" "${purpose}")
  [[ -z ${problem} ]] ||
    die 2 "${certificate} is not valid here: ${problem}; ${leaves}"
  [[ $(names_of "${certificate}") == "${alternative_names}" ]] ||
    die 2 \
      "${certificate} is for $(names_of "${certificate}"), not for" \
      "${alternative_names}; make a new request and sign it; ${leaves}"
  has_same_key "${certificate}" "${key}" ||
    die 2 "${key} does not belong to ${certificate}; ${leaves}"
}

# D15: requests and extension files are not needed any more.
remove_request() {
  local file
  for file in "${folder}/${request_file}" "${folder}/${extensions_file}"; do
    if [[ -e ${file} ]]; then run rm -f -- "${file}"; fi
  done
}

# ---- A renewed pair ---------------------------------------------------------

# 10-request-certificate.sh --renew makes a request in the folder renewal, with
# the same key or with a new one in there. The certificate comes back to it.

# True when a certificate has been asked for and is not here yet.
is_renewal_awaited() {
  [[ -e ${folder}/renewal/${request_file} &&
    ! -e ${folder}/renewal/${certificate_file} ]]
}

# Sets key and certificate to the renewed pair once both halves are here. A
# killed run may have moved one of them already: then it is found at its place.
choose_pair() {
  local renewed_key=${folder}/renewal/${key_file}
  local renewed_certificate=${folder}/renewal/${certificate_file}
  [[ -e ${renewed_key} ]] || renewed_key=${key}
  [[ -e ${renewed_certificate} ]] || renewed_certificate=${certificate}
  [[ -e ${renewed_key} && -e ${renewed_certificate} ]] || return 0
  has_same_key "${renewed_certificate}" "${renewed_key}" || return 0
  key=${renewed_key}
  certificate=${renewed_certificate}
}

# The pair that was in use is kept in the folder previous.
keep_previous_pair() {
  local file
  if [[ -e ${folder}/previous.new ]]; then
    run rm -rf -- "${folder}/previous.new"
  fi
  run mkdir -m 0700 -- "${folder}/previous.new"
  for file in "${key_file}" "${certificate_file}"; do
    keep_copy "${folder}/${file}" "${folder}/previous.new/${file}"
  done
  if [[ -e ${folder}/previous ]]; then run rm -rf -- "${folder}/previous"; fi
  run mv -T -- "${folder}/previous.new" "${folder}/previous"
}

# The renewed pair takes its place: the certificate first, then the key.
finish_renewal() {
  local renewal=${folder}/renewal file
  local -a gone=()
  if [[ ! -d ${renewal} ]]; then return; fi
  if [[ ${certificate} == "${renewal}"/* || ${key} == "${renewal}"/* ]]; then
    for file in "${request_file}" "${extensions_file}"; do
      if [[ -e ${renewal}/${file} ]]; then run rm -f -- "${renewal}/${file}"; fi
      gone+=("${file}")
    done
  fi
  if [[ ${certificate} == "${renewal}"/* ]]; then
    keep_previous_pair
    run mv -fT -- "${certificate}" "${folder}/${certificate_file}"
    certificate=${folder}/${certificate_file}
    gone+=("${certificate_file}")
  fi
  if [[ ${key} == "${renewal}"/* ]]; then
    run mv -fT -- "${key}" "${folder}/${key_file}"
    key=${folder}/${key_file}
    gone+=("${key_file}")
  fi
  # With --check all of it is still there.
  while IFS= read -r file; do
    [[ -z ${file} || " ${gone[*]} " == *" ${file} "* ]] || return 0
  done <<<"$(ls -A -- "${renewal}")"
  run rmdir -- "${renewal}"
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

# Prints the names of the certificate that a server shows, as Go lists them.
names_shown() { # names_shown ADDRESS PORT NAME
  local address=$1 text
  local -a name_options
  if [[ ${address} == *:* ]]; then address="[${address}]"; fi
  expect_name "$3"
  text=$(timeout 10 openssl s_client -connect "${address}:$2" \
    "${name_options[@]}" </dev/null 2>/dev/null |
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

# Prints what the client saw since mark_log, and why, with what to do. Only of
# a refusal does the log say anything.
why_no_answer() { # why_no_answer ANSWER
  local log=''
  if [[ $1 =~ ${refusals} ]]; then log=$(refusal_in_log); fi
  printf '%s; %s\n' "$(reason_in "$1")" "$(explain_handshake "$1" "${log}")"
}

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

is_listen_address() { # is_listen_address HEX: the site's, as the kernel has it
  local own
  own=$(reverse_octets "${listen_hex}")
  [[ $1 == "${own}" ]] || { is_any "$1" && is_any "${own}"; }
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

# ---- User namespaces: what must be right, what vanishes from view -----------

remap_switched=0 # 1 once this run is to switch user namespaces on

# Prints the first of 65536 ids from 100000 on that are in no range. Reads lines
# of the first and the last id of a range.
first_gap() {
  local from to gap=100000
  while read -r from to; do
    if ((from <= gap + 65535 && to >= gap)); then gap=$((to + 1)); fi
  done < <(sort --numeric-sort)
  printf '%d\n' "${gap}"
}

# Prints the first and the last id of each range in a file.
taken_ranges() { # taken_ranges FILE
  local line
  while IFS= read -r line || [[ -n ${line} ]]; do
    if is_range "${line}"; then printf '%d %d\n' "${first}" "${last}"; fi
  done <"$1"
}

# Prints 65536 ids that nobody has, as usermod takes them.
free_ids() {
  local file gap
  gap=$(
    for file in /etc/subuid /etc/subgid; do
      taken_ranges "${file}"
      host_ids "${file}" | while IFS=: read -r _ id; do
        printf '%d %d\n' "${id}" "${id}"
      done
    done | first_gap
  )
  printf '%d-%d\n' "${gap}" $((gap + 65535))
}

# Sets own to the range that dockerd gives dockremap when it makes that user.
# From 28.0 on it looks at no other user's ranges.
predict_range() { # predict_range FILE
  local gap=100000 version
  version=$(dockerd --version)
  if [[ ! ${version} =~ version\ ([0-9]+) ]] || ((BASH_REMATCH[1] < 28)); then
    gap=$(taken_ranges "$1" | first_gap)
  fi
  own=("dockremap:${gap}:65536")
}

# dockerd makes the user of --userns-remap=default, and ranges with it. It does
# not mend one that has none.
check_subordinate_ids() {
  local user file
  [[ -n ${userns_remap} ]] || return 0
  if is_remap_switched "${userns_remap}"; then remap_switched=1; fi
  user=$(remap_user)
  if [[ ${userns_remap} != default ]]; then check_remap_user "${user}"; fi
  for file in /etc/subuid /etc/subgid; do
    [[ -e ${file} ]] ||
      die 2 \
        "there is no ${file}, which dockerd needs for --userns-remap; run:" \
        "touch /etc/subuid /etc/subgid; ${leaves}"
  done
  check_ranges /etc/subuid "${user}" --add-subuids
  check_ranges /etc/subgid "${user}" --add-subgids
}

check_remap_user() { # check_remap_user USER
  has_user "$1" ||
    die 2 \
      "there is no user $1 for userns_remap; run: useradd --system" \
      "--user-group --shell /usr/sbin/nologin $1, or set userns_remap:" \
      "default; ${leaves}"
  getent group "$1" >/dev/null ||
    die 2 \
      "there is no group $1, which dockerd takes too; run: groupadd $1;" \
      "${leaves}"
}

check_ranges() { # check_ranges FILE USER OPTION
  local fault
  if ! has_range "$1" "$2"; then
    if [[ ${userns_remap} == default ]] && ! has_user "$2"; then
      check_predicted_range "$1"
      return
    fi
    die 2 \
      "$1 has no range for $2, and dockerd adds none; run: usermod $3" \
      "$(free_ids) $2; ${leaves}"
  fi
  # Where dockerd has these ids already, verification says it.
  if ((! remap_switched)); then return; fi
  fault=$(range_fault "$1")
  [[ -z ${fault} ]] ||
    die 2 \
      "in $1 ${fault}; take the range of $2 out and run: usermod $3" \
      "$(free_ids) $2; ${leaves}"
}

# Before dockerd makes dockremap with ids that are not its own.
check_predicted_range() { # check_predicted_range FILE
  local fault ids
  predict_range "$1"
  fault=$(range_fault "$1")
  if [[ -z ${fault} ]]; then return; fi
  ids=$(free_ids)
  die 2 \
    "dockerd would give its user dockremap a range in $1 that is not free:" \
    "${fault}; make that user with another one: useradd --system" \
    "--user-group --shell /usr/sbin/nologin dockremap, then usermod" \
    "--add-subuids ${ids} --add-subgids ${ids} dockremap; ${leaves}"
}

# Prints the value of the last --userns-remap in TEXT, or nothing.
remap_in() { # remap_in TEXT
  local text=$1
  [[ ${text} == *--userns-remap=* ]] || return 0
  text=${text##*--userns-remap=}
  printf '%s\n' "${text%%[[:space:]]*}"
}

# Whether a restart takes dockerd to another data folder. What somebody else
# gives it stays: only the drop-in from before this run counts.
is_remap_switched() { # is_remap_switched USERNS_REMAP
  local text='' before=${drop_in}
  if [[ -e ${previous} ]]; then before=${previous}/${drop_in##*/}; fi
  if [[ -e ${before} ]]; then text=$(<"${before}"); fi
  [[ $(remap_in "${text}") != "$1" ]] &&
    [[ $(remap_in "$(running_arguments)") != "$1" ]]
}

# Prints what dockerd has now.
things_in_view() {
  local images containers volumes
  if images=$(docker -H unix:///var/run/docker.sock image ls --all --quiet \
    2>/dev/null | sort --unique | wc -l) &&
    containers=$(docker -H unix:///var/run/docker.sock ps --all --quiet \
      2>/dev/null | wc -l) &&
    volumes=$(docker -H unix:///var/run/docker.sock volume ls --quiet \
      2>/dev/null | wc -l); then
    printf '%d image(s), %d container(s) and %d volume(s)\n' "${images}" \
      "${containers}" "${volumes}"
  else
    printf 'all images, containers and volumes (docker gives no number)\n'
  fi
}

# Prints the running containers that dockerd starts no more with user
# namespaces, each with its reason.
refused_containers() {
  local name names=''
  local -a ids
  local format='{{with .HostConfig}}{{if ne .UsernsMode "host"}}'
  format+='{{if .Privileged}}{{$.Name}} (--privileged)'
  format+='{{else if eq .NetworkMode "host"}}{{$.Name}} (--network=host)'
  format+='{{else if eq .PidMode "host"}}{{$.Name}} (--pid=host)'
  format+='{{end}}{{end}}{{end}}'
  mapfile -t ids < <(docker -H unix:///var/run/docker.sock ps --quiet \
    2>/dev/null || true)
  ((${#ids[@]})) || return 0
  while IFS= read -r name; do
    [[ -z ${name} ]] || names+=", ${name#/}"
  done < <(docker -H unix:///var/run/docker.sock inspect --format "${format}" \
    "${ids[@]}" | sort)
  printf '%s\n' "${names#, }"
}

# With live-restore containers outlive dockerd. They would go on as the user
# that they have now, in no list, and their addresses would be given out again.
refuse_lost_containers() {
  local names live
  if names=$(docker -H unix:///var/run/docker.sock ps --format '{{.Names}}' \
    2>/dev/null); then
    live=$(docker -H unix:///var/run/docker.sock info \
      --format '{{.LiveRestoreEnabled}}')
    [[ ${live} == true && -n ${names} ]] || return 0
    die 2 \
      "with live-restore these containers would go on running where dockerd" \
      "finds them no more: ${names//$'\n'/, }; stop them, and run this again:" \
      "docker stop ${names//$'\n'/ }; ${leaves}"
  fi
  [[ -z $(held_containers) ]] ||
    die 2 \
      'dockerd does not answer, and containers run that it would not find;' \
      "start it (systemctl start docker), stop them (docker stop), and run" \
      "this again; ${leaves}"
}

announce_remap() { # announce_remap USERNS_REMAP
  local refused
  if [[ -z $1 ]]; then
    note \
      'dockerd goes back to the data folder without user namespaces: what was' \
      "hidden there comes back. Out of view until they are on again:" \
      "$(things_in_view)"
    return
  fi
  note \
    "with --userns-remap=$1 dockerd has another data folder. Out of view" \
    "until --undo, and not lost: $(things_in_view)"
  refused=$(refused_containers)
  [[ -z ${refused} ]] ||
    note \
      "with user namespaces dockerd refuses containers like ${refused};" \
      '--userns=host exempts one'
}

# Prints what does not hold of the user namespaces, or nothing.
userns_problem() {
  local file fault
  [[ -n ${userns_remap} ]] || return 0
  is_remapped || printf 'dockerd does not use user namespaces\n'
  if ((! remap_switched)); then return; fi
  # From 28.0 on dockerd gives dockremap ids that others may have.
  for file in /etc/subuid /etc/subgid; do
    read_ranges "${file}" "$(remap_user)"
    fault=$(range_fault "${file}")
    [[ -z ${fault} ]] || printf 'in %s %s\n' "${file}" "${fault}"
  done
}

is_remapped() {
  local text
  text=$(docker -H unix:///var/run/docker.sock info \
    --format '{{.SecurityOptions}}' 2>/dev/null) || return 1
  [[ ${text} == *name=userns* ]]
}

# Sets left to what --userns-remap has made, before it is switched off.
find_remap_data() { # find_remap_data USERNS_REMAP: the one that is to be
  left=''
  [[ -z $1 ]] && is_remap_switched "$1" && is_remapped || return 0
  left=$(docker -H unix:///var/run/docker.sock info \
    --format '{{.DockerRootDir}}' 2>/dev/null) || left=''
}

note_remap_data() {
  [[ -z ${left} ]] ||
    note \
      "kept: ${left}, with what was made in user namespaces, and the user" \
      'whose ids it has'
}

# ---- What dockerd is told, on its command line and in its file --------------

daemon_property() { # daemon_property PROPERTY
  systemctl show --property "$1" --value docker.service
}

# Prints the command line of the running dockerd, one word a line.
running_arguments() {
  local pid
  pid=$(daemon_property MainPID)
  if ((pid)); then tr '\0' '\n' <"/proc/${pid}/cmdline"; fi
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

# ---- What would make dockerd refuse -----------------------------------------

# Options that the drop-in sets: in daemon.json, and on the command line.
own_keys=(hosts)
own_flags='-H|--host|--tls'
if [[ ${icc} == false ]]; then
  own_keys+=(icc)
  own_flags+='|--icc'
fi
if [[ -n ${userns_remap} ]]; then
  own_keys+=(userns-remap)
  own_flags+='|--userns-remap'
fi
readonly -a own_keys
readonly own_flags

# Stops when daemon.json sets one of these keys.
refuse_keys() { # refuse_keys REASON KEY...
  local file=/etc/docker/daemon.json word key text
  for word in "${kept[@]}"; do
    if [[ ${word} == --config-file=* ]]; then file=${word#*=}; fi
  done
  [[ -e ${file} ]] || return 0
  text=$(<"${file}")
  for key in "${@:2}"; do
    [[ ! ${text} =~ \"${key}\"[[:space:]]*: ]] ||
      die 2 \
        "${file} sets \"${key}\" too, $1; remove that key and run this" \
        "again; ${leaves}"
  done
}

check_drop_ins() {
  local file text
  local -a files
  if [[ -e ${drop_in} && $(<"${drop_in}") != "${marker}"* ]]; then
    die 2 \
      "${drop_in} is there and not made by this script; rename it, or set" \
      "drop_in in the site file; ${leaves}"
  fi
  read -r -a files < <(daemon_property DropInPaths)
  for file in "${files[@]}"; do
    [[ ${file} != "${drop_in}" ]] || continue
    text=$'\n'$(<"${file}")
    [[ ! ${text} =~ $'\n'[[:space:]]*ExecStart[[:space:]]*= ]] ||
      die 2 \
        "${file} sets ExecStart too; remove that line and run this again;" \
        "${leaves}"
  done
}

# Where $DOCKER_OPTS comes from, which the unit passes on: files such as
# /etc/default/docker, and Environment= lines.
check_environment() {
  local file line
  while read -r file _; do
    [[ -r ${file#-} ]] || continue
    while IFS= read -r line; do
      [[ ! ${line} =~ ^[A-Z_]+=.*(${own_flags}) ]] ||
        die 2 \
          "${file#-} passes ${BASH_REMATCH[1]} to dockerd too; remove it" \
          "there; ${leaves}"
    done <"${file#-}"
  done < <(daemon_property EnvironmentFiles)
  [[ ! $(daemon_property Environment) =~ [A-Z_]+=.*(${own_flags}) ]] ||
    die 2 "an Environment= line of docker.service passes" \
      "${BASH_REMATCH[1]} to dockerd too; systemctl cat docker.service shows" \
      "it; ${leaves}"
}

# 0.0.0.0 and :: are on every machine.
check_address() {
  local text pattern
  case ${listen_address} in
    0.0.0.0 | :: | 127.*) return ;;
    *:*)
      text=$(</proc/net/if_inet6)
      [[ ${text} != *"${listen_hex,,}"* ]] || return 0
      ;;
    *)
      text=$(</proc/net/fib_trie)
      pattern="[|]-- ${listen_address//./[.]}"$'\n *'/32\ host\ LOCAL
      [[ ! ${text} =~ ${pattern} ]] || return 0
      ;;
  esac
  die 2 \
    "this machine does not have the address ${listen_address} to listen on;" \
    'correct listen in the site file, or give the address to an interface;' \
    "${leaves}"
}

# Prints the inodes of the sockets that listen where dockerd is to listen.
sockets_in_the_way() {
  local port place inode
  printf -v port '%04X' "${listen_port}"
  while read -r place inode; do
    [[ ${place##*:} == "${port}" ]] || continue
    is_listen_address "${place%:*}" || is_any "${place%:*}" ||
      is_any "${listen_hex}" || continue
    printf '%s\n' "${inode}"
  done < <(listening_sockets)
}

check_port() {
  local inode text pid daemon pattern
  daemon=$(daemon_property MainPID)
  for inode in $(sockets_in_the_way); do
    text=$(stat --format '%N' /proc/[0-9]*/fd/* 2>/dev/null) || true
    pid=0
    pattern="/proc/([0-9]+)/fd/[0-9]+' -> 'socket:.${inode}.'"
    if [[ ${text} =~ ${pattern} ]]; then
      pid=${BASH_REMATCH[1]}
    fi
    ((pid)) ||
      die 2 \
        "something listens on port ${listen_port} already; ${leaves}"
    if ((pid == daemon)); then continue; fi
    die 2 \
      "port ${listen_port} is in use by $(<"/proc/${pid}/comm") (process" \
      "${pid}); stop it, or set another port in the site file; ${leaves}"
  done
}

# The site's icc: true sets nothing, so that a machine may be stricter. It is
# told all the same: verification holds the machine against the site.
note_stricter_icc() {
  local where=''
  if [[ ${icc} == true ]]; then where=$(where_in_file icc false); fi
  [[ -z ${where} ]] ||
    note \
      "${where} keeps containers of the default bridge apart, and the site" \
      'has icc: true; set icc: false for this host in the site file and' \
      'remove that key, or verification fails'
}

# dockerd does not start with icc off where it may not filter.
check_filter() {
  local where=''
  if [[ ${icc} == false ]]; then where=$(where_in_file iptables false); fi
  [[ -z ${where} ]] ||
    die 2 \
      "the site has icc: false, and dockerd cannot keep containers apart with" \
      "${where}; remove that key and run this again; ${leaves}"
}

# What every mode checks; each names the keys of daemon.json itself.
check_machine() {
  check_drop_ins
  check_environment
  check_address
  check_port
  check_subordinate_ids
  check_filter
  note_stricter_icc
}

# ---- What dockerd gets ------------------------------------------------------

readonly marker="# Written by dockseal ${script}; --undo removes it."

# Prints the ExecStart= of the unit file itself, its continuation lines joined.
stock_command() {
  local line command='' unit
  unit=$(daemon_property FragmentPath)
  while IFS= read -r line; do
    if [[ ${command} == *\\ ]]; then
      command="${command%\\} ${line}"
    elif [[ ${line} == ExecStart=?* ]]; then
      command=${line#ExecStart=}
    fi
  done <"${unit}"
  printf '%s\n' "${command}"
}

# Sets dockerd (its path) and kept (what the stock unit passes besides -H).
read_stock_command() {
  local -a words
  local word skip=0
  read -r -a words < <(stock_command)
  dockerd=${words[0]:-}
  [[ -x ${dockerd} ]] ||
    die 2 "docker.service does not start a dockerd that is there: ${words[*]}"
  kept=()
  for word in "${words[@]:1}"; do
    if ((skip)); then
      skip=0
      continue
    fi
    case ${word} in
      -H | --host) skip=1 ;;
      -H* | --host=*) ;;
      *)
        [[ ! ${word} =~ ^(${own_flags}) ]] ||
          die 2 "the unit file of docker.service passes ${word} itself"
        kept+=("${word}")
        ;;
    esac
  done
}

# D02: the empty ExecStart= clears the stock one.
drop_in_text() {
  printf '%s\n' "${marker}" '[Service]' 'ExecStart='
  printf 'ExecStart=%s' "${dockerd}"
  printf ' \\\n  %s' '-H unix:///var/run/docker.sock' "-H tcp://${listen}" \
    "${flags[@]}" "${kept[@]}"
  printf '\n'
}

install_drop_in() {
  if [[ ! -d ${drop_in%/*} ]]; then run mkdir -p -m 0755 -- "${drop_in%/*}"; fi
  write_file "${drop_in}" 0644 "$(drop_in_text)"
}

is_drop_in_ours() {
  [[ -e ${drop_in} && $(<"${drop_in}") == "${marker}"* ]]
}

# ---- The switch to the new flags, and the way back --------------------------

# The script that has this part names what it replaces, in the array replaced:
# files and links. Their copies are kept in the folder previous until the new
# ones are proven. While it exists, a run was interrupted: the next one
# finishes the work.

copy_replaced() { # copy_replaced PATH COPY
  if [[ -L $1 ]]; then run cp -PpT -- "$1" "$2"; else keep_copy "$1" "$2"; fi
}

save_replaced() {
  local path
  if [[ -e ${previous} ]]; then return; fi
  if [[ -e ${previous}.new ]]; then run rm -rf -- "${previous}.new"; fi
  run mkdir -p -m 0700 -- "${previous}.new"
  for path in "${replaced[@]}"; do
    if [[ -e ${path} || -L ${path} ]]; then
      copy_replaced "${path}" "${previous}.new/${path##*/}"
    fi
  done
  run mv -T -- "${previous}.new" "${previous}"
}

restore_replaced() {
  local path copy
  for path in "${replaced[@]}"; do
    copy=${previous}/${path##*/}
    if [[ -e ${copy} || -L ${copy} ]]; then
      run rm -f -- "${path}.new"
      copy_replaced "${copy}" "${path}.new"
      run mv -fT -- "${path}.new" "${path}"
    else
      run rm -f -- "${path}"
    fi
  done
  remove_drop_in_folder
}

# Where nothing else stands in it.
remove_drop_in_folder() {
  if [[ -d ${drop_in%/*} && -z $(ls -A -- "${drop_in%/*}") ]]; then
    run rmdir -- "${drop_in%/*}"
  fi
}

# docker.socket too, where dockerd requires it: dockerd replaces the socket's
# file. A restart of the socket restarts dockerd with it, as one transaction
# that systemd brings to its end whatever becomes of this script; start waits
# for it. A dockerd that fails is tried again and again: then systemd restarts
# no socket, and both are stopped first.
# KillMode=process leaves containers of a live-restore daemon running.
restart_docker() {
  local required
  # D03: and a restart, without which the old flags stay.
  run systemctl daemon-reload
  run systemctl reset-failed docker.service
  required=$(daemon_property Requires)
  if [[ " ${required} " != *' docker.socket '* ]]; then
    run systemctl restart docker.service
    return
  fi
  run systemctl reset-failed docker.socket
  if systemctl --quiet is-active docker.service; then
    run systemctl restart docker.socket
    run systemctl start docker.service
  else
    run systemctl stop docker.socket
    run systemctl restart docker.service
  fi
}

# Waits until all holds; sets problem to what does not after 30 seconds. Before
# it answers, dockerd itself waits 1 second for TCP without client certificates,
# and 15 more for plain TCP on other addresses than loopback.
wait_for_daemon() {
  local deadline=$((SECONDS + 30))
  problem='docker.service is not active'
  while ((SECONDS < deadline)); do
    if systemctl --quiet is-active docker.service; then
      problem=$(daemon_problem)
      [[ -n ${problem} ]] || return 0
    elif systemctl --quiet is-failed docker.service; then
      return 0
    fi
    sleep 0.2
  done
}

# Sets daemon_log and outcome, for give_up.
put_back() { # put_back PROBLEM
  outcome='the previous state is back and docker.service runs with it'
  daemon_log=$(journalctl --unit docker.service --no-pager --output cat \
    --lines 12) || true
  note "$1; putting the previous state back"
  restore_replaced
  restart_docker ||
    outcome='docker.service does not start with the previous state either'
  run rm -rf -- "${previous}"
}

give_up() { # give_up PROBLEM
  printf '%s\n' '---- the daemon said ----' "${daemon_log}" '----' >&2
  die 1 "$1; ${outcome}"
}

# ---- Questions and requirements ---------------------------------------------

# Prints how many containers a restart interrupts.
running_containers() {
  local text
  local -a ids=()
  if text=$(docker -H unix:///var/run/docker.sock ps --quiet 2>/dev/null); then
    if [[ -n ${text} ]]; then mapfile -t ids < <(printf '%s\n' "${text}"); fi
    printf '%d running container(s)\n' "${#ids[@]}"
  else
    printf 'an unknown number of containers (docker ps got no answer)\n'
  fi
}

# A daemon with live-restore leaves its containers running.
what_restart_does() {
  local live
  live=$(docker -H unix:///var/run/docker.sock info \
    --format '{{.LiveRestoreEnabled}}' 2>/dev/null) || live=false
  if [[ ${live} == true ]]; then
    printf 'live-restore keeps %s running' "$(running_containers)"
  else
    printf 'It interrupts %s' "$(running_containers)"
  fi
}

# WARNING is what the operator must know of the state that this leads to.
confirm_restart() { # confirm_restart USERNS_REMAP WARNING
  local hidden=''
  if is_remap_switched "$1"; then
    refuse_lost_containers
    announce_remap "$1"
    hidden=" and hides $(things_in_view)"
  fi
  confirm "Restart dockerd now? $(what_restart_does)${hidden}.$2"
}

# Without systemd as the init system there is nothing that this can configure.
need_systemd() { # need_systemd BY_HAND
  local flag
  [[ -d /run/systemd/system ]] && return
  note "systemd does not run this machine. To start dockerd by hand, $1"
  {
    printf '%s -H unix:///var/run/docker.sock -H tcp://%s' \
      "$(command -v dockerd)" "${listen}"
    for flag in "${flags[@]}"; do printf ' %s' "${flag}"; done
    printf '\n'
  } >&2
  die 2 "systemd is needed; ${leaves}"
}

need_daemon() { # need_daemon BY_HAND
  command -v dockerd >/dev/null ||
    die 2 \
      'dockerd is not installed; install docker.io (Debian) or docker-ce, or' \
      'run this on the Docker host'
  need_systemd "$1"
  ((EUID == 0)) || die 2 'this needs root: run it with sudo'
  [[ $(daemon_property LoadState) == loaded ]] ||
    die 2 \
      "there is no docker.service; install dockerd's systemd unit; ${leaves}"
  # One daemon, one run, whatever the working folder.
  if [[ ${verb} != check ]]; then lock /run/dockseal.lock; fi
}

# ---- Installing the certificate ---------------------------------------------

readonly purpose=sslserver signer=ca/20-sign-servers.sh
readonly accepts=' --dir --yes --check --undo --remove-keys --help '
readonly previous=${tls_directory}.previous
readonly -a replaced=("${drop_in}" "${tls_directory}")

check_tls_directory() {
  local target
  if [[ ! -e ${tls_directory} && ! -L ${tls_directory} ]]; then return; fi
  target=$(readlink -- "${tls_directory}") || target=''
  [[ ${target} =~ ^"${tls_directory##*/}"-[0-9a-f]{16}$ ]] ||
    die 2 \
      "${tls_directory} is there and not made by this script; move it away," \
      "or set tls_directory in the site file; ${leaves}"
}

# A pair gets a folder of its own; the switch to it is one rename of a link.
# Its name comes from the public files: the same pair has the same folder.
generation_of() {
  local digest
  digest=$(cat -- "${ca}" "${certificate}" | sha256sum)
  printf '%s\n' "${tls_directory}-${digest:0:16}"
}

is_generation_whole() { # is_generation_whole FOLDER
  is_same_file "${ca}" "$1/${ca_certificate_file}" &&
    is_same_file "${certificate}" "$1/${certificate_file}" &&
    is_same_file "${key}" "$1/${key_file}" &&
    [[ $(stat --format '%a %u' -- "$1/${key_file}") == '400 0' ]]
}

# Modes after the CIS Docker Benchmark: certificates 0444, the key 0400.
install_generation() { # install_generation FOLDER
  local parent=${tls_directory%/*}
  if [[ ! -d ${parent} ]]; then run mkdir -p -m 0755 -- "${parent}"; fi
  remove "$1.new"
  run mkdir -m 0700 -- "$1.new"
  # D15: what the daemon gets, with owners and modes.
  run install -o root -g root -m 0444 -T -- "${ca}" \
    "$1.new/${ca_certificate_file}"
  run install -o root -g root -m 0444 -T -- "${certificate}" \
    "$1.new/${certificate_file}"
  run install -o root -g root -m 0400 -T -- "${key}" "$1.new/${key_file}"
  if [[ ${verb} != check ]]; then
    is_generation_whole "$1.new" ||
      die 1 "$1.new did not read back; is the disk full? ${leaves}"
  fi
  run sync -- "$1.new/${ca_certificate_file}" "$1.new/${certificate_file}" \
    "$1.new/${key_file}"
  remove "$1"
  run mv -T -- "$1.new" "$1"
}

remove() { # remove FOLDER
  if [[ -e $1 ]]; then run rm -rf -- "$1"; fi
}

point_link_at() { # point_link_at FOLDER
  run ln -sfnT -- "${1##*/}" "${tls_directory}.new"
  run mv -T -- "${tls_directory}.new" "${tls_directory}"
}

remove_generations() { # remove_generations KEEP: all folders but KEEP
  local generation
  for generation in "${tls_directory}"-*; do
    [[ -d ${generation} && ${generation} != "$1" ]] || continue
    [[ ${generation} =~ -[0-9a-f]{16}(\.new)?$ ]] || continue
    if [[ -e ${generation}/${key_file} ]] && ((! remove_keys)) &&
      ! is_same_file "${key}" "${generation}/${key_file}" &&
      ! is_same_file "${folder}/previous/${key_file}" \
        "${generation}/${key_file}"; then
      note "kept: ${generation}, which has another key than ${key}"
      continue
    fi
    run rm -rf -- "${generation}"
  done
}

# ---- Proof ------------------------------------------------------------------

# Prints what does not hold, or nothing.
daemon_problem() {
  is_running_with_flags || {
    printf 'dockerd does not run with the new flags\n'
    return
  }
  case ${daemon_mode} in
    mutual) mutual_problem ;;
    *) server_only_problem ;;
  esac
  userns_problem
}

ask() { # ask S_CLIENT_OPTION...
  ask_daemon "${probe_address}" "${listen_port}" "${probe_name}" "${ca}" "$@"
}

mutual_problem() {
  local client answer refused='alert (bad certificate|certificate required)'
  client=$(find_client)
  mark_log
  if [[ -n ${client} ]]; then
    answer=$(ask -cert "${client}/${client_certificate_file}" \
      -key "${client}/${client_key_file}")
    is_answer "${answer}" || {
      printf 'a client with a certificate got no answer: %s\n' \
        "$(why_no_answer "${answer}")"
      return
    }
  fi
  answer=$(ask)
  if is_answer "${answer}"; then
    printf 'a client without a certificate was not refused: it got an answer\n'
  elif [[ ! ${answer} =~ ${refused} ]]; then
    printf 'a client without a certificate was not refused: %s\n' \
      "$(why_no_answer "${answer}")"
  fi
}

server_only_problem() {
  local answer
  mark_log
  answer=$(ask)
  is_answer "${answer}" || {
    printf 'a client that trusts this CA got no answer: %s\n' \
      "$(why_no_answer "${answer}")"
    return
  }
  answer=$(ask_in_plain_text /_ping)
  [[ ${answer} == *'HTTP request to an HTTPS server'* ]] ||
    printf 'plain HTTP was not refused: %s\n' "${answer:-no answer}"
}

# ---- The verbs --------------------------------------------------------------

# What the operator must know of the state that this leads to.
warning() {
  [[ ${daemon_mode} != server-only ]] ||
    printf ' Then everyone who reaches %s is root on this machine.' "${listen}"
}

check_conflicts() {
  refuse_keys 'and dockerd refuses both' \
    tls tlsverify tlscacert tlscert tlskey "${own_keys[@]}"
  check_machine
  check_tls_directory
}

is_installed() {
  [[ ! -e ${previous} && -L ${tls_directory} &&
    $(realpath -m -- "${tls_directory}") == "${generation}" &&
    -f ${drop_in} && $(<"${drop_in}") == "$(drop_in_text)" ]] &&
    is_generation_whole "${generation}" && is_running_with_flags
}

# Sets generation to the folder of the pair that is to be installed.
choose_generation() {
  choose_pair
  if [[ ${verb} == check ]] && is_renewal_awaited; then
    note 'a renewed certificate is not here yet'
    generation=${tls_directory}-DIGEST
  elif [[ ${verb} == check && ! -e ${certificate} ]]; then
    note "${certificate} is not here yet"
    generation=${tls_directory}-DIGEST
  else
    check_certificate
    generation=$(generation_of)
  fi
}

roll_back() { # roll_back PROBLEM
  put_back "$1"
  remove_generations "$(realpath -m -- "${tls_directory}")"
  give_up "$1"
}

apply() {
  local problem='' left
  read_stock_command
  check_conflicts
  choose_generation
  if is_installed; then
    finish_renewal
    remove_generations "${generation}"
    remove_request
    finish
  fi
  confirm_restart "${userns_remap}" "$(warning)"
  find_remap_data "${userns_remap}"
  save_replaced
  leaves="${previous} holds the previous state; run this again to finish"
  if ! is_generation_whole "${generation}"; then
    install_generation "${generation}"
  fi
  point_link_at "${generation}"
  install_drop_in
  if [[ ${verb} == check ]]; then
    restart_docker
    finish
  fi
  restart_docker || roll_back 'docker.service did not start'
  wait_for_daemon
  [[ -z ${problem} ]] || roll_back "${problem}"
  run rm -rf -- "${previous}"
  finish_renewal
  remove_generations "${generation}"
  remove_request
  note_remap_data
  note_what_holds
  finish
}

note_what_holds() {
  if [[ ${daemon_mode} == server-only ]]; then
    note \
      "dockerd shows a certificate of this CA and asks for none: everyone who" \
      "reaches ${listen} is root on this machine"
    return
  fi
  note \
    'dockerd answers clients of this CA, and refuses a client without a' \
    'certificate'
  [[ -n $(find_client) ]] ||
    note \
      "no client's files are here: clients/NAME/90-verify.sh shows that a" \
      'client gets an answer'
}

undo() {
  local restart=0 left=''
  if is_drop_in_ours; then
    confirm_restart '' ''
    find_remap_data ''
    run rm -f -- "${drop_in}"
    restart=1
  fi
  remove_drop_in_folder
  leaves="the drop-in ${drop_in} is removed; run this again to finish"
  if ((restart)) || is_running_with_flags; then restart_docker; fi
  if [[ -L ${tls_directory} ]]; then run rm -f -- "${tls_directory}"; fi
  if [[ -e ${previous} ]]; then run rm -rf -- "${previous}"; fi
  remove_generations ''
  note_remap_data
  finish
}

main() {
  parse_options "$@"
  folder=${dir}/${script%/*}
  key=${folder}/${key_file}
  certificate=${folder}/${certificate_file}
  ca=${folder}/${ca_certificate_file}
  need_openssl
  need_daemon \
    "install the files of ${folder} in ${tls_directory} and run:"
  if [[ ${verb} == undo ]]; then undo; else apply; fi
}

main "$@"
