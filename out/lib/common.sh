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
to=''                        # the file for --to
restore_from=''              # the file for --restore
containers=1                 # 0: --no-containers
facts=''                     # in the sandbox: what was asked outside it
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

on_error() { # on_error FILE LINE COMMAND
  die 1 "line $2 of ${1##*/} failed: ${doing:-$3}; state: ${leaves}"
}
trap 'on_error "${BASH_SOURCE[0]}" "${LINENO}" "${BASH_COMMAND}"' ERR

# The comment at the top of the script is its manual.
print_help() {
  local line
  while IFS= read -r line; do
    if [[ ${line} != '#'* ]]; then break; fi
    [[ ${line} == '#!'* ]] || printf '%s\n' "${line#'#'}"
  done <"$0"
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

# The user's name; a container may run as a number that has none.
user_name() {
  local user
  user=$(id -un 2>/dev/null) || user=${EUID}
  printf '%s\n' "${user}"
}

# What may not be looked at is not what is not there.
need_access() { # need_access FOLDER
  local path=$1
  while [[ ! -e ${path} && ${path} == /*/* ]]; do path=${path%/*}; done
  [[ ! -d ${path} || -x ${path} ]] ||
    die 2 "$(user_name) may not look into ${path}; run this as its owner does," \
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

take_flag() { # take_flag OPTION
  case $1 in
    --check | --undo)
      [[ ${verb} == apply ]] || die 2 'give one of --check and --undo'
      verb=${1#--}
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
      stage=${1#--}
      ;;
    --help)
      print_help
      exit 0
      ;;
    *) die 2 "option $1 is not handled" ;;
  esac
}

take_value() { # take_value OPTION VALUE
  [[ -n $2 ]] || die 2 "$1 needs a value"
  case $1 in
    --dir) dir=$2 ;;
    --to) to=$2 ;;
    --restore) restore_from=$2 ;;
    --confined) facts=$2 ;;
    *) take_passphrase "$2" ;;
  esac
}

need_options_that_go_together() {
  ((! remove_keys)) || [[ ${verb} == undo ]] ||
    die 2 '--remove-keys goes with --undo'
  ((! new_key || renew)) || die 2 '--new-key goes with --renew'
  ((! renew)) || [[ ${verb} != undo ]] ||
    die 2 '--renew does not go with --undo'
  ((EUID)) || [[ -z ${facts} ]] ||
    die 2 '--confined is for the sandbox that this script makes itself'
}

parse_options() { # parse_options ARGUMENT...
  while (($# > 0)); do
    [[ ${accepts} == *" $1 "* ]] ||
      die 2 "unknown option $1; --help lists them"
    case $1 in
      --dir | --passphrase-file | --to | --restore | --confined)
        take_value "$1" "${2:-}"
        shift
        ;;
      *) take_flag "$1" ;;
    esac
    shift
  done
  need_options_that_go_together
  find_home
  dir=$(realpath --canonicalize-missing -- "${dir:-${HOME}/docker-tls}")
  [[ ! -e ${dir} || -d ${dir} ]] ||
    die 2 "${dir} is no folder; give another --dir"
  # Before glibc 2.33 bash does not know what the sandbox may read.
  if [[ -z ${facts} ]]; then need_access "${dir}"; fi
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
