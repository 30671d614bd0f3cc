#!/usr/bin/env bash
# Replaces the CA without an outage. --begin makes the next CA, which all learn
# to trust beside this one; after --switch it signs, and all renew; after
# --finish the old CA is trusted no more, and who did not renew is refused.
#
# Reads:      DIR/ca/: ca-private.pem, ca-public.pem, ledger.txt;
#             DIR/hosts/localhost/ca-public.pem;
#             DIR/clients/client/ca-public.pem
# Writes:     DIR/ca/: ca-private.pem, ca-public.pem, ledger.txt, .lock,
#             authorities.pem, retired-SERIAL/; DIR/ca/next/: ca-private.pem,
#             ca-public.pem; DIR/ca/previous/: ca-private.pem, ca-public.pem
# Temporary:  DIR/ca/next/: ca-extensions.cnf, announcement.srl
# Restarts:   nothing
# Needs root: no
# Undo:       after --begin: lists the next CA and keeps it, unless
#             --remove-keys; later stages are not undone
# Options:    --begin | --switch | --finish [--shut-out PARTY]...
#             --dir DIR (~/docker-tls)  --passphrase-file FILE  --yes  --check
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

readonly script='ca/60-roll-over-ca.sh'
readonly ca_common_name='dockseal CA'
readonly ca_key_type='rsa:4096'
readonly ca_days=3650
readonly ca_key_file='ca-private.pem'
readonly ca_certificate_file='ca-public.pem'
readonly ledger_file='ledger.txt'
# Who is to stay.
readonly -a parties=(
  'hosts/localhost'
  'clients/client'
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

# Goes on only after a y on the terminal, or with --yes.
confirm() { # confirm QUESTION
  local answer
  if ((yes)) || [[ ${verb} == check ]]; then return; fi
  has_terminal || die 2 "$1 There is no terminal to ask on: give --yes"
  printf '%s [y/N] ' "$1" >/dev/tty
  IFS= read -r answer </dev/tty || answer=''
  [[ ${answer} == [yY]* ]] || die 2 "not confirmed; ${leaves}"
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

# ---- The CA's key and certificate -------------------------------------------

make_encrypted_key() { # make_encrypted_key FILE
  case ${ca_key_type} in
    rsa:*)
      # D04: openssl genrsa -aes256 -out ca-private.pem 4096
      run_with_passphrase openssl genrsa -aes256 -passout fd:3 \
        -out "$1" "${ca_key_type#rsa:}"
      ;;
    ec:*)
      run_with_passphrase openssl genpkey -algorithm EC \
        -pkeyopt "ec_paramgen_curve:${ca_key_type#ec:}" \
        -pkeyopt ec_param_enc:named_curve -aes256 -pass fd:3 -out "$1"
      ;;
    *)
      run_with_passphrase openssl genpkey -algorithm ED25519 \
        -aes256 -pass fd:3 -out "$1"
      ;;
  esac
}

# A guess at the passphrase costs an attacker as much as one at the back-up's.
slow_down_guesses() { # slow_down_guesses FILE NEW_FILE
  run_with_passphrase openssl pkcs8 -topk8 -v2 aes-256-cbc \
    -v2prf hmacWithSHA256 -iter 600000 -in "$1" -passin fd:3 \
    -passout fd:4 -out "$2" 4< <(printf '%s\n' "${passphrase}")
}

create_ca_key() {
  run rm -f -- "${key}.first.new" "${key}.new"
  make_encrypted_key "${key}.first.new"
  if [[ ${verb} != check ]]; then
    is_right_passphrase "${key}.first.new" ||
      die 1 "${key}.first.new is not a whole key; is the disk full? ${leaves}"
  fi
  slow_down_guesses "${key}.first.new" "${key}.new"
  run rm -f -- "${key}.first.new"
  if [[ ${verb} != check ]]; then
    # openssl exits with 0 when the disk is full: read the key back.
    is_right_passphrase "${key}.new" ||
      die 1 "${key}.new is not a whole key; is the disk full? ${leaves}"
  fi
  run sync -- "${key}.new"
  run mv -nT -- "${key}.new" "${key}"
  run sync -- "${key%/*}"
}

# Explicit extensions: the installed openssl.cnf has no say in them.
certificate_settings() {
  printf '%s\n' '[req]' 'prompt = no' 'distinguished_name = subject' \
    'x509_extensions = ca' '[subject]' "CN = ${ca_common_name}" '[ca]' \
    'basicConstraints = critical, CA:TRUE, pathlen:0' \
    'keyUsage = critical, keyCertSign, cRLSign' \
    'subjectKeyIdentifier = hash'
}

issue_ca_certificate() {
  run rm -f -- "${certificate}.new"
  write_file "${settings}" 0600 "$(certificate_settings)"
  # D05: openssl req -new -x509 -days N -key ca-private.pem -sha256
  #      -out ca-public.pem
  run_with_passphrase openssl req -new -x509 -days "${ca_days}" \
    -key "${key}" -sha256 -out "${certificate}.new" \
    -config "${settings}" -passin fd:3
  if [[ ${verb} != check ]]; then
    openssl verify -x509_strict -check_ss_sig -CAfile "${certificate}.new" \
      "${certificate}.new" >/dev/null ||
      die 1 \
        "${certificate}.new is not a valid certificate; is the disk full?" \
        "${leaves}"
  fi
  run rm -f -- "${settings}"
  run chmod 0644 -- "${certificate}.new"
  run sync -- "${certificate}.new"
  add_to_ledger ca "${certificate}.new" "${certificate}.new"
}

# A killed run may have made it already, and put it into the ledger.
create_ca_certificate() {
  if ! is_in_ledger "${certificate}.new"; then issue_ca_certificate; fi
  run mv -fT -- "${certificate}.new" "${certificate}"
  run sync -- "${certificate%/*}"
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

# ---- Stage 1: the next CA ---------------------------------------------------

accepts=' --begin --switch --finish --dir --passphrase-file --yes --check '
accepts+='--undo --remove-keys --help '
readonly accepts

# The old CA signs a certificate for the next one's key: this is how a party
# that trusts the old one knows that nobody else has put the next one beside it.
announce() { # announce FILE
  local days ends serials=${next}/announcement.srl
  ends=$(openssl x509 -in "${folder}/${ca_certificate_file}" -noout -enddate)
  days=$((($(date --date "${ends#*=}" '+%s') - $(date '+%s')) / 86400))
  write_file "${settings}" 0600 "$(certificate_settings)
authorityKeyIdentifier = keyid"
  run_with_passphrase openssl x509 -days "${days}" -sha256 -clrext \
    -in "${certificate}" \
    -CA "${folder}/${ca_certificate_file}" \
    -CAkey "${folder}/${ca_key_file}" \
    -CAcreateserial -CAserial "${serials}" \
    -extfile "${settings}" -extensions ca -out "$1" -passin fd:3
  run rm -f -- "${settings}" "${serials}"
}

# What every party is handed out from now on: both, and the announcement.
write_authorities() {
  local problem announcement=${next}/announcement.pem.new
  local -a parts=("${folder}/${ca_certificate_file}" "${certificate}")
  run rm -f -- "${announcement}" "${authorities}.new"
  announce "${announcement}"
  print_line "cat ${parts[*]} ${announcement} >${authorities}.new"
  add_to_ledger announcement "${announcement}" "${parts[0]}"
  if [[ ${verb} != check ]]; then
    set -o noclobber
    cat -- "${parts[@]}" "${announcement}" >"${authorities}.new"
    set +o noclobber
    problem=$(why_not_trusted "${authorities}.new" "${parts[0]}")
    [[ -z ${problem} ]] || die 1 "${authorities}.new is refused: ${problem}"
  fi
  run chmod 0644 -- "${authorities}.new"
  run sync -- "${authorities}.new"
  run rm -f -- "${announcement}"
  run mv -fT -- "${authorities}.new" "${authorities}"
}

is_begun() {
  local problem
  [[ -e ${key} && -e ${certificate} && -e ${authorities} ]] || return 1
  problem=$(why_not_trusted "${authorities}" "${folder}/${ca_certificate_file}")
  [[ -z ${problem} ]]
}

begin() {
  [[ ! -e ${previous} ]] ||
    die 2 "the CA was switched already: --finish first; ${leaves}"
  key=${next}/${ca_key_file}
  certificate=${next}/${ca_certificate_file}
  settings=${next}/ca-extensions.cnf
  if is_begun; then return; fi
  open_folder "${next}"
  if [[ ${verb} != check ]]; then
    # The old key signs, and the next one gets the same passphrase.
    get_passphrase "${folder}/${ca_key_file}"
    [[ ! -e ${key} ]] || is_right_passphrase "${key}" ||
      die 2 "this passphrase does not open ${key}; ${leaves}"
  fi
  if [[ ! -e ${key} ]]; then create_ca_key; fi
  if [[ ! -e ${certificate} ]]; then create_ca_certificate; fi
  write_authorities
}

# ---- Stage 2: the switch ----------------------------------------------------

# Prints the parties whose copy of ca-public.pem lacks the next CA.
parties_without_next() {
  local party
  for party in "${parties[@]}"; do
    cmp --quiet -- "${authorities}" "${dir}/${party}/${ca_certificate_file}" ||
      printf '%s ' "${party}"
  done
}

keep_previous_authority() {
  local file
  if [[ -e ${previous}.new ]]; then run rm -rf -- "${previous}.new"; fi
  run mkdir -m 0700 -- "${previous}.new"
  for file in "${ca_key_file}" "${ca_certificate_file}"; do
    keep_copy "${folder}/${file}" "${previous}.new/${file}"
  done
  run mv -T -- "${previous}.new" "${previous}"
}

need_next_authority() {
  local missing
  [[ -e ${next}/${ca_key_file} && -e ${next}/${ca_certificate_file} ]] ||
    die 2 "there is no next CA: --begin first; ${leaves}"
  missing=$(parties_without_next)
  [[ -z ${missing} ]] ||
    die 2 "${missing% } would not trust the next CA: run setup.sh; ${leaves}"
  confirm 'Does every host and client trust both CAs (ca-public.pem carried,
setup.sh run there)?'
}

# Once the folder previous is there, what is left in next is moved: a killed run
# is finished by the next one.
switch() {
  local file
  if [[ ! -e ${previous} ]]; then
    need_next_authority
    keep_previous_authority
  fi
  if [[ ! -e ${next} ]]; then return; fi
  leaves='the CA is between two; run this again to finish'
  for file in "${ca_certificate_file}" "${ca_key_file}"; do
    if [[ -e ${next}/${file} ]]; then
      run mv -fT -- "${next}/${file}" "${folder}/${file}"
    fi
  done
  run sync -- "${folder}"
  run rmdir -- "${next}"
  show_authorities "${folder}/${ca_certificate_file}"
  note 'now renew on each host and client that is to stay: its' \
    '10-request-certificate.sh --renew, then setup.sh. After that: --finish'
}

# ---- Stage 3: the previous CA goes ------------------------------------------

# Prints the parties whose newest certificate is of the previous CA, and has not
# ended: --finish shuts them out.
parties_left_behind() {
  local serial party ends issuer old now
  local -A newest=()
  now=$(date --utc '+%FT%TZ')
  old=$(serial_of "${previous}/${ca_certificate_file}")
  while read -r serial party _ ends _ _ issuer _; do
    if [[ ${party} == */* && ${ends} > ${now} ]]; then
      newest[${party}]=${issuer}
    fi
  done <"${ledger}"
  for party in "${!newest[@]}"; do
    if [[ ${newest[${party}]} == "${old}" ]]; then
      printf '%s\n' "${party}"
    fi
  done | sort
}

# Nobody is shut out who is not named on the command line.
need_named() { # need_named PARTY...
  local party missing=''
  for party in "$@"; do
    if [[ " ${shut_out[*]} " != *" ${party} "* ]]; then
      missing+=" --shut-out ${party}"
    fi
  done
  [[ -z ${missing} ]] ||
    die 2 \
      'these have no certificate of the new CA and would be refused from now' \
      'on. Renew them (10-request-certificate.sh --renew, then setup.sh), or' \
      "name those that are not to stay:${missing}; ${leaves}"
}

finish_roll_over() {
  local old text
  local -a behind=()
  [[ ! -e ${next} ]] || die 2 "the CA is not switched yet: --switch; ${leaves}"
  if [[ ! -e ${previous} ]]; then return; fi
  [[ -f ${ledger} ]] ||
    die 2 \
      "there is no ledger ${ledger}, which says who has a certificate of the" \
      'new CA: bring it back, or run ca/20-sign-servers.sh and' \
      "ca/30-sign-clients.sh, which write it anew; ${leaves}"
  text=$(parties_left_behind)
  if [[ -n ${text} ]]; then mapfile -t behind <<<"${text}"; fi
  need_named "${behind[@]}"
  note "without a certificate of the new CA, and refused from then on:" \
    "${behind[*]:-nobody}"
  confirm 'Trust the previous CA no more?'
  old=$(serial_of "${previous}/${ca_certificate_file}")
  if [[ -e ${authorities} ]]; then run rm -f -- "${authorities}"; fi
  run mv -T -- "${previous}" "${folder}/retired-${old:0:16}"
  show_authorities "${folder}/${ca_certificate_file}"
  note 'now run setup.sh here, carry ca-public.pem to each host and client' \
    'and run setup.sh there: from then on the previous CA is trusted nowhere'
}

# ---- The verbs --------------------------------------------------------------

undo() {
  local file
  [[ ! -e ${previous} ]] ||
    note "the switch is not undone: go on with --finish"
  if [[ -e ${authorities} && ! -e ${previous} ]]; then
    run rm -f -- "${authorities}"
  fi
  for file in ca-extensions.cnf announcement.srl announcement.pem.new; do
    remove_file "${next}/${file}"
  done
  undo_working_files "${next}/${ca_certificate_file}" "${next}/${ca_key_file}"
  undo_folder "${next}"
  finish
}

# Takes --shut-out PARTY out of the arguments; the others are the shared ones.
read_arguments() { # read_arguments ARGUMENT...; sets shut_out, options
  while (($# > 0)); do
    if [[ $1 == --shut-out ]]; then
      [[ ${2:-} =~ ^(hosts|clients)/[a-z0-9.-]+$ ]] ||
        die 2 '--shut-out needs a party, such as clients/laptop'
      shut_out+=("$2")
      shift
    else
      options+=("$1")
    fi
    shift
  done
}

main() {
  local -a shut_out=() options=()
  read_arguments "$@"
  parse_options "${options[@]}"
  ((${#shut_out[@]} == 0)) || [[ ${stage} == finish ]] ||
    die 2 '--shut-out goes with --finish'
  need_openssl
  folder=${dir}/ca
  next=${folder}/next
  previous=${folder}/previous
  authorities=${folder}/authorities.pem
  ledger=${folder}/${ledger_file}
  if [[ ${verb} == undo ]]; then undo; fi
  [[ -n ${stage} ]] || die 2 'say the stage: --begin, --switch or --finish'
  need_access "${folder}"
  [[ -e ${folder}/${ca_key_file} && -e ${folder}/${ca_certificate_file} ]] ||
    die 2 "there is no CA in ${folder}: run ca/10-create-ca.sh first"
  open_party "${folder}"
  need_plain "${folder}"/*.pem "${folder}"/*/*.pem "${ledger}"
  case ${stage} in
    begin)
      begin
      show_authorities "${authorities}"
      note 'now run setup.sh here, carry ca-public.pem to each host and' \
        'client and run setup.sh there: they trust both CAs then, and show' \
        'these digests. After that: --switch'
      ;;
    switch) switch ;;
    *) finish_roll_over ;;
  esac
  finish
}

main "$@"
