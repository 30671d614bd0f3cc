#!/usr/bin/env bash
# Checks when the certificates of one docker client end; says what to do and
# fails when one ends soon. For cron: 0 8 * * * bash 60-check-expiry.sh
#
# Reads:      ~/.docker/: ca.pem, cert.pem
# Writes:     nothing
# Restarts:   nothing
# Needs root: no
# Undo:       nothing to undo: it is read-only
# Options:    --dir DIR (not used)  --yes  --check
#             --undo [--remove-keys]  --help
# Status:     0 no certificate ends soon, 2 wrong use, 4 one does
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

readonly script='clients/client/60-check-expiry.sh'
readonly warn_days=30

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

# ---- Certificates that end soon ---------------------------------------------

found=()   # path, and the moment at which it ends: seconds since 1970
too_late=0 # 1 once a certificate is below the limit

# Prints a line with the days that are left, and what to do where they are too
# few.
check_life() { # check_life CERTIFICATE SHOWN_AS REMEDY
  local begins ends left word=ok
  read -r begins ends < <(life_of "$1")
  left=$((ends - $(date '+%s')))
  found+=("$2" "${ends}")
  if ((left <= $(renewal_limit "${begins}" "${ends}"))); then word=SOON; fi
  if ((left < 0)); then word=ENDED; fi
  printf '%-5s %5d days  %s\n' "${word}" "$((left / 86400))" \
    "$(plain_text "$2")"
  if [[ ${word} != ok ]]; then
    too_late=1
    printf '             do: %s\n' "$(plain_text "$3")"
  fi
}

# Prints a line for what is wrong with something else than a date.
report_bad() { # report_bad WHAT REMEDY
  too_late=1
  printf '%-5s             %s\n             do: %s\n' BAD \
    "$(plain_text "$1")" "$(plain_text "$2")"
}

# A file that is not there is nobody's certificate here. Reading a pipe would
# wait for who writes to it.
check_file() { # check_file CERTIFICATE REMEDY
  if [[ ! -e $1 ]]; then return; fi
  if [[ ! -f $1 ]]; then
    report_bad "$1 is not a regular file" "remove it; $2"
  elif openssl x509 -in "$1" -noout 2>/dev/null; then
    check_life "$1" "$1" "$2"
  else
    report_bad "$1 cannot be read as a certificate" "$2"
  fi
}

# ---- This script ------------------------------------------------------------

readonly accepts=' --dir --yes --check --undo --remove-keys --help '

main() {
  parse_options "$@"
  need_openssl
  if [[ ${verb} != apply ]]; then exit 0; fi
  need_access "${HOME}/.docker/cert.pem"
  [[ -e ${HOME}/.docker/cert.pem ]] ||
    die 2 \
      "${HOME}/.docker/cert.pem is not there: run 20-configure-client.sh first"
  need_safe "${HOME}/.docker"
  check_file "${HOME}/.docker/cert.pem" \
    "bash ${script%/*}/10-request-certificate.sh --renew, then setup.sh; on a\
 site with a CA machine carry the request there"
  check_file "${HOME}/.docker/ca.pem" \
    'the CA ends: whoever runs it rolls it over, with ca/60-roll-over-ca.sh'
  if ((too_late)); then exit 4; fi
}

main "$@"
