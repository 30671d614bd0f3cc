#!/usr/bin/env bash
# Runs the scripts of this machine's parties, in order: makes the CA and the
# certificates, configures dockerd and docker, and verifies the result.
# Nothing is changed before every script has found what it needs. What each one
# reads and writes stands in its own --help.
#
# Usage:      setup.sh [--as PARTY]... [OPTION]... [STEP]...
#             PARTY is ca, hosts/NAME or clients/NAME; STEP is one script
# Reads:      OUT/SHA256SUMS; /etc/docker/tls/ca-public.pem
# Writes:     DIR/: parties.txt, .lock
# Restarts:   docker.service, docker.socket
# Needs root: where this machine is a Docker host
# Undo:       undoes the same scripts, the last one first
# Options:    --dir DIR (~/docker-tls)  --passphrase-file FILE  --yes
#             --no-containers  --check  --undo [--remove-keys]  --help
# Status:     0 done, 1 failed, 2 wrong use, 3 --check found changes to make,
#             4 a control does not hold, 5 waits for a file that has to be
#             carried here, 6 refused a request
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

readonly script='setup.sh'
readonly ca_common_name='dockseal CA'
readonly ca_key_file='ca-private.pem'
readonly server_key_file='server-key.pem'
readonly server_request_file='request.csr'
readonly server_certificate_file='certificate.pem'
readonly client_key_file='client-key.pem'
readonly client_request_file='client-request.csr'
readonly client_certificate_file='client-certificate.pem'
readonly ca_certificate_file='ca-public.pem'
# Where a dockerd of this site finds the CA that it trusts.
readonly -a installed_authorities=(
  '/etc/docker/tls/ca-public.pem'
)
readonly -a parties=(
  'ca'
  'hosts/localhost'
  'clients/client'
)
# script, party, what it needs, when it runs: always, or on-demand
readonly -a steps=(
  'ca/10-create-ca.sh' 'ca' 'passphrase' 'always'
  'hosts/localhost/10-request-certificate.sh' 'hosts/localhost' 'nothing' 'always'
  'ca/20-sign-servers.sh' 'ca' 'passphrase' 'always'
  'clients/client/10-request-certificate.sh' 'clients/client' 'nothing' 'always'
  'ca/30-sign-clients.sh' 'ca' 'passphrase' 'always'
  'hosts/localhost/20-configure-daemon.sh' 'hosts/localhost' 'dockerd' 'always'
  'hosts/localhost/30-create-networks.sh' 'hosts/localhost' 'dockerd' 'always'
  'clients/client/20-configure-client.sh' 'clients/client' 'nothing' 'always'
  'hosts/localhost/40-show-namespaces.sh' 'hosts/localhost' 'probe-image' 'always'
  'hosts/localhost/60-watch-expiry.sh' 'hosts/localhost' 'dockerd' 'on-demand'
  'clients/client/60-check-expiry.sh' 'clients/client' 'nothing' 'on-demand'
  'ca/60-roll-over-ca.sh' 'ca' 'passphrase' 'on-demand'
  'ca/70-back-up-ca.sh' 'ca' 'passphrase' 'on-demand'
  'ca/80-list-certificates.sh' 'ca' 'nothing' 'on-demand'
  'hosts/localhost/90-verify.sh' 'hosts/localhost' 'dockerd' 'always'
  'clients/client/90-verify.sh' 'clients/client' 'nothing' 'always'
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

# ---- Which scripts run on this machine --------------------------------------

accepts=' --dir --passphrase-file --yes --no-containers --check --undo '
accepts+='--remove-keys --help '
readonly accepts

is_party() { # is_party NAME
  local party
  for party in "${parties[@]}"; do
    if [[ ${party} == "$1" ]]; then return; fi
  done
  return 1
}

# Splits the arguments: named and wanted are this script's own, options are
# the shared ones.
read_arguments() { # read_arguments ARGUMENT...
  while (($# > 0)); do
    case $1 in
      --as)
        is_party "${2:-}" || die 2 "--as needs one of: ${parties[*]}"
        named+=("$2")
        shift
        ;;
      --dir | --passphrase-file)
        if [[ $1 == --dir ]]; then default_folder=0; fi
        options+=("$1" ${2+"$2"})
        if (($# > 1)); then shift; fi
        ;;
      -*) options+=("$1") ;;
      *) wanted+=("${1#"${home}"/}") ;;
    esac
    shift
  done
}

# Prints the parties of this machine: those whose private key is in the working
# folder, and those that --as has named before.
parties_here() {
  local file
  for file in "${dir}/ca/${ca_key_file}" \
    "${dir}"/hosts/*/"${server_key_file}" \
    "${dir}"/clients/*/"${client_key_file}"; do
    if [[ -e ${file} ]]; then
      file=${file#"${dir}"/}
      printf '%s\n' "${file%/*}"
    fi
  done
  if [[ -f ${named_parties} ]]; then cat -- "${named_parties}"; fi
}

# True when a folder holds what was carried here from another machine: a request
# or a certificate, but not the key.
is_carried() { # is_carried FOLDER KEY REQUEST CERTIFICATE
  [[ ! -e $1/$2 && (-e $1/$3 || -e $1/$4) ]]
}

# True when nothing says that the site has more machines than this one.
is_only_machine() {
  local folder
  if [[ -e ${named_parties} ]]; then return 1; fi
  for folder in "${dir}"/hosts/*; do
    if is_carried "${folder}" "${server_key_file}" "${server_request_file}" \
      "${server_certificate_file}"; then
      return 1
    fi
  done
  for folder in "${dir}"/clients/*; do
    if is_carried "${folder}" "${client_key_file}" "${client_request_file}" \
      "${client_certificate_file}"; then
      return 1
    fi
  done
  [[ ${#roles[@]} == 0 || -e ${dir}/ca/${ca_key_file} ]]
}

# Without --as: the parties that this machine has; every party where it may be
# the site's only machine.
choose_roles() {
  local party hosts=0
  roles=("${named[@]}")
  if ((${#named[@]} || ${#wanted[@]})); then return; fi
  while IFS= read -r party; do
    if is_party "${party}"; then roles+=("${party}"); fi
  done < <(parties_here)
  for party in "${parties[@]}"; do
    if [[ ${party} == hosts/* ]]; then hosts=$((hosts + 1)); fi
  done
  if ((hosts == 1)) && is_only_machine; then roles=("${parties[@]}"); fi
  ((${#roles[@]})) ||
    die 2 \
      "this site has ${hosts} Docker hosts: say which party this machine is" \
      "with --as: ${parties[*]}"
}

# A Docker host has dockerd where every script looks for it.
need_dockerd() {
  local role
  if command -v dockerd >/dev/null || [[ ${verb} == undo ]]; then return; fi
  for role in "${roles[@]}"; do
    [[ ${role} != hosts/* ]] ||
      die 2 \
        "this machine is to be ${role}, and there is no dockerd in ${PATH}." \
        'These scripts configure a dockerd that systemd runs, and no snap or' \
        'rootless one. If the Docker host is another machine, say with --as' \
        "which party this one is: ${parties[*]}"
  done
}

# Nobody would trust a second CA for the same site. Stops where the default
# folder has none and another run has made one.
check_for_other_ca() {
  local file subject
  if ((! default_folder)) || [[ " ${chosen[*]}" != *' ca/'* ]] ||
    [[ -e ${dir}/ca/${ca_key_file} || ${verb} == undo ]]; then
    return
  fi
  for file in "${PWD}" "${home%/*}"; do
    [[ ! -e ${file}/docker-tls/ca/${ca_key_file} ]] ||
      die 2 \
        "there is a CA in ${file}/docker-tls, and none in ${dir}: give --dir" \
        "${file}/docker-tls, or move that folder to ${dir}"
  done
  for file in "${installed_authorities[@]}"; do
    [[ -r ${file} ]] || continue
    subject=$(openssl x509 -in "${file}" -noout -subject -nameopt RFC2253)
    [[ ${subject} != "subject=CN=${ca_common_name}" ]] ||
      die 2 \
        "dockerd here trusts a CA of this name already (${file}), and its key" \
        "is not in ${dir}: run this as the user who made it (with sudo, where" \
        'that was root), or give the --dir of that run'
  done
}

is_chosen() { # is_chosen STEP PARTY
  local item
  if ((${#wanted[@]})); then
    for item in "${wanted[@]}"; do
      if [[ ${item} == "$1" ]]; then return; fi
    done
    return 1
  fi
  for item in "${roles[@]}"; do
    if [[ ${item} == "$2" ]]; then return; fi
  done
  return 1
}

is_step() { # is_step STEP
  local row
  for ((row = 0; row < ${#steps[@]}; row += 4)); do
    if [[ ${steps[row]} == "$1" ]]; then return; fi
  done
  return 1
}

choose_steps() {
  local row item
  for item in "${wanted[@]}"; do
    is_step "${item}" || die 2 "there is no script ${item} in this site"
  done
  for ((row = 0; row < ${#steps[@]}; row += 4)); do
    is_chosen "${steps[row]}" "${steps[row + 1]}" || continue
    # --undo is for what was done on demand too.
    if [[ ${steps[row + 3]} == on-demand && ${verb} != undo ]] &&
      ((! ${#wanted[@]})); then
      continue
    fi
    if [[ ${steps[row + 2]} == probe-image ]] && ((! containers)); then
      continue
    elif [[ ${steps[row + 2]} =~ ^(dockerd|probe-image)$ ]] &&
      ! command -v dockerd >/dev/null && ((! ${#wanted[@]})); then
      elsewhere+=("${steps[row]}")
    elif [[ ${steps[row]} == clients/*/90-verify.sh ]] &&
      ((${#elsewhere[@]} && ! ${#wanted[@]})); then
      elsewhere+=("${steps[row]}")
    else
      chosen+=("${steps[row]}")
    fi
  done
}

# ---- Before the first change ------------------------------------------------

# A sum that is missing, damaged or cut off would let a changed file through:
# what runs, and what tells how to review it, must be listed.
check_sums() {
  local text line
  local -A listed=()
  text=$(
    cd -- "${home}"
    sha256sum --check --strict --quiet SHA256SUMS 2>&1
  ) ||
    die 2 "these files are not what was rendered:
${text}
Nothing was changed. Render them again, or find out who changed them."
  while IFS= read -r line; do
    listed[" ${line}"]=1
  done <"${home}/SHA256SUMS"
  while IFS= read -r line; do
    [[ -n ${listed[" ${line}"]:-} ]] ||
      die 2 \
        "SHA256SUMS has no line for ${line#*  }: it was cut off or changed." \
        'Nothing was changed. Render the scripts again, or find out who' \
        'changed it.'
  done < <(cd -- "${home}" && sha256sum -- setup.sh README.md "${chosen[@]}")
}

# With docker's variables as this script was given them: a verification looks at
# what they would make docker do.
run_step() { # run_step STEP OPTION...
  env "${caller_variables[@]}" /bin/bash -p "${home}/$1" --dir "${dir}" "${@:2}"
}

# Nothing depends on the demonstration: a machine without an image for its
# containers is set up all the same.
may_be_left_out() { # may_be_left_out STEP STATUS
  [[ $1 == hosts/*/40-show-namespaces.sh && $2 == 2 ]] && ((! ${#wanted[@]}))
}

# Asks every script what it would do. Sets plan (a word for each of chosen).
check_steps() {
  local step status text
  for step in "${chosen[@]}"; do
    status=0
    text=$(run_step "${step}" --check 2>&1 >/dev/null) || status=$?
    plan_step "${step}" "${status}" "${text}"
    if ((status == 3 || status == 5)); then need_for "${step}" "${status}"; fi
  done
}

# 5: a later script may make what this one waits for.
plan_step() { # plan_step STEP STATUS TEXT
  case $2 in
    0) plan+=('nothing to do') ;;
    3 | 5) plan+=('has changes to make') ;;
    6)
      printf '%s\n' "$3" >&2
      # Its own run stops at the same request, and logs that it did.
      run_step "$1" >/dev/null 2>&1 || true
      die 6 "$1 refuses a request; nothing was changed"
      ;;
    *)
      printf '%s\n' "$3" >&2
      may_be_left_out "$1" "$2" ||
        die 2 "$1 cannot run on this machine; nothing was changed"
      plan+=('left out, for the reason above')
      return
      ;;
  esac
  case $1 in
    */40-show-*) plan[-1]='shows' ;;
    */90-verify.sh) plan[-1]='verifies' ;;
    ca/20-* | ca/30-*) if (($2)); then plan[-1]='signs what is requested'; fi ;;
    *) ;;
  esac
}

# Sets what a script that changes something will ask for. Where one only waits
# for a request nothing is signed yet.
need_for() { # need_for STEP STATUS
  case $1 in
    ca/* | */10-*) if (($2 == 3)); then needs_passphrase=1; fi ;;
    hosts/*/20-*) needs_confirmation=1 ;;
    *) ;;
  esac
}

# Signing needs the passphrase where this machine is the CA.
need_answers() {
  [[ " ${chosen[*]}" == *' ca/'* ]] || needs_passphrase=0
  if ((needs_confirmation && ! yes)) && ! has_terminal; then
    die 2 \
      'dockerd will be restarted and there is no terminal to ask on: give' \
      '--yes; nothing was changed'
  fi
  if ((needs_passphrase)); then get_passphrase "${dir}/ca/${ca_key_file}"; fi
}

show_plan() {
  local number
  printf 'Working folder: %s\n' "${dir}" >&2
  for number in "${!chosen[@]}"; do
    printf '  %2d. %-46s %s\n' $((number + 1)) "${chosen[number]}" \
      "${plan[number]}" >&2
  done
  for step in "${elsewhere[@]}"; do
    printf '   -  %-46s on the Docker host: no dockerd here\n' "${step}" >&2
  done
}

# ---- The verbs --------------------------------------------------------------

elapsed() { # elapsed START, in milliseconds
  local spent=$(($(date '+%s%3N') - $1))
  printf '%d.%d s' $((spent / 1000)) $((spent % 1000 / 100))
}

run_step_with_passphrase() { # run_step_with_passphrase STEP OPTION...
  run_step "$@" --passphrase-file <(printf '%s\n' "${passphrase}")
}

# Runs one step between two lines of progress; its failure ends this script.
run_one() { # run_one NUMBER STEP OPTION...
  local start status=0 result=ok runner=run_step
  local place="[$1/${#chosen[@]}] $2 ..."
  start=$(date '+%s%3N')
  printf '%s\n' "${place}" >&2
  if [[ -n ${passphrase} && $2 == ca/* ]]; then
    runner=run_step_with_passphrase
  fi
  "${runner}" "${@:2}" || status=$?
  if ((status == 5)) && [[ $2 == ca/* ]]; then
    result=waits
    await_requests "$2"
    status=0
  elif ((status)); then
    result="stopped with status ${status}"
  fi
  printf '%s %s (%s)\n' "${place}" "${result}" "$(elapsed "${start}")" >&2
  if ((status)) && ! may_be_left_out "$2" "${status}"; then
    exit "${status}"
  fi
}

# Adds to requests those of parties that have no certificate yet.
await_requests() { # await_requests STEP
  local party request certificate
  for party in "${parties[@]}"; do
    case $1:${party} in
      ca/20-*:hosts/*)
        request=${server_request_file}
        certificate=${server_certificate_file}
        ;;
      ca/30-*:clients/*)
        request=${client_request_file}
        certificate=${client_certificate_file}
        ;;
      *) continue ;;
    esac
    if [[ ! -e ${dir}/${party}/${certificate} ]]; then
      requests+=("${dir}/${party}/${request}")
    fi
  done
  if ((! ${#requests[@]})); then requests=('the requests named above'); fi
}

# On a split site a certificate comes back from the CA machine later: the first
# one to a party's folder, a renewed one to the folder renewal in it. True when
# it is not here; what to do is added to awaited then.
await_certificate() { # await_certificate STEP FOLDER
  local request certificate
  case $1 in
    hosts/*/20-*)
      request=${server_request_file}
      certificate=${server_certificate_file}
      ;;
    clients/*/20-*)
      request=${client_request_file}
      certificate=${client_certificate_file}
      ;;
    *) return 1 ;;
  esac
  if [[ $2 == */renewal && ! -e $2/${request} ]] ||
    [[ -e $2/${certificate} && -e ${dir}/${1%/*}/${ca_certificate_file} ]] ||
    # A host without TLS has no certificate to wait for.
    ! is_step "${1%/*}/10-request-certificate.sh"; then
    return 1
  fi
  awaited+=("Carry $2/${request} to the CA machine, sign it there, bring\
 ${certificate} and ${ca_certificate_file} back to $2")
}

# Ends with status 5, and a last line that says what has to be carried, where
# something is awaited.
finish_or_wait() { # finish_or_wait MESSAGE
  local text
  if ((${#requests[@]})); then
    printf -v text '%s, ' "${requests[@]}"
    note "waiting for ${text%, }: carry here what the machines of these" \
      'parties made, and run this again'
  fi
  for text in "${awaited[@]}"; do
    note "waiting for a certificate. ${text}, and run this again"
  done
  if ((${#requests[@]} + ${#awaited[@]})); then exit 5; fi
  if [[ -n $1 ]]; then note "$1"; fi
  exit 0
}

# Keeps what --as said for the next run, which may come without it.
remember_parties() {
  local text
  if ((! ${#named[@]} || ${#wanted[@]})); then return; fi
  text=$({
    printf '%s\n' "${named[@]}"
    if [[ -f ${named_parties} ]]; then cat -- "${named_parties}"; fi
  } | sort --unique)
  write_file "${named_parties}" 0600 "${text}"
}

forget_parties() {
  local party text=''
  if ((${#wanted[@]})) || [[ ! -e ${named_parties} ]]; then return; fi
  while IFS= read -r party; do
    if [[ " ${roles[*]} " != *" ${party} "* ]]; then text+=${party}$'\n'; fi
  done <"${named_parties}"
  if [[ -n ${text} ]]; then
    write_file "${named_parties}" 0600 "${text%$'\n'}"
  else
    run rm -f -- "${named_parties}"
  fi
}

apply() {
  local number step folder
  local -a options=() verify_options=()
  if ((yes)); then options=(--yes); fi
  if ((! containers)); then verify_options=(--no-containers); fi
  check_steps
  show_plan
  need_answers
  open_folder "${dir}"
  lock "${dir}/.lock"
  remember_parties
  leaves='the scripts reported ok above are done; run this again to finish'
  for number in "${!chosen[@]}"; do
    [[ ${plan[number]} != 'left out'* ]] || continue
    step=${chosen[number]}
    folder=${dir}/${step%/*}
    if await_certificate "${step}" "${folder}"; then finish_or_wait ''; fi
    case ${step} in
      hosts/*/90-verify.sh)
        run_one $((number + 1)) "${step}" "${verify_options[@]}"
        ;;
      */90-verify.sh | */40-show-namespaces.sh)
        run_one $((number + 1)) "${step}"
        ;;
      *) run_one $((number + 1)) "${step}" "${options[@]}" ;;
    esac
    await_certificate "${step}" "${folder}/renewal" || true
  done
  finish_or_wait 'done'
}

# Prints every command that would run. Exit status 3 when there is one. What
# comes after a certificate that is not here yet is shown, and does not count.
check() {
  local step status result=0 blocked=0
  remember_parties
  if ((changed)); then result=3; fi
  for step in "${chosen[@]}"; do
    if await_certificate "${step}" "${dir}/${step%/*}"; then blocked=1; fi
    status=0
    printf '# %s\n' "${step}"
    run_step "${step}" --check || status=$?
    case ${status} in
      0) ;;
      3) if ((! blocked)); then result=3; fi ;;
      5) if [[ ${step} == ca/* ]]; then await_requests "${step}"; fi ;;
      *) may_be_left_out "${step}" "${status}" || exit "${status}" ;;
    esac
    await_certificate "${step}" "${dir}/${step%/*}/renewal" || true
  done
  if ((result)); then exit "${result}"; fi
  finish_or_wait ''
}

# The scripts remove the working folder with the last of their files. On a host
# without certificates none of them has any there.
remove_empty_folder() {
  if [[ -d ${dir} && $(ls -A -- "${dir}") == .lock ]]; then
    run rm -f -- "${dir}/.lock"
    run rmdir -- "${dir}"
  fi
}

undo() {
  local number place=0
  local -a options=(--undo)
  if ((remove_keys)); then options+=(--remove-keys); fi
  if ((yes)); then
    options+=(--yes)
  elif [[ " ${chosen[*]}" == *' hosts/'*'/20-'* ]] && ! has_terminal; then
    die 2 \
      'dockerd will be restarted and there is no terminal to ask on: give' \
      '--yes; nothing was changed'
  fi
  leaves='the scripts reported ok above are undone; run this again to finish'
  forget_parties
  for ((number = ${#chosen[@]} - 1; number >= 0; number--)); do
    place=$((place + 1))
    run_one "${place}" "${chosen[number]}" "${options[@]}"
  done
  remove_empty_folder
  note 'undone'
}

main() {
  local needs_passphrase=0 needs_confirmation=0 default_folder=1
  local named_parties
  local -a named=() roles=() wanted=() options=() chosen=() elsewhere=()
  local -a plan=() requests=() awaited=()
  home=$(realpath -- "${BASH_SOURCE[0]}")
  home=${home%/*}
  read_arguments "$@"
  parse_options "${options[@]}"
  need_openssl
  # One party a line, as --as named them.
  named_parties=${dir}/parties.txt
  choose_roles
  need_dockerd
  choose_steps
  check_sums
  check_for_other_ca
  case ${verb} in
    check) check ;;
    undo) undo ;;
    *) apply ;;
  esac
}

main "$@"
