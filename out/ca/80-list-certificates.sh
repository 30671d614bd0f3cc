#!/usr/bin/env bash
# Lists every certificate that this CA has issued, the one that ends first on
# top, with the days that are left.
#
# Reads:      DIR/ca/ledger.txt
# Writes:     nothing
# Restarts:   nothing
# Needs root: no
# Undo:       nothing to undo: it is read-only
# Options:    --dir DIR (~/docker-tls)  --json  --yes  --check
#             --undo [--remove-keys]  --help
# Status:     0 done, 2 wrong use, or there is no ledger
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

readonly script='ca/80-list-certificates.sh'
readonly ledger_file='ledger.txt'

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

# ---- JSON -------------------------------------------------------------------

json_string() { # json_string TEXT
  local text
  text=$(plain_text "$1")
  text=${text//\\/\\\\}
  text=${text//\"/\\\"}
  printf '"%s"' "${text//$'\n'/\\n}"
}

# ---- This script ------------------------------------------------------------

readonly accepts=' --dir --json --yes --check --undo --remove-keys --help '

# The last line of a party is the certificate that it is to use; those before it
# are valid too, until they end or their CA is trusted no more.
state_of() { # state_of PARTY SERIAL DAYS ISSUER
  if (($3 < 0)); then
    printf 'ended\n'
  elif [[ -d ${dir}/ca/retired-${4:0:16} ]]; then
    printf 'retired\n'
  elif [[ ${newest[$1]} == "$2" ]]; then
    printf 'current\n'
  else
    printf 'superseded\n'
  fi
}

# Prints the certificates with the days that are left in front of each.
read_ledger() {
  local now seconds serial party begins ends digest key issuer names subject
  now=$(date '+%s')
  while read -r serial party begins ends digest key issuer names subject; do
    [[ ${serial} != '#' ]] || continue
    seconds=$(($(date --date "${ends}" '+%s') - now))
    printf '%d %s\n' "$((seconds < 0 ? -1 : seconds / 86400))" \
      "${serial} ${party} ${begins} ${ends} ${digest} ${key} ${issuer}\
 ${names} ${subject}"
  done <"${ledger}"
}

find_newest() {
  local serial party
  while read -r serial party _; do newest[${party}]=${serial}; done <"${ledger}"
}

print_json() {
  printf '{"party":%s,"state":%s,"days_left":%d,"serial":%s,"begins":%s,' \
    "$(json_string "${party}")" "$(json_string "${state}")" "${days}" \
    "$(json_string "${serial}")" "$(json_string "${begins}")"
  printf '"ends":%s,"sha256":%s,"key_sha256":%s,"issuer":%s,"names":%s,' \
    "$(json_string "${ends}")" "$(json_string "${digest}")" \
    "$(json_string "${key}")" \
    "$(json_string "${issuer}")" "$(json_string "${names}")"
  printf '"subject":%s}\n' "$(json_string "${subject}")"
}

list() {
  local days serial party begins ends digest key issuer names subject state
  ((json)) || printf '%5s  %-20s  %-10s  %-30s  %s\n' \
    days ends state party 'serial, names'
  while read -r days serial party begins ends digest key issuer names \
    subject; do
    state=$(state_of "${party}" "${serial}" "${days}" "${issuer}")
    if ((json)); then
      print_json
    else
      plain_text "$(
        printf '%5s  %-20s  %-10s  %-30s  %s' "${days}" "${ends}" \
          "${state}" "${party}" "${serial} ${names}"
      )"$'\n'
    fi
  done < <(read_ledger | sort --key 1,1n --key 4,4)
}

main() {
  local -A newest=()
  parse_options "$@"
  ledger=${dir}/ca/${ledger_file}
  if [[ ${verb} != apply ]]; then exit 0; fi
  need_access "${dir}/ca"
  [[ ! -e ${ledger} || -r ${ledger} ]] ||
    die 2 "$(id -un) may not read ${ledger}; run this as its owner does"
  [[ -f ${ledger} ]] ||
    die 2 "there is no ledger ${ledger}: run ca/10-create-ca.sh first"
  find_newest
  list
}

main "$@"
