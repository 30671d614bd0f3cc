#!/usr/bin/env bash
# Signs the clients' certificates. The table below is all that this CA will
# certify: names, use and lifetime come from it, never from a request.
#
# Reads:      DIR/ca/: ca-private.pem, ca-public.pem;
#             DIR/clients/client/client-request.csr
# Writes:     DIR/clients/client/: client-certificate.pem, ca-public.pem;
#             DIR/clients/client/renewal/client-certificate.pem; DIR/ca/:
#             ca-public.srl, ledger.txt, refused.txt, .lock
# Removes:    DIR/clients/client/: client-request.csr, extfile-client.cnf;
#             DIR/clients/client/renewal/: client-request.csr,
#             extfile-client.cnf
# Temporary:  DIR/ca/extfile-client.cnf
# Restarts:   nothing
# Needs root: no
# Undo:       lists the certificates and keeps them, unless --remove-keys
# Options:    --dir DIR (~/docker-tls)  --passphrase-file FILE  --yes
#             --check  --undo [--remove-keys]  --help
# Status:     0 done, 1 failed, 2 wrong use, 3 --check found changes to make,
#             5 waits for a request, 6 refused one
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

readonly script='ca/30-sign-clients.sh'
readonly ca_key_file='ca-private.pem'
readonly ca_certificate_file='ca-public.pem'
readonly ledger_file='ledger.txt'
readonly key_file='client-key.pem'
readonly request_file='client-request.csr'
readonly extensions_file='extfile-client.cnf'
readonly certificate_file='client-certificate.pem'
# name, key type, days, subject alternative names
readonly -a table=(
  'client' 'rsa:4096' 365 'DNS:client'
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

# Copies a file, and has the copy on the disk before it counts. What has the
# copy's name already is removed, and not written through.
keep_copy() { # keep_copy FILE COPY
  run cp -p --remove-destination -T -- "$1" "$2"
  run sync -- "$2"
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

# ---- The ledger: one line for each certificate ------------------------------

# Serial, party, first and last moment (UTC), sha256 of the certificate and of
# its public key, serial of its CA's certificate, names, subject. A line is
# added before a certificate gets its name, and none is ever changed: what is
# not here was not handed out.
ledger_header='# serial party begins ends sha256 key_sha256 issuer names'
ledger_header+=' subject'
readonly ledger_header

digest_of() { # digest_of CERTIFICATE
  local digest
  digest=$(openssl x509 -in "$1" -outform DER | sha256sum)
  printf '%s\n' "${digest%% *}"
}

# Prints the sha256 of a public key in PEM, read from standard input.
digest_of_key() {
  local digest
  digest=$(openssl pkey -pubin -outform DER | sha256sum)
  printf '%s\n' "${digest%% *}"
}

is_in_ledger() { # is_in_ledger CERTIFICATE
  local digest
  [[ -f $1 && -f ${ledger} ]] || return 1
  digest=$(openssl x509 -in "$1" -outform DER 2>/dev/null | sha256sum) ||
    return 1
  [[ $(<"${ledger}") == *" ${digest%% *} "* ]]
}

serial_of() { # serial_of CERTIFICATE
  local serial
  serial=$(openssl x509 -in "$1" -noout -serial)
  printf '%s\n' "${serial#serial=}"
}

# Prints the line of a certificate.
ledger_line() { # ledger_line PARTY CERTIFICATE CA
  local key value names
  local -A found=()
  while IFS='=' read -r key value; do
    found[${key}]=${value}
  done < <(openssl x509 -in "$2" -noout -serial -startdate -enddate \
    -subject -nameopt RFC2253)
  names=$(names_of "$2") || names=''
  plain_text "$(printf '%s %s %s %s %s %s %s %s %s\n' "${found[serial]}" "$1" \
    "$(date --utc --date "${found[notBefore]}" '+%FT%TZ')" \
    "$(date --utc --date "${found[notAfter]}" '+%FT%TZ')" \
    "$(digest_of "$2")" "$(public_key_of "$2" | digest_of_key)" \
    "$(serial_of "$3")" "${names:--}" "${found[subject]}")"
}

# Prints the ledger with one more line.
new_ledger() { # new_ledger LINE
  if [[ -e ${ledger} ]]; then
    cat -- "${ledger}"
  else
    printf '%s\n' "${ledger_header}"
  fi
  printf '%s\n' "$1"
}

# Adds the line of a certificate to a copy, which then takes the ledger's name:
# there is no moment at which the ledger is half written.
add_to_ledger() { # add_to_ledger PARTY CERTIFICATE CA
  local line
  begin_change
  if [[ ${verb} == check ]]; then
    printf '%s\n' "# a line for $1 is added to ${ledger}"
    return
  fi
  line=$(ledger_line "$@")
  printf "+ cat >>%q <<'END'\n%s\nEND\n" "${ledger}" "${line}" >&2
  rm -f -- "${ledger}.new"
  set -o noclobber
  new_ledger "${line}" >"${ledger}.new"
  set +o noclobber
  cmp --quiet -- "${ledger}.new" <(new_ledger "${line}") ||
    die 1 "${ledger}.new did not read back; is the disk full? ${leaves}"
  chmod 0644 -- "${ledger}.new"
  sync -- "${ledger}.new"
  mv -fT -- "${ledger}.new" "${ledger}"
  sync -- "${ledger%/*}"
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

has_terminal() {
  : 2>/dev/null </dev/tty
}

# ---- The passphrase of the CA key -------------------------------------------

# It reaches openssl through file descriptor 3: never in an argument, never in
# a file.
readonly passphrase_minimum=12

# Prints why a passphrase file is refused, or nothing. bash drops NUL bytes: a
# read that ends at one has found it.
passphrase_file_problem() {
  local owner mode file=${passphrase_file}
  read -r owner mode < <(stat --dereference --format '%u %a' -- "${file}")
  if ((owner != EUID && owner != 0)); then
    printf '%s belongs to another user\n' "${file}"
  elif (((8#${mode} & 8#077) != 0)); then
    printf 'others can read %s; run: chmod 600 %s\n' "${file}" "${file}"
  elif [[ ! -f ${file} ]]; then
    return
  elif [[ ! -s ${file} ]]; then
    printf 'passphrase file %s is empty\n' "${file}"
  elif IFS= read -r -d '' _ <"${file}"; then
    printf '%s holds a NUL byte, which nobody can type\n' "${file}"
  else
    file=$(realpath -- "${file}")
    why_unsafe "${file%/*}/"
  fi
}

# Sets passphrase, unless take_passphrase has.
read_passphrase_file() {
  local problem
  if [[ -z ${passphrase} ]]; then
    [[ -r ${passphrase_file} ]] ||
      die 2 "passphrase file ${passphrase_file} cannot be read"
    problem=$(passphrase_file_problem)
    [[ -z ${problem} ]] || die 2 "${problem}; ${leaves}"
    IFS= read -r passphrase <"${passphrase_file}" || [[ -n ${passphrase} ]] ||
      die 2 "passphrase file ${passphrase_file} is empty"
  fi
  [[ ! ${passphrase} =~ [[:cntrl:]] &&
    ${passphrase} != $'\xef\xbb\xbf'* ]] ||
    die 2 \
      "${passphrase_file} holds what nobody can type: a carriage return, a" \
      'byte order mark or a control character; write it with Unix line ends'
}

ask_on_terminal() { # ask_on_terminal PROMPT; sets answer
  printf '%s' "$1" >/dev/tty
  IFS= read -r -s answer </dev/tty || answer=''
  printf '\n' >/dev/tty
}

# Given an empty passphrase, openssl 1.1.1 would ask for one on the terminal.
is_right_passphrase() { # is_right_passphrase KEY
  [[ -n ${passphrase} ]] || return 1
  openssl pkey -in "$1" -passin fd:3 -noout 3< <(
    printf '%s\n' "${passphrase}"
  ) 2>/dev/null
}

# Prints what is wrong with the passphrase, or nothing.
passphrase_problem() { # passphrase_problem KEY AGAIN
  if [[ -e $1 ]]; then
    is_right_passphrase "$1" || printf 'this passphrase does not open %s\n' "$1"
  elif ((${#passphrase} < passphrase_minimum)); then
    printf 'the passphrase has %d characters, at least %d are needed\n' \
      "${#passphrase}" "${passphrase_minimum}"
  elif [[ $2 != "${passphrase}" ]]; then
    printf 'the two passphrases differ\n'
  fi
}

# Sets passphrase: the one that opens KEY, or a new one when KEY is not there.
get_passphrase() { # get_passphrase KEY
  local key=$1 answer again problem tries
  if [[ -n ${passphrase_file} ]]; then
    read_passphrase_file
    problem=$(passphrase_problem "${key}" "${passphrase}")
    [[ -z ${problem} ]] || die 2 "${problem}; ${leaves}"
    return
  fi
  has_terminal || die 2 \
    'the CA key needs a passphrase and there is no terminal:' \
    'give --passphrase-file'
  for tries in 2 1 0; do
    ask_on_terminal 'Passphrase for the CA key: '
    passphrase=${answer}
    if [[ ! -e ${key} ]]; then ask_on_terminal 'The same passphrase again: '; fi
    again=${answer}
    problem=$(passphrase_problem "${key}" "${again}")
    if [[ -z ${problem} ]]; then return; fi
    note "${problem}"
    ((tries)) || die 2 "three tries; ${leaves}"
  done
}

# Runs openssl with the passphrase on file descriptor 3 (-passin fd:3).
run_with_passphrase() { # run_with_passphrase COMMAND...
  print_command "$@"
  [[ ${verb} != check ]] || return 0
  doing=$*
  "$@" 3< <(printf '%s\n' "${passphrase}") || return
  doing=''
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

# What people compare by voice: the same on the CA's machine, on each host and
# on each client.
show_authorities() { # show_authorities BUNDLE
  local digest
  [[ -f $1 ]] || return 0
  while IFS= read -r digest; do
    note "CA certificate sha256: ${digest}"
  done < <(ca_digests_of "$1")
}

# ---- This script ------------------------------------------------------------

accepts=' --dir --passphrase-file --yes --check --undo --remove-keys --help '
readonly accepts
readonly party_folder=clients purpose=sslclient

key_usage_for() { # key_usage_for KEY_TYPE
  printf 'digitalSignature\n'
}

# D13: extfile-client.cnf, written whole.
extensions_for() { # extensions_for NAMES KEY_TYPE
  printf '%s\n' "subjectAltName = $1" 'extendedKeyUsage = clientAuth' \
    'basicConstraints = critical, CA:FALSE' \
    "keyUsage = critical, $(key_usage_for "$2")" \
    'subjectKeyIdentifier = hash' 'authorityKeyIdentifier = keyid'
}

# ---- Checks requests and signs certificates ---------------------------------

# Prints the key type of a public key in this site's words.
key_type_of() { # key_type_of PUBLIC_KEY
  local text
  text=$(printf '%s\n' "$1" | openssl pkey -pubin -noout -text)
  case ${text} in
    *PSS*) printf 'RSA-PSS, which is another type than rsa\n' ;;
    *'ASN1 OID: prime256v1'*) printf 'ec:P-256\n' ;;
    *'ASN1 OID: secp384r1'*) printf 'ec:P-384\n' ;;
    *ED25519*) printf 'ed25519\n' ;;
    *Modulus*)
      [[ ${text} =~ \(([0-9]+)\ bit ]]
      printf 'rsa:%s\n' "${BASH_REMATCH[1]}"
      ;;
    *) printf 'another type\n' ;;
  esac
}

# Prints why a file is no request that can be read, or nothing.
request_form_problem() { # request_form_problem REQUEST
  local first=''
  if [[ -L $1 || ! -f $1 ]]; then
    printf 'it is not a regular file\n'
  elif (((8#$(stat --format '%a' -- "$1") & 8#022) != 0)); then
    printf 'others can write to it; run: chmod go-w %s\n' "$1"
  elif (($(stat --format '%s' -- "$1") > 65536)); then
    printf 'it is larger than 64 KiB\n'
  else
    IFS= read -r -n 64 first < <(tr -d '\0' <"$1") || true
    if [[ ${first} == '-----BEGIN CERTIFICATE REQUEST-----' ]]; then
      return
    elif [[ ${first} == $'\x30'[$'\x80'-$'\xff']* ]]; then
      printf 'it is in DER, and PEM is expected; convert it: openssl req'
      printf ' -inform DER -in %s -out NEW\n' "$1"
    else
      printf 'it does not begin with a certificate request in PEM\n'
    fi
  fi
}

# Prints why a request is refused, or nothing. A machine whose openssl cannot
# read this CA's own certificate says nothing about a request.
request_problem() { # request_problem REQUEST NAME KEY_TYPE
  local subject text found
  text=$(request_form_problem "$1")
  if [[ -n ${text} ]]; then
    printf '%s\n' "${text}"
  elif ! text=$(openssl req -in "$1" -noout -verify \
    -config <(request_settings) 2>&1) ||
    [[ ${text} != *'verify OK'* ]]; then
    [[ ! -e ${ca_certificate} ]] ||
      openssl x509 -in "${ca_certificate}" -noout ||
      die 1 "openssl does not work here: ${text}; ${leaves}"
    printf 'it is damaged, or not signed by its own key\n'
  else
    text=$(openssl asn1parse -in "$1")
    subject=$(openssl req -in "$1" -noout -subject -nameopt RFC2253 \
      -config <(request_settings))
    found=$(key_type_of "$(key_of_request "$1")")
    if [[ ${subject} != "subject=CN=$2" ]]; then
      printf 'it asks for %s, and this CA certifies CN=%s here\n' \
        "${subject#subject=}" "$2"
    elif [[ ${found} != "$3" ]]; then
      printf 'its key is %s, and this CA certifies %s here\n' "${found}" "$3"
    elif [[ ${text} == *'Extension Request'* ]]; then
      printf 'it asks for extensions, and they are for the CA to decide; make'
      printf ' it again with 10-request-certificate.sh\n'
    fi
  fi
}

# True when a party has a good certificate, of this CA or, while the CA is
# rolled over, of the previous one; a renewed one stands in the folder renewal.
has_certificate() { # has_certificate FOLDER NAMES
  local file authority
  for file in "$1" "$1/renewal"; do
    for authority in "${dir}/ca" "${dir}/ca/previous"; do
      if is_good_certificate "${file}/${certificate_file}" \
        "${authority}/${ca_certificate_file}" "$2" "${purpose}"; then
        return
      fi
    done
  done
  return 1
}

# True when there is nothing to sign: no newer key asks for a certificate, and
# no killed run has left one to be handed out.
is_signed() { # is_signed ROW
  local requested name=${table[$1]} folder
  folder=${dir}/${party_folder}/${name}
  has_certificate "${folder}" "${table[$1 + 3]}" || return 1
  if [[ ! -e ${folder}/${request_file} ]]; then return; fi
  if is_issued "$1" "${folder}"; then return 1; fi
  if [[ -n $(request_form_problem "${folder}/${request_file}") ]]; then
    return 1
  fi
  requested=$(key_of_request "${folder}/${request_file}") || return 1
  [[ ${requested} == "$(public_key_of "${folder}/${certificate_file}")" ]]
}

# Prints the other party that has had a key before, or asks with it now.
owner_of() { # owner_of KEY_SHA256 PARTY
  local party digest
  if [[ -f ${ledger} ]]; then
    while read -r _ party _ _ _ digest _; do
      if [[ ${digest} == "$1" && ${party} != "$2" ]]; then
        printf '%s\n' "${party}"
        return
      fi
    done <"${ledger}"
  fi
  [[ ${asked[$1]:-$2} == "$2" ]] || printf '%s\n' "${asked[$1]}"
}

# A party whose key is here asks with that key, or with that of its own renewal:
# a certificate for another one would leave it without.
other_key_problem() { # other_key_problem REQUEST PARTY
  local folder=${dir}/$2 key requested
  key=${folder}/${key_file}
  [[ -f ${key} ]] || return 0
  if [[ $1 == */renewal/* && -f ${folder}/renewal/${key_file} ]]; then
    key=${folder}/renewal/${key_file}
  fi
  requested=$(key_of_request "$1")
  [[ ${requested} == "$(openssl pkey -in "${key}" -passin pass: -pubout)" ]] ||
    printf 'the key of this party is here, %s, and the request is for %s\n' \
      "${key}" 'another one: a second user or machine is a party of its own'
}

# A refusal is kept in the log, and nothing is signed.
refuse() { # refuse REQUEST REASON
  if [[ ${verb} != check ]]; then
    printf '%s %s\n' "$(date --utc '+%FT%TZ')" "$(plain_text "$1 $2")" \
      >>"${refusals}"
  fi
  die 6 "refused $1: $2; ${leaves}"
}

# What is handed out takes the place of a file, never of a folder.
need_room() { # need_room FOLDER
  local name
  for name in "${ca_certificate_file}" "${certificate_file}" \
    "renewal/${certificate_file}"; do
    need_plain "$1/${name}" "$1/${name}.new"
  done
}

# Sorts the rows into told (they know which CA to trust), to_sign (row, folder)
# and waiting (no request is here yet). A request that is refused stops the
# script before anything is signed.
check_requests() {
  local row folder
  for ((row = 0; row < ${#table[@]}; row += 4)); do
    folder=${dir}/${party_folder}/${table[row]}
    need_room "${folder}"
    if [[ -e ${folder}/renewal/${request_file} ||
      -L ${folder}/renewal/${request_file} ]]; then
      check_request "${row}" "${folder}/renewal"
    fi
    if [[ -e ${folder}/${ca_certificate_file} ]]; then told+=("${row}"); fi
    if is_signed "${row}"; then continue; fi
    if [[ -e ${folder}/${request_file} || -L ${folder}/${request_file} ]]; then
      check_request "${row}" "${folder}"
    else
      waiting+=("${row}")
    fi
  done
}

check_request() { # check_request ROW FOLDER
  local name=${table[$1]} request=$2/${request_file} problem digest owner
  local party=${party_folder}/${name} folder
  for folder in "${dir}/${party_folder}" "${dir}/${party}" "$2"; do
    problem=$(why_unsafe "${folder}")
    [[ -z ${problem} ]] || refuse "${request}" "${problem}"
  done
  problem=$(request_problem "${request}" "${name}" "${table[$1 + 1]}") || exit
  [[ -z ${problem} ]] || refuse "${request}" "${problem}"
  if ! is_issued "$1" "$2"; then
    digest=$(key_of_request "${request}" | digest_of_key)
    owner=$(owner_of "${digest}" "${party}")
    [[ -z ${owner} ]] ||
      refuse "${request}" "its key is ${owner}'s: each party makes its own"
    problem=$(other_key_problem "${request}" "${party}")
    [[ -z ${problem} ]] || refuse "${request}" "${problem}"
    asked[${digest}]=${party}
    note "${name} asks with public key sha256: ${digest}"
  fi
  to_sign+=("$1" "$2")
}

# A wrong clock must not sign.
check_ca() {
  local problem
  problem=$(why_not_valid "${ca_certificate}" "${ca_certificate}" any)
  [[ -z ${problem} ]] || die 2 "${ca_certificate}: ${problem}; ${leaves}"
}

# A certificate must not outlive its CA.
check_lifetime() { # check_lifetime DAYS
  openssl x509 -in "${ca_certificate}" -noout -checkend $(($1 * 86400)) \
    >/dev/null ||
    die 2 "the CA ends before a certificate of $1 days would; ${leaves}"
}

# Where a certificate is made: in the CA's own folder, where nobody else writes.
new_certificate_of() { # new_certificate_of ROW
  printf '%s/%s-%s.%s.new\n' "${dir}/ca" "${party_folder}" "${table[$1]}" \
    "${certificate_file}"
}

# Runs openssl with the CA's key, which was opened once, on file descriptor 3.
run_with_key() { # run_with_key COMMAND...
  print_command "$@"
  [[ ${verb} != check ]] || return 0
  doing=$*
  "$@" 3< <(printf '%s\n' "${opened_key}") || return
  doing=''
}

# The opened key lives in this shell variable alone, which is not exported.
open_key() {
  get_passphrase "${ca_key}"
  opened_key=$(openssl pkey -in "${ca_key}" -passin fd:3 3< <(
    printf '%s\n' "${passphrase}"
  ))
}

# The CA decides the names and the use, whatever the request asks for. Nothing
# that is not in the ledger gets a certificate's name. Without the serial file
# each certificate gets a random serial of its own.
issue() { # issue ROW FOLDER
  local names=${table[$1 + 3]} extensions=${dir}/ca/${extensions_file}
  local certificate problem
  certificate=$(new_certificate_of "$1")
  run rm -f -- "${serial_file}" "${certificate}"
  write_file "${extensions}" 0600 \
    "$(extensions_for "${names}" "${table[$1 + 1]}")"
  # D10, D14: openssl x509 -req -days 365 -sha256 -in request.csr
  #           -CA ca-public.pem -CAkey ca-private.pem -CAcreateserial
  #           -extfile extfile.cnf -out certificate.pem
  run_with_key openssl x509 -req -days "${table[$1 + 2]}" -sha256 \
    -in "$2/${request_file}" \
    -CA "${ca_certificate}" \
    -CAkey /dev/fd/3 \
    -CAcreateserial \
    -extfile "${extensions}" \
    -out "${certificate}"
  if [[ ${verb} != check ]]; then
    problem=$(issue_problem "$1" "$2/${request_file}" "${certificate}")
    [[ -z ${problem} ]] ||
      die 1 "${certificate} is not what was to be signed: ${problem}; ${leaves}"
  fi
  run rm -f -- "${extensions}"
  run chmod 0644 -- "${certificate}"
  run sync -- "${certificate}"
  add_to_ledger "${party_folder}/${table[$1]}" "${certificate}" \
    "${ca_certificate}"
}

# Prints what is wrong with a certificate that was just signed, or nothing.
issue_problem() { # issue_problem ROW REQUEST CERTIFICATE
  local names=${table[$1 + 3]} use subject
  use=$(key_usage_for "${table[$1 + 1]}")
  if ! is_good_certificate "$3" "${ca_certificate}" "${names}" \
    "${purpose}"; then
    printf 'it is not a good certificate; is the disk full?\n'
    return
  fi
  subject=$(openssl x509 -in "$3" -noout -subject -nameopt RFC2253)
  if [[ $(extensions_of "$3") != "$(
    expected_extensions "${names}" "${purpose}" "${use}"
  )" ]]; then
    printf 'its extensions are others\n'
  elif [[ ${subject} != "subject=CN=${table[$1]}" ]]; then
    printf 'it is for %s\n' "${subject#subject=}"
  elif [[ $(public_key_of "$3") != "$(key_of_request "$2")" ]]; then
    printf 'its key is not the one of the request\n'
  elif (($(seconds_of "$3") != table[$1 + 2] * 86400)); then
    printf 'its lifetime is not %d days\n' "${table[$1 + 2]}"
  fi
}

# Prints how long a certificate is valid.
seconds_of() { # seconds_of CERTIFICATE
  local begins ends
  begins=$(openssl x509 -in "$1" -noout -startdate)
  ends=$(openssl x509 -in "$1" -noout -enddate)
  begins=$(date --date "${begins#*=}" '+%s')
  ends=$(date --date "${ends#*=}" '+%s')
  printf '%d\n' "$((ends - begins))"
}

# True when a killed run has signed the request and put the certificate into
# the ledger: all that is left to do is to give it its name.
is_issued() { # is_issued ROW FOLDER
  local certificate
  certificate=$(new_certificate_of "$1")
  [[ -f ${certificate} && -f $2/${request_file} ]] &&
    is_in_ledger "${certificate}" &&
    [[ -z $(issue_problem "$1" "$2/${request_file}" "${certificate}") ]]
}

# A certificate of this CA that the ledger does not know, as after an old ledger
# was restored, gets its line now.
list_missing() { # list_missing ROW
  local party=${party_folder}/${table[$1]} file
  for file in "${dir}/${party}/${certificate_file}" \
    "${dir}/${party}/renewal/${certificate_file}"; do
    if is_good_certificate "${file}" "${ca_certificate}" "${table[$1 + 3]}" \
      "${purpose}" && ! is_in_ledger "${file}"; then
      note "${file} is not in ${ledger}: its line is added"
      add_to_ledger "${party}" "${file}" "${ca_certificate}"
    fi
  done
}

# What a party is to trust: this CA. While the CA is rolled over, both, once it
# has heard of one; but who joins after the switch never needs the old one.
authorities_for() { # authorities_for FILE
  local authorities=${dir}/ca/authorities.pem
  if [[ ! -e $1 || ! -e ${authorities} ]]; then
    authorities=${ca_certificate}
  elif [[ -e ${dir}/ca/previous ]] &&
    cmp --quiet -- "$1" "${ca_certificate}"; then
    authorities=${ca_certificate}
  fi
  printf '%s\n' "${authorities}"
}

hand_out_authorities() { # hand_out_authorities ROW
  local file=${dir}/${party_folder}/${table[$1]}/${ca_certificate_file}
  local authorities
  authorities=$(authorities_for "${file}")
  if [[ -f ${file} && ! -L ${file} ]] &&
    cmp --quiet -- "${file}" "${authorities}"; then
    return
  fi
  if [[ -d ${file%/*} ]]; then need_safe "${file%/*}"; fi
  run install -m 0644 -T -- "${authorities}" "${file}.new"
  run sync -- "${file}.new"
  run mv -fT -- "${file}.new" "${file}"
}

# A request that was answered goes: nothing signs it again on another day.
hand_out() { # hand_out ROW FOLDER
  local certificate=$2/${certificate_file} made
  made=$(new_certificate_of "$1")
  hand_out_authorities "$1"
  keep_copy "${made}" "${certificate}.new"
  run mv -fT -- "${certificate}.new" "${certificate}"
  run sync -- "$2"
  # D15: requests and extension files are not needed any more.
  run rm -f -- "$2/${request_file}" "$2/${extensions_file}"
  run rm -f -- "${made}"
}

sign() { # sign ROW FOLDER
  if ! is_issued "$@"; then issue "$@"; fi
  hand_out "$@"
}

# Before there is a CA, --check shows what will run once the requests are here.
wait_for() { # wait_for ROW
  local before=${changed} folder=${dir}/${party_folder}/${table[$1]}
  waits=1
  note "waiting for the request of ${table[$1]}: bring it to" \
    "${folder}/${request_file} and run this again"
  if [[ ${verb} == check && ! -e ${ca_key} ]]; then sign "$1" "${folder}"; fi
  changed=${before}
}

# The last line says what is awaited.
finish_signing() {
  local row
  show_authorities "${ca_certificate}"
  for row in "${waiting[@]}"; do wait_for "${row}"; done
  finish
}

undo() {
  local row folder part
  for ((row = 0; row < ${#table[@]}; row += 4)); do
    folder=${dir}/${party_folder}/${table[row]}
    for part in "${folder}" "${folder}/renewal"; do
      need_no_links "${part}"
      if [[ -e ${part}/${extensions_file} ]]; then
        run rm -f -- "${part}/${extensions_file}"
      fi
      undo_working_files "${part}/${certificate_file}" \
        "${part}/${ca_certificate_file}"
    done
    undo_folder "${folder}/renewal"
    undo_folder "${folder}"
    part=$(new_certificate_of "${row}")
    remove_file "${part}"
  done
  remove_file "${dir}/ca/${extensions_file}"
}

# What is left of a certificate that was handed out by a run that was killed.
forget_handed_out() { # forget_handed_out ROW
  local made folder=${dir}/${party_folder}/${table[$1]}
  made=$(new_certificate_of "$1")
  if [[ -e ${made} && ! -e ${folder}/${request_file} &&
    ! -e ${folder}/renewal/${request_file} ]]; then
    run rm -f -- "${made}"
  fi
}

open_authority() {
  if [[ ! -e ${ca_key} || ! -e ${ca_certificate} ]]; then
    [[ ${verb} == check ]] ||
      die 2 "there is no CA in ${dir}/ca: run ca/10-create-ca.sh first"
    return
  fi
  open_party "${dir}/ca"
  need_plain "${ca_key}" "${ca_certificate}" "${ledger}"
  check_ca
  if ! is_in_ledger "${ca_certificate}"; then
    add_to_ledger ca "${ca_certificate}" "${ca_certificate}"
  fi
}

sign_all() {
  local job
  if [[ ${verb} != check ]]; then
    for ((job = 0; job < ${#to_sign[@]}; job += 2)); do
      check_lifetime "${table[to_sign[job] + 2]}"
    done
    open_key
  fi
  for ((job = 0; job < ${#to_sign[@]}; job += 2)); do
    sign "${to_sign[@]:job:2}"
  done
}

main() {
  local row opened_key=''
  local -a to_sign=() waiting=() told=()
  local -A asked=()
  parse_options "$@"
  need_openssl
  ca_key=${dir}/ca/${ca_key_file}
  ca_certificate=${dir}/ca/${ca_certificate_file}
  serial_file=${ca_certificate%.*}.srl
  ledger=${dir}/ca/${ledger_file}
  refusals=${dir}/ca/refused.txt
  if [[ ${verb} == undo ]]; then
    undo
    finish
  fi
  open_authority
  for ((row = 0; row < ${#table[@]}; row += 4)); do
    forget_handed_out "${row}"
    list_missing "${row}"
  done
  check_requests
  for row in "${told[@]}"; do hand_out_authorities "${row}"; done
  if ((${#to_sign[@]})); then sign_all; fi
  finish_signing
}

main "$@"
