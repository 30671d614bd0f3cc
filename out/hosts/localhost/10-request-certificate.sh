#!/usr/bin/env bash
# Makes the private key and the certificate signing request of one server.
# An existing key is never replaced, and it never leaves this machine.
#
# Reads:      DIR/hosts/localhost/: certificate.pem, ca-public.pem
# Writes:     DIR/hosts/localhost/: server-key.pem, request.csr, .lock;
#             DIR/hosts/localhost/renewal/: server-key.pem, request.csr
# Temporary:  DIR/hosts/localhost/request.cnf;
#             DIR/hosts/localhost/renewal/request.cnf
# Restarts:   nothing
# Needs root: no
# Undo:       removes the requests; lists the keys and keeps them, unless
#             --remove-keys
# Options:    --dir DIR (~/docker-tls)  --renew [--new-key]  --yes  --check
#             --undo [--remove-keys]  --help
# Status:     0 done, 1 failed, 2 wrong use, 3 --check found changes to make
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

readonly script='hosts/localhost/10-request-certificate.sh'
readonly name='localhost'
readonly key_type='rsa:4096'
readonly alternative_names='DNS:localhost,IP:127.0.0.1'
readonly key_file='server-key.pem'
readonly request_file='request.csr'
readonly certificate_file='certificate.pem'
readonly ca_certificate_file='ca-public.pem'

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

# Whoever changes something says so first. What was printed is what was done:
# the state to report when a command fails.
begin_change() {
  changed=1
  if [[ ${verb} != check && ${leaves} == 'nothing was changed' ]]; then
    leaves='the lines above that begin with + were run, the last one perhaps in'
    leaves+=' part; run this again to finish'
  fi
}

# Commands that change something are printed so that they can be typed again:
# --check prints them on standard output and does no more.
print_line() { # print_line TEXT
  begin_change
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
  begin_change
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

# Makes a working folder; refuses one that somebody else could change.
open_folder() { # open_folder FOLDER
  if [[ $1 == "${dir}"/* ]]; then need_no_links "$1"; fi
  if [[ ! -d $1 ]]; then
    need_safe_parent "$1"
    # Another first run may have made it by now: -p finds no fault with that.
    run mkdir -p -m 0700 -- "$1"
    [[ ${verb} != check ]] || return 0
  fi
  need_safe "$1"
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

# Opens the folder of one party below DIR, for this run alone.
open_party() { # open_party FOLDER
  open_folder "${dir}"
  if [[ ${1%/*} != "${dir}" ]]; then open_folder "${1%/*}"; fi
  open_folder "$1"
  if [[ ${verb} != check ]]; then lock "$1/.lock"; fi
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

# The configuration of every look at a request: the machine's openssl.cnf has no
# say in it.
request_settings() {
  printf '%s\n' '[req]' 'distinguished_name = subject' '[subject]'
}

key_of_request() { # key_of_request REQUEST
  openssl req -in "$1" -noout -pubkey -config <(request_settings)
}

# Prints why a file is not read as a key, certificate or request, or nothing.
# A pipe would be waited for, and a device or a large file read without end.
why_not_plain() { # why_not_plain FILE
  if [[ ! -e $1 && ! -L $1 ]]; then
    return
  elif [[ ! -f $1 ]]; then
    printf 'it is not a regular file\n'
  elif (($(stat --dereference --format '%s' -- "$1") > 65536)); then
    printf 'it is larger than 64 KiB\n'
  elif [[ ! -r $1 ]]; then
    printf '%s may not read it\n' "$(id -un)"
  fi
}

need_plain() { # need_plain FILE...
  local file problem
  for file in "$@"; do
    problem=$(why_not_plain "${file}")
    [[ -z ${problem} ]] || die 2 "${file}: ${problem}; ${leaves}"
  done
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

# Prints the version and the extensions of a certificate, sorted, one a line, in
# small letters without blanks; of a key identifier only that it is there.
extensions_of() { # extensions_of CERTIFICATE
  local line text=''
  while IFS= read -r line; do
    if [[ ${line} =~ ^\ {0,12}[^\ ] ]]; then text+=$'\n'; fi
    text+=${line//[[:space:]]/}
    if [[ ${text} =~ KeyIdentifier:[^$'\n']*$ ]]; then
      text=${text%KeyIdentifier:*}KeyIdentifier:
    fi
  done < <(openssl x509 -in "$1" -noout -text \
    -certopt no_header,no_serial,no_signame,no_validity,no_subject,no_issuer \
    -certopt no_pubkey,no_sigdump,no_aux)
  sort <<<"${text,,}"
}

# Prints the same of a certificate as this CA makes it.
expected_extensions() { # expected_extensions NAMES PURPOSE KEY_USAGE
  local text use=server
  if [[ $2 == sslclient ]]; then use=client; fi
  printf -v text '%s\n' 'Version:3(0x2)' 'X509v3extensions:' \
    "X509v3SubjectAlternativeName:${1//IP:/IPAddress:}" \
    "X509v3ExtendedKeyUsage:TLSWeb${use}Authentication" \
    'X509v3BasicConstraints:criticalCA:FALSE' \
    "X509v3KeyUsage:critical${3// /}" \
    'X509v3SubjectKeyIdentifier:' 'X509v3AuthorityKeyIdentifier:'
  sort <<<"${text,,}"
}

# True when a certificate has these names, is for this purpose, and has nothing
# else in it. RSA keys of earlier versions have no keyEncipherment.
is_of_profile() { # is_of_profile CERTIFICATE NAMES PURPOSE
  local found use
  found=$(extensions_of "$1") || return 1
  for use in digitalSignature 'digitalSignature, keyEncipherment'; do
    if [[ ${found} == "$(expected_extensions "$2" "$3" "${use}")" ]]; then
      return
    fi
  done
  return 1
}

# True when the CA issued the certificate for these names and this purpose
# (sslserver or sslclient) and nothing else, and it is valid now.
is_good_certificate() { # is_good_certificate CERTIFICATE CA NAMES PURPOSE
  [[ -f $1 && -f $2 ]] && (($(stat --format '%s' -- "$1") <= 65536)) &&
    openssl verify -x509_strict -purpose "$4" -CAfile "$2" "$1" &>/dev/null &&
    is_of_profile "$1" "$3" "$4"
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

# ---- Undo -------------------------------------------------------------------

# What --undo removes, or would: --check prints what then becomes empty too.
declare -A removed=()

remove_file() { # remove_file FILE
  if [[ -e $1 || -L $1 ]]; then run rm -f -- "$1"; fi
  removed[$1]=1
}

# Certificates and keys are listed and kept, unless --remove-keys.
undo_working_files() { # undo_working_files FILE...
  local file
  for file in "$@"; do
    [[ -e ${file} || -L ${file} ]] || continue
    need_no_links "${file%/*}"
    if ((remove_keys)); then
      remove_file "${file}"
    else
      note "kept: ${file} (--undo --remove-keys removes it)"
    fi
  done
}

# True when a folder holds its lock and nothing else that stays.
is_left_empty() { # is_left_empty FOLDER
  local entry
  [[ -d $1 && ! -L $1 ]] || return 1
  while IFS= read -r entry; do
    [[ ${entry} == .lock || -n ${removed["$1/${entry}"]:-} ]] || return 1
  done < <(ls -A -- "$1")
}

# Removes a working folder once it is empty, and those above it up to DIR. A
# killed run may have removed some of them.
undo_folder() { # undo_folder FOLDER
  local path=$1
  need_no_links "$1"
  while [[ ${path}/ == "${dir}"/* ]]; do
    if [[ -e ${path} || -L ${path} ]]; then
      if ! is_left_empty "${path}"; then return; fi
      remove_file "${path}/.lock"
      run rmdir -- "${path}"
    fi
    removed[${path}]=1
    path=${path%/*}
  done
}

# ---- This script ------------------------------------------------------------

accepts=' --dir --renew --new-key --yes --check --undo --remove-keys --help '
readonly accepts
readonly purpose=sslserver

# ---- A private key and a certificate signing request ------------------------

make_key() { # make_key FILE
  case ${key_type} in
    rsa:*)
      # D06: openssl genrsa -out server-key.pem 4096
      # D11: openssl genrsa -out client-key.pem 4096
      run openssl genrsa -out "$1" "${key_type#rsa:}"
      ;;
    ec:*)
      run openssl genpkey -algorithm EC \
        -pkeyopt "ec_paramgen_curve:${key_type#ec:}" \
        -pkeyopt ec_param_enc:named_curve -out "$1"
      ;;
    *) run openssl genpkey -algorithm ED25519 -out "$1" ;;
  esac
}

create_key() {
  run rm -f -- "${key}.new"
  make_key "${key}.new"
  if [[ ${verb} != check ]]; then
    # openssl exits with 0 when the disk is full: read the key back.
    openssl pkey -in "${key}.new" -noout ||
      die 1 "${key}.new is not a whole key; is the disk full? ${leaves}"
  fi
  run sync -- "${key}.new"
  run mv -nT -- "${key}.new" "${key}"
  run sync -- "${key%/*}"
}

# True when a request is what the CA will sign: of this key, for this name, with
# no extensions, and not a byte beside it.
is_good_request() { # is_good_request REQUEST
  local text
  [[ -f $1 && -f ${key} ]] || return 1
  text=$(openssl req -in "$1" -noout -verify -subject -nameopt RFC2253 \
    -config <(request_settings) 2>/dev/null) || return 1
  [[ ${text} == *"subject=CN=${name}" ]] || return 1
  text=$(openssl req -in "$1" -config <(request_settings)) || return 1
  cmp --quiet -- "$1" <(printf '%s\n' "${text}") || return 1
  text=$(openssl asn1parse -in "$1")
  [[ ${text} != *'Extension Request'* ]] || return 1
  [[ $(key_of_request "$1") == "$(
    openssl pkey -in "${key}" -passin pass: -pubout
  )" ]]
}

create_request() {
  # D07: openssl req -subj "/CN=example.com" -sha256 -new
  #      -key server-key.pem -out request.csr
  # D12: openssl req -subj '/CN=client' -new
  #      -key client-key.pem -out client-request.csr
  run rm -f -- "${request}.new"
  write_file "${request%/*}/request.cnf" 0600 "$(request_settings)"
  run openssl req -subj "/CN=${name}" -sha256 -new \
    -key "${key}" -out "${request}.new" -config "${request%/*}/request.cnf"
  run rm -f -- "${request%/*}/request.cnf"
  if [[ ${verb} != check ]]; then
    is_good_request "${request}.new" ||
      die 1 "${request}.new is not a whole request; is the disk full? ${leaves}"
  fi
  run sync -- "${request}.new"
  run mv -fT -- "${request}.new" "${request}"
}

# What the operator compares by voice with what the CA machine shows.
show_public_key() {
  local digest
  digest=$(openssl pkey -in "${key}" -pubout -outform DER | sha256sum)
  note "public key sha256: ${digest%% *}"
}

# The renewal is made beside the pair in use, which stays as it is until
# 20-configure-* switches over.
choose_renewal() {
  local renewal=${folder}/renewal
  open_folder "${renewal}"
  if ((new_key)) || [[ -e ${renewal}/${key_file} ]]; then
    key=${renewal}/${key_file}
  fi
  request=${renewal}/${request_file}
  certificate=${renewal}/${certificate_file}
}

undo() {
  local file renewal=${folder}/renewal
  for file in "${folder}" "${renewal}"; do
    need_no_links "${file}"
    remove_file "${file}/${request_file}"
    remove_file "${file}/request.cnf"
  done
  undo_working_files "${renewal}/${key_file}" "${renewal}/${certificate_file}" \
    "${folder}/previous/${key_file}" "${folder}/previous/${certificate_file}" \
    "${key}"
  undo_folder "${renewal}"
  undo_folder "${folder}/previous"
  undo_folder "${folder}"
}

main() {
  local problem
  parse_options "$@"
  need_openssl
  folder=${dir}/${script%/*}
  need_access "${folder}"
  key=${folder}/${key_file}
  request=${folder}/${request_file}
  certificate=${folder}/${certificate_file}
  if [[ ${verb} == undo ]]; then
    undo
    finish
  fi
  need_access "${folder}"
  need_plain "${key}" "${certificate}" "${folder}/${ca_certificate_file}"
  if ((renew)); then
    [[ -e ${key} && -e ${certificate} ]] ||
      die 2 \
        "there is no ${certificate} to renew. Run this as the user who has it" \
        '(with sudo, where that is root), or give its --dir; for a first' \
        'certificate run this without --renew'
  fi
  open_party "${folder}"
  if ((renew)); then choose_renewal; fi
  need_plain "${key}" "${request}" "${certificate}"
  if [[ ! -e ${key} ]]; then
    create_key
  elif ! openssl pkey -in "${key}" -passin pass: -noout 2>/dev/null; then
    die 2 "${key} exists and is not an unencrypted private key; move it away"
  fi
  if [[ -e ${certificate} && -e ${folder}/${ca_certificate_file} ]]; then
    problem=$(why_not_valid "${certificate}" \
      "${folder}/${ca_certificate_file}" "${purpose}")
    [[ ${problem} != *'not yet valid'* ]] || die 2 "${certificate}: ${problem}"
  fi
  if ! is_good_request "${request}" && ! {
    is_good_certificate "${certificate}" "${folder}/${ca_certificate_file}" \
      "${alternative_names}" "${purpose}" &&
      has_same_key "${certificate}" "${key}"
  }; then
    create_request
    if [[ ${verb} != check ]]; then show_public_key; fi
  fi
  finish
}

main "$@"
