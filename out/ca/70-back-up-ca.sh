#!/usr/bin/env bash
# Backs up the CA into one encrypted file, reads it back and restores it into an
# empty folder before it says done. Without a back-up a lost CA means: no
# renewal, no new client, and a new CA for everyone.
#
# Reads:      DIR/ca/: ca-private.pem, ca-public.pem, ledger.txt; FILE
#             (--restore)
# Writes:     FILE (--to), .lock; DIR/ca/: ca-private.pem, ca-public.pem,
#             ledger.txt, .lock, ca-public.srl
# Temporary:  /tmp/RANDOM/; DIR/ca/SHA256SUMS
# Restarts:   nothing
# Needs root: no
# Undo:       nothing to undo: the file of --to, or the CA of --restore, stays
# Options:    --to FILE | --restore FILE  --dir DIR (~/docker-tls)
#             --passphrase-file FILE  --yes  --check
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

readonly script='ca/70-back-up-ca.sh'
readonly ca_key_file='ca-private.pem'
readonly ca_certificate_file='ca-public.pem'
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

public_key_of() { # public_key_of CERTIFICATE
  openssl x509 -in "$1" -noout -pubkey 2>/dev/null
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

# ---- The archive ------------------------------------------------------------

accepts=' --to --restore --dir --passphrase-file --yes --check --undo '
accepts+='--remove-keys --help '
readonly accepts
# The same passphrase as that of the CA's key, made slow to guess. This cipher
# does not notice changes: the sums inside do, and the key that must open.
readonly -a cipher=(-aes-256-cbc -pbkdf2 -iter 600000 -md sha512)
# What may stand in an archive: plain files of these names, nothing else.
readonly member='^\./((next|previous|retired-[0-9A-F]{1,16})/)?[A-Za-z0-9._-]+$'
readonly sums=SHA256SUMS

# Prints the files of a CA's folder, one a line.
files_of() { # files_of FOLDER
  local file
  (
    cd -- "$1"
    for file in ./* ./*/*; do
      if [[ -f ${file} && ${file} != *.new && ${file} != "./${sums}" ]]; then
        printf '%s\n' "${file}"
      fi
    done | sort
  )
}

# Encrypts a folder of plain files. Nothing of it is ever written unencrypted
# but in there.
encrypt() { # encrypt FOLDER FILE
  tar --create --directory "$1" --sort=name --owner=0 --group=0 . |
    openssl enc "${cipher[@]}" -e -salt -pass fd:3 3< <(
      printf '%s\n' "${passphrase}"
    ) >"$2"
}

decrypt() { # decrypt FILE
  openssl enc "${cipher[@]}" -d -pass fd:3 -in "$1" 3< <(
    printf '%s\n' "${passphrase}"
  ) 2>/dev/null
}

# Prints why an archive is not taken, or nothing.
archive_problem() { # archive_problem FILE
  local line mode name
  decrypt "$1" | tar --list --verbose >"${scratch}/list" 2>/dev/null || {
    printf 'it does not open: another passphrase, or it is damaged\n'
    return
  }
  while read -r mode _ _ _ _ name; do
    if [[ ${mode} == d* && ${name} == */ ]]; then continue; fi
    [[ ${mode} == -* && ${name} =~ ${member} ]] || {
      printf 'it holds what no back-up holds: %s\n' "${name}"
      return
    }
  done <"${scratch}/list"
}

# Unpacks an archive into an empty folder, and proves that it is a CA.
unpack() { # unpack FILE FOLDER; sets problem
  problem=$(archive_problem "$1")
  [[ -z ${problem} ]] || return 0
  decrypt "$1" | tar --extract --directory "$2" --no-same-owner || {
    problem='it cannot be unpacked; is the disk full?'
    return 0
  }
  problem=$(folder_problem "$2")
}

# Prints what is wrong with an unpacked CA, or nothing.
folder_problem() { # folder_problem FOLDER
  local key=$1/${ca_key_file} public
  if ! (cd -- "$1" && sha256sum --check --quiet --strict "${sums}") \
    &>/dev/null; then
    printf 'the sums in it do not fit: it is damaged\n'
  elif [[ $(files_of "$1") != "$(listed_in "$1/${sums}")" ]]; then
    printf 'it holds other files than its list says\n'
  elif ! is_right_passphrase "${key}"; then
    printf 'its key does not open with this passphrase\n'
  else
    public=$(openssl pkey -in "${key}" -passin fd:3 -pubout 3< <(
      printf '%s\n' "${passphrase}"
    ))
    [[ ${public} == "$(public_key_of "$1/${ca_certificate_file}")" ]] ||
      printf 'its key does not belong to its certificate\n'
  fi
}

# Prints the names in a list of sums, one a line.
listed_in() { # listed_in FILE
  local name
  while read -r _ name; do printf '%s\n' "${name#\*}"; done <"$1" | sort
}

# ---- Back-up ----------------------------------------------------------------

# The key in there is encrypted by itself; the copy is what the sums are of.
copy_authority() { # copy_authority FOLDER
  local file
  while IFS= read -r file; do
    mkdir -p -- "$1/${file%/*}"
    cp -pT -- "${folder}/${file}" "$1/${file}"
  done < <(files_of "${folder}")
  (
    cd -- "$1"
    files_of . | while IFS= read -r file; do sha256sum -- "${file}"; done \
      >"${sums}"
  )
}

is_same_authority() { # is_same_authority FOLDER
  [[ $(files_of "${folder}") == "$(files_of "$1")" ]] &&
    (cd -- "${folder}" && sha256sum --check --quiet --strict "$1/${sums}") \
      &>/dev/null
}

back_up() {
  local problem=''
  need_access "${folder}"
  [[ -e ${key} && -e ${folder}/${ca_certificate_file} ]] ||
    die 2 "there is no CA in ${folder} to back up"
  open_party "${folder}"
  [[ ! -e ${to} ]] ||
    die 2 "${to} is there already; give another name, or move it away"
  [[ -d ${to%/*}/ ]] || die 2 "there is no folder ${to%/*}"
  need_safe_parent "${to}"
  run rm -f -- "${to}.new"
  print_line "tar --create . | openssl enc ${cipher[*]} -e -salt -pass fd:3\
 >${to}.new"
  if [[ ${verb} != check ]]; then
    get_passphrase "${key}"
    mkdir -- "${scratch}/copy" "${scratch}/restored"
    copy_authority "${scratch}/copy"
    # A file of this name that somebody else makes meanwhile is no way out.
    set -o noclobber
    encrypt "${scratch}/copy" "${to}.new" ||
      die 1 "${to}.new could not be written; is the disk full? ${leaves}"
    set +o noclobber
    unpack "${to}.new" "${scratch}/restored"
    [[ -z ${problem} ]] ||
      die 1 "${to}.new did not read back: ${problem}; ${leaves}"
    is_same_authority "${scratch}/restored" ||
      die 1 "${to}.new is not what is in ${folder}; run this again"
  fi
  run sync -- "${to}.new"
  run mv -nT -- "${to}.new" "${to}"
  run sync -- "${to%/*}/"
  note "${to} was read back, restored and compared. Carry it elsewhere. It" \
    'opens with the passphrase of the CA key, which is not in it: without' \
    'both there is no renewal and no new client'
}

# ---- Restore ----------------------------------------------------------------

get_archive_passphrase() {
  local answer=''
  if [[ -n ${passphrase_file} ]]; then
    read_passphrase_file
    return
  fi
  has_terminal || die 2 \
    'the back-up needs a passphrase and there is no terminal:' \
    'give --passphrase-file'
  ask_on_terminal 'Passphrase for the CA key: '
  passphrase=${answer}
}

restore() {
  local problem=''
  [[ -f ${restore_from} ]] || die 2 "there is no file ${restore_from}"
  open_folder "${dir}"
  if [[ ${verb} != check ]]; then lock "${dir}/.lock"; fi
  [[ ! -e ${folder} ]] ||
    die 2 "${folder} is there already; give another --dir, or move it away"
  if [[ -e ${folder}.new ]]; then run rm -rf -- "${folder}.new"; fi
  run mkdir -m 0700 -- "${folder}.new"
  print_line "openssl enc ${cipher[*]} -d -in ${restore_from} | tar --extract"
  if [[ ${verb} != check ]]; then
    get_archive_passphrase
    # Nobody changes the copy between the look at it and its use.
    cp -T -- "${restore_from}" "${scratch}/archive"
    unpack "${scratch}/archive" "${folder}.new"
    if [[ -n ${problem} ]]; then
      rm -rf -- "${folder}.new"
      die 2 "refused ${restore_from}: ${problem}; nothing was restored"
    fi
  fi
  run rm -f -- "${folder}.new/${sums}"
  run sync --file-system -- "${folder}.new"
  run mv -T -- "${folder}.new" "${folder}"
  run sync -- "${dir}"
  note "the CA is back in ${folder}, with its key and its ledger"
}

main() {
  parse_options "$@"
  need_openssl
  folder=${dir}/ca
  key=${folder}/${ca_key_file}
  if [[ ${verb} == undo ]]; then finish; fi
  [[ -n ${to}${restore_from} && (-z ${to} || -z ${restore_from}) ]] ||
    die 2 'give one of --to FILE and --restore FILE'
  scratch=$(mktemp -d)
  trap 'rm -rf -- "${scratch}"' EXIT
  if [[ -n ${to} ]]; then
    to=$(realpath --canonicalize-missing -- "${to}")
    back_up
  else
    restore
  fi
  finish
}

main "$@"
