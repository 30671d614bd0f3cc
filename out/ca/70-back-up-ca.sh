#!/usr/bin/env bash
# Backs up the CA into one encrypted file, reads it back and restores it into an
# empty folder before it says done. Without a back-up a lost CA means: no
# renewal, no new client, and a new CA for everyone.
#
# Reads:      DIR/ca
# Writes:     FILE (--to), or DIR/ca (--restore)
# Restarts:   nothing
# Needs root: no
# Undo:       nothing to undo: the file stays where it was put
# Options:    --to FILE | --restore FILE  --dir DIR (docker-tls)
#             --passphrase-file FILE  --yes  --check
#             --undo [--remove-keys]  --help
# Status:     0 done, 1 failed, 2 wrong use, 3 --check found changes to make
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
# Kept for the script that judges them.
caller_variables=()
for variable in DOCKER_{HOST,CONTEXT,TLS,TLS_VERIFY,CERT_PATH}; do
  [[ -z ${!variable:-} ]] || caller_variables+=("${variable}=${!variable}")
done
readonly -a caller_variables
unset DOCKER_HOST DOCKER_CONTEXT DOCKER_TLS DOCKER_TLS_VERIFY DOCKER_CERT_PATH

readonly script='ca/70-back-up-ca.sh'
readonly ca_key_file='ca-private.pem'
readonly ca_certificate_file='ca-public.pem'
readonly ledger_file='ledger.txt'

# ==== Below this line every site has the same bytes ==========================

# ---- Shared by every script -------------------------------------------------

verb=apply     # apply, check or undo
dir=docker-tls # working folder
yes=0
remove_keys=0
renew=0
new_key=0
now=0    # 1: --now
stage='' # begin, switch or finish
passphrase_file=''
json=0
junit=''                     # the file for --junit
to=''                        # the file for --to
restore_from=''              # the file for --restore
containers=1                 # 0: --no-containers
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
          *) passphrase_file=$1 ;;
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

# Ends the script with the status of its verb.
finish() {
  ((changed)) || note 'nothing to do'
  if [[ ${verb} == check ]] && ((changed)); then exit 3; fi
  exit 0
}

# ---- Working folders --------------------------------------------------------

# Prints why a folder is not safe to work in, or nothing.
why_unsafe() { # why_unsafe FOLDER
  if [[ ! -O $1 ]]; then
    printf '%s belongs to another user; give another --dir\n' "$1"
  elif (((8#$(stat --format '%a' -- "$1") & 8#022) != 0)); then
    printf 'others can write to %s; run: chmod go-w %s\n' "$1" "$1"
  fi
}

# Makes a working folder; refuses one that somebody else could write to.
open_folder() { # open_folder FOLDER
  local problem
  if [[ ! -d $1 ]]; then
    run mkdir -p -m 0700 -- "$1"
    [[ ${verb} != check ]] || return 0
  fi
  problem=$(why_unsafe "$1")
  [[ -z ${problem} ]] || die 2 "${problem}"
}

# Prints the process whose open file has the lock. The kernel's own list names
# the flock command, which has ended.
holder_of() { # holder_of FOLDER
  local file pid info holder=''
  for file in /proc/[0-9]*/fd/*; do
    pid=${file#/proc/}
    pid=${pid%%/*}
    [[ ${file} -ef $1 ]] || continue
    info=$(<"/proc/${pid}/fdinfo/${file##*/}") || continue
    # Commands that the holder runs have the same open file, and larger numbers.
    if [[ ${info} == *lock:* ]] && ((pid < ${holder:-pid + 1})); then
      holder=${pid}
    fi
  done
  printf '%s\n' "${holder:-unknown}"
} 2>/dev/null

# One run at a time. The lock ends with the process, however it ends.
lock() { # lock FOLDER
  local lock_fd
  exec {lock_fd}<"$1"
  if flock --nonblock "${lock_fd}"; then return; fi
  note "another run works in $1 (process $(holder_of "$1")); waiting for it"
  flock "${lock_fd}"
}

# Opens the folder of one party below DIR, for this run alone.
open_party() { # open_party FOLDER
  local part
  for part in "${dir}" "${1%/*}" "$1"; do open_folder "${part}"; done
  if [[ ${verb} != check ]]; then lock "$1"; fi
}

# ---- Keys, requests and certificates ----------------------------------------

public_key_of() { # public_key_of CERTIFICATE
  openssl x509 -in "$1" -noout -pubkey 2>/dev/null
}

has_terminal() {
  { : </dev/tty; } 2>/dev/null
}

# ---- The passphrase of the CA key -------------------------------------------

# It lives in this shell variable alone, which is not exported, and reaches
# openssl through file descriptor 3: never in an argument, never in a file.
passphrase=''
readonly passphrase_minimum=12

read_passphrase_file() {
  local mode
  [[ -r ${passphrase_file} ]] ||
    die 2 "passphrase file ${passphrase_file} cannot be read"
  mode=$(stat --dereference --format '%a' -- "${passphrase_file}")
  (((8#${mode} & 8#077) == 0)) ||
    die 2 \
      "others can read ${passphrase_file}; run: chmod 600 ${passphrase_file}"
  IFS= read -r passphrase <"${passphrase_file}" || [[ -n ${passphrase} ]] ||
    die 2 "passphrase file ${passphrase_file} is empty"
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
    openssl enc "${cipher[@]}" -e -salt -pass fd:3 -out "$2" 3< <(
      printf '%s\n' "${passphrase}"
    )
}

decrypt() { # decrypt FILE
  openssl enc "${cipher[@]}" -d -pass fd:3 -in "$1" 3< <(
    printf '%s\n' "${passphrase}"
  )
} 2>/dev/null

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
  [[ -e ${key} && -e ${folder}/${ca_certificate_file} ]] ||
    die 2 "there is no CA in ${folder} to back up"
  open_party "${folder}"
  [[ ! -e ${to} ]] ||
    die 2 "${to} is there already; give another name, or move it away"
  [[ -d ${to%/*} ]] || die 2 "there is no folder ${to%/*}"
  print_line "tar --create . | openssl enc ${cipher[*]} -pass fd:3 -out\
 ${to}.new"
  if [[ ${verb} != check ]]; then
    get_passphrase "${key}"
    mkdir -- "${scratch}/copy" "${scratch}/restored"
    copy_authority "${scratch}/copy"
    rm -f -- "${to}.new"
    encrypt "${scratch}/copy" "${to}.new" ||
      die 1 "${to}.new could not be written; is the disk full? ${leaves}"
    unpack "${to}.new" "${scratch}/restored"
    [[ -z ${problem} ]] ||
      die 1 "${to}.new did not read back: ${problem}; ${leaves}"
    is_same_authority "${scratch}/restored" ||
      die 1 "${to}.new is not what is in ${folder}; run this again"
  fi
  run sync -- "${to}.new"
  run mv -nT -- "${to}.new" "${to}"
  run sync -- "${to%/*}"
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
  if [[ ${verb} != check ]]; then lock "${dir}"; fi
  [[ ! -e ${folder} ]] ||
    die 2 "${folder} is there already; give another --dir, or move it away"
  if [[ -e ${folder}.new ]]; then run rm -rf -- "${folder}.new"; fi
  run mkdir -m 0700 -- "${folder}.new"
  print_line "openssl enc ${cipher[*]} -d -in ${restore_from} | tar --extract"
  if [[ ${verb} != check ]]; then
    get_archive_passphrase
    unpack "${restore_from}" "${folder}.new"
    if [[ -n ${problem} ]]; then
      rm -rf -- "${folder}.new"
      die 2 "refused ${restore_from}: ${problem}; ${leaves}"
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
