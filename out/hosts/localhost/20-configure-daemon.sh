#!/usr/bin/env bash
# Configures dockerd for mutual TLS: it answers only to clients with a
# certificate of the site's CA. Then proves it, or puts back what was there.
#
# Reads:      DIR/hosts/NAME/{server-key.pem,certificate.pem,ca-public.pem}
# Writes:     /etc/docker/tls and the systemd drop-in of docker.service
# Removes:    DIR/hosts/NAME/{request.csr,extfile.cnf} once all holds
# Restarts:   docker.service, once, and only if something changed
# Needs root: yes
# Undo:       removes the drop-in and the installed files, restarts
# Options:    --dir DIR (docker-tls)  --yes  --check
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
unset DOCKER_HOST DOCKER_CONTEXT DOCKER_TLS DOCKER_TLS_VERIFY DOCKER_CERT_PATH

readonly script='hosts/localhost/20-configure-daemon.sh'
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

# ==== Below this line every site has the same bytes ==========================

# ---- Shared by every script -------------------------------------------------

verb=apply     # apply, check or undo
dir=docker-tls # working folder
yes=0
remove_keys=0
passphrase_file=''
json=0
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
      --help)
        print_help
        exit 0
        ;;
      --dir | --passphrase-file)
        [[ -n ${1:-} ]] || die 2 "${option} needs a value"
        if [[ ${option} == --dir ]]; then dir=$1; else passphrase_file=$1; fi
        shift
        ;;
      *) die 2 "option ${option} is not handled" ;;
    esac
  done
  ((! remove_keys)) || [[ ${verb} == undo ]] ||
    die 2 '--remove-keys goes with --undo'
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
print_command() { # print_command WORD...
  local words
  printf -v words ' %q' "$@"
  changed=1
  if [[ ${verb} == check ]]; then
    printf '%s\n' "${words# }"
  else
    printf '+%s\n' "${words}" >&2
  fi
}

run() { # run COMMAND...
  print_command "$@"
  [[ ${verb} != check ]] || return 0
  doing=$*
  "$@" || return
  doing=''
}

# Writes a file whole or not at all; does nothing when it is so already.
write_file() { # write_file FILE MODE TEXT
  local file=$1 mode=$2 text=$3
  if [[ -f ${file} && $(<"${file}") == "${text}" ]]; then return; fi
  changed=1
  if [[ ${verb} == check ]]; then
    printf "cat >%q <<'END'\n%s\nEND\n" "${file}" "${text}"
    return
  fi
  printf "+ cat >%q <<'END'\n%s\nEND\n" "${file}" "${text}" >&2
  rm -f -- "${file}.new"
  printf '%s\n' "${text}" >"${file}.new"
  [[ $(<"${file}.new") == "${text}" ]] ||
    die 1 "${file}.new did not read back; is the disk full? ${leaves}"
  chmod -- "${mode}" "${file}.new"
  sync -- "${file}.new"
  mv -fT -- "${file}.new" "${file}"
}

# Ends the script with the status of its verb.
finish() {
  ((changed)) || note 'nothing to do'
  if [[ ${verb} == check ]] && ((changed)); then exit 3; fi
  exit 0
}

# One run at a time. The lock ends with the process, however it ends.
lock() { # lock FOLDER
  local lock_fd inode holder
  exec {lock_fd}<"$1"
  if flock --nonblock "${lock_fd}"; then return; fi
  inode=$(stat --format ':%i' -- "$1")
  holder=unknown
  while read -r _ _ _ _ pid place _; do
    [[ ${place} != *"${inode}" ]] || holder=${pid}
  done </proc/locks
  note "another run works in $1 (process ${holder}); waiting for it"
  flock "${lock_fd}"
}

has_terminal() {
  { : </dev/tty; } 2>/dev/null
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
  public_key=$(openssl pkey -in "$2" -passin pass: -pubout) || return 1
  [[ $(public_key_of "$1") == "${public_key}" ]]
} 2>/dev/null

# Prints why openssl does not accept a certificate, or nothing.
why_not_valid() { # why_not_valid CERTIFICATE CA PURPOSE
  local text
  if text=$(openssl verify -x509_strict -purpose "$3" -CAfile "$2" "$1" \
    2>&1); then
    return
  fi
  text=${text#*lookup: }
  printf '%s\n' "${text%%$'\n'*}"
}

# Stops unless key, certificate and CA are here and fit together.
check_certificate() {
  local problem file
  for file in "${key}" "${certificate}" "${ca}"; do
    [[ -e ${file} ]] ||
      die 2 \
        "${file} is not here: carry ${folder}/${request_file} to the CA, run" \
        "${signer} there, and bring ${certificate_file} and" \
        "${ca_certificate_file} back; ${leaves}"
  done
  problem=$(why_not_valid "${certificate}" "${ca}" "${purpose}")
  [[ -z ${problem} ]] ||
    die 2 \
      "${certificate} is not valid here ($(date --utc '+%F %T') UTC):" \
      "${problem}; ${leaves}"
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

# dockerd hangs up right after its alert. When that overtakes the request, the
# client fails to write it (a reset) and never reads the alert: it asks again.
ask_daemon() { # ask_daemon ADDRESS PORT NAME CA S_CLIENT_OPTION...
  local answer tries
  for tries in 1 2 3 4 5; do
    answer=$(ask_once "$@")
    if [[ ${answer} != *write:errno=* ]]; then break; fi
  done
  printf '%s\n' "${answer}"
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

# ---- The docker daemon on this machine --------------------------------------

# D16, with absolute paths: under systemd the working directory is /.
readonly -a flags=(
  --tlsverify
  "--tlscacert=${tls_directory}/${ca_certificate_file}"
  "--tlscert=${tls_directory}/${certificate_file}"
  "--tlskey=${tls_directory}/${key_file}"
)

daemon_property() { # daemon_property PROPERTY
  systemctl show --property "$1" --value docker.service
}

# Prints the command line of the running dockerd, one word a line.
running_arguments() {
  local pid
  pid=$(daemon_property MainPID)
  if ((pid)); then tr '\0' '\n' <"/proc/${pid}/cmdline"; fi
}

is_running_with_flags() {
  local arguments flag
  arguments=$'\n'$(running_arguments)$'\n'
  for flag in "tcp://${listen}" "${flags[@]}"; do
    [[ ${arguments} == *$'\n'"${flag}"$'\n'* ]] || return 1
  done
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

# ---- What dockerd gets ------------------------------------------------------

readonly purpose=sslserver signer=ca/20-sign-servers.sh
readonly accepts=' --dir --yes --check --undo --remove-keys --help '
readonly marker="# Written by dockseal ${script}; --undo removes it."

# The previous drop-in and files are kept here until the new ones are proven.
# While it exists, a run was interrupted: the next one finishes the work.
readonly previous=${tls_directory}.previous

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
      --tls*) die 2 "the unit file of docker.service passes ${word} itself" ;;
      *) kept+=("${word}") ;;
    esac
  done
}

# D02, D16: the empty ExecStart= clears the stock one.
drop_in_text() {
  printf '%s\n' "${marker}" '[Service]' 'ExecStart='
  printf 'ExecStart=%s' "${dockerd}"
  printf ' \\\n  %s' '-H unix:///var/run/docker.sock' "-H tcp://${listen}" \
    "${flags[@]}" "${kept[@]}"
  printf '\n'
}

# ---- What would make dockerd refuse -----------------------------------------

# The same option as a flag and in daemon.json is fatal to dockerd.
check_daemon_json() {
  local file=/etc/docker/daemon.json word option text
  for word in "${kept[@]}"; do
    if [[ ${word} == --config-file=* ]]; then file=${word#*=}; fi
  done
  [[ -e ${file} ]] || return 0
  text=$(<"${file}")
  for option in hosts tls tlsverify tlscacert tlscert tlskey; do
    [[ ! ${text} =~ \"${option}\"[[:space:]]*: ]] ||
      die 2 \
        "${file} sets \"${option}\" too, and dockerd refuses both; remove" \
        "that key and run this again; ${leaves}"
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
    [[ ! ${text} =~ $'\n'[[:space:]]*ExecStart ]] ||
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
      [[ ! ${line} =~ ^[A-Z_]+=.*(-H|--host|--tls) ]] ||
        die 2 \
          "${file#-} passes ${BASH_REMATCH[1]} to dockerd too; remove it" \
          "there; ${leaves}"
    done <"${file#-}"
  done < <(daemon_property EnvironmentFiles)
  [[ ! $(daemon_property Environment) =~ [A-Z_]+=.*(-H|--host|--tls) ]] ||
    die 2 "an Environment= line of docker.service passes" \
      "${BASH_REMATCH[1]} to dockerd too; systemctl cat docker.service shows" \
      "it; ${leaves}"
}

# The kernel's own tables: 0.0.0.0 and :: are on every machine.
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

# Prints the socket inodes that listen where dockerd is to listen.
listening_sockets() {
  local port own place state inode address
  printf -v port '%04X' "${listen_port}"
  own=$(reverse_octets "${listen_hex}")
  while read -r _ place _ state _ _ _ _ _ inode _; do
    address=${place%:*}
    [[ ${state} == 0A && ${place##*:} == "${port}" ]] || continue
    [[ ${address} == "${own}" ]] || is_any "${address}" || is_any "${own}" ||
      continue
    printf '%s\n' "${inode}"
  done < <(cat /proc/net/tcp /proc/net/tcp6 2>/dev/null)
}

check_port() {
  local inode text pid daemon pattern
  daemon=$(daemon_property MainPID)
  for inode in $(listening_sockets); do
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

check_tls_directory() {
  local target
  if [[ ! -e ${tls_directory} && ! -L ${tls_directory} ]]; then return; fi
  target=$(readlink -- "${tls_directory}") || target=''
  [[ ${target} =~ ^"${tls_directory##*/}"-[0-9a-f]{16}$ ]] ||
    die 2 \
      "${tls_directory} is there and not made by this script; move it away," \
      "or set tls_directory in the site file; ${leaves}"
}

# ---- Installing and switching -----------------------------------------------

# A pair gets a folder of its own; the switch to it is one rename of a link.
# Its name comes from the public files: the same pair has the same folder.
generation_of() {
  local digest
  digest=$(cat -- "${ca}" "${certificate}" | sha256sum)
  printf '%s\n' "${tls_directory}-${digest:0:16}"
}

is_same_file() { # is_same_file FILE COPY
  [[ -f $1 && -f $2 && $(<"$1") == "$(<"$2")" ]]
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

save_previous() {
  if [[ -e ${previous} ]]; then return; fi
  remove "${previous}.new"
  run mkdir -p -m 0700 -- "${previous}.new"
  if [[ -e ${drop_in} ]]; then
    run cp -pT -- "${drop_in}" "${previous}.new/drop-in.conf"
  fi
  if [[ -L ${tls_directory} ]]; then
    run cp -PT -- "${tls_directory}" "${previous}.new/link"
  fi
  run mv -T -- "${previous}.new" "${previous}"
}

point_link_at() { # point_link_at FOLDER
  run ln -sfnT -- "${1##*/}" "${tls_directory}.new"
  run mv -T -- "${tls_directory}.new" "${tls_directory}"
}

install_drop_in() {
  if [[ ! -d ${drop_in%/*} ]]; then run mkdir -p -m 0755 -- "${drop_in%/*}"; fi
  write_file "${drop_in}" 0644 "$(drop_in_text)"
}

# docker.socket too, where it is used: dockerd replaces the socket's file. To
# stop it ends dockerd, and dockerd's start pulls it in: systemctl would restart
# two units one by one, and the socket refuses once dockerd is on its way.
# KillMode=process leaves containers of a live-restore daemon running.
restart_docker() {
  local socket
  # D03: and a restart, without which the old flags stay.
  run systemctl daemon-reload
  run systemctl reset-failed docker.service
  socket=$(systemctl show --property LoadState --value docker.socket)
  if [[ ${socket} == loaded ]]; then
    run systemctl reset-failed docker.socket
    run systemctl stop docker.socket
  fi
  run systemctl restart docker.service
}

remove_generations() { # remove_generations KEEP: all folders but KEEP
  local generation
  for generation in "${tls_directory}"-*; do
    [[ -d ${generation} && ${generation} != "$1" ]] || continue
    [[ ${generation} =~ -[0-9a-f]{16}(\.new)?$ ]] || continue
    if [[ -e ${generation}/${key_file} ]] && ((! remove_keys)) &&
      ! is_same_file "${key}" "${generation}/${key_file}"; then
      note "kept: ${generation}, which has another key than ${key}"
      continue
    fi
    run rm -rf -- "${generation}"
  done
}

# ---- Proof, and the way back ------------------------------------------------

# Prints what does not hold, or nothing.
daemon_problem() {
  local client answer
  local -a where=("${probe_address}" "${listen_port}" "${probe_name}" "${ca}")
  is_running_with_flags || {
    printf 'dockerd does not run with the new flags\n'
    return
  }
  client=$(find_client)
  if [[ -n ${client} ]]; then
    answer=$(ask_daemon "${where[@]}" \
      -cert "${client}/${client_certificate_file}" \
      -key "${client}/${client_key_file}")
    is_answer "${answer}" || {
      printf 'a client with a certificate got no answer: %s\n' \
        "$(reason_in "${answer}")"
      return
    }
  fi
  answer=$(ask_daemon "${where[@]}")
  [[ ${answer} =~ alert\ (bad\ certificate|certificate\ required) ]] ||
    printf 'a client without a certificate was not refused: %s\n' \
      "$(reason_in "${answer}")"
}

# Waits until all holds; sets problem to what does not after 30 seconds.
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

restore_previous() {
  if [[ -e ${previous}/drop-in.conf ]]; then
    run cp -pT -- "${previous}/drop-in.conf" "${drop_in}.new"
    run mv -fT -- "${drop_in}.new" "${drop_in}"
  else
    run rm -f -- "${drop_in}"
    run rmdir --ignore-fail-on-non-empty -- "${drop_in%/*}"
  fi
  if [[ -L ${previous}/link ]]; then
    point_link_at "$(readlink -- "${previous}/link")"
  else
    run rm -f -- "${tls_directory}"
  fi
}

roll_back() { # roll_back PROBLEM
  local log outcome='the previous state is back and docker.service runs with it'
  log=$(journalctl --unit docker.service --no-pager --output cat --lines 12) ||
    true
  note "$1; putting the previous state back"
  restore_previous
  restart_docker ||
    outcome='docker.service does not start with the previous state either'
  remove_generations "$(realpath -m -- "${tls_directory}")"
  run rm -rf -- "${previous}"
  printf '%s\n' '---- the daemon said ----' "${log}" '----' >&2
  die 1 "$1; ${outcome}"
}

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

# ---- The verbs --------------------------------------------------------------

check_conflicts() {
  check_daemon_json
  check_drop_ins
  check_environment
  check_address
  check_port
  check_tls_directory
}

is_installed() {
  [[ ! -e ${previous} && -L ${tls_directory} &&
    $(realpath -m -- "${tls_directory}") == "${generation}" &&
    -f ${drop_in} && $(<"${drop_in}") == "$(drop_in_text)" ]] &&
    is_generation_whole "${generation}" && is_running_with_flags
}

apply() {
  local problem=''
  read_stock_command
  check_conflicts
  if [[ ${verb} == check && ! -e ${certificate} ]]; then
    note "${certificate} is not here yet"
    generation=${tls_directory}-DIGEST
  else
    check_certificate
    generation=$(generation_of)
  fi
  if is_installed; then
    remove_request
    finish
  fi
  confirm "Restart dockerd now? It interrupts $(running_containers)."
  save_previous
  leaves="${previous} holds the previous state; run this again to finish"
  install_generation "${generation}"
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
  remove_generations "${generation}"
  remove_request
  note \
    'dockerd answers clients of this CA, and refuses a client without a' \
    'certificate'
  if [[ -z $(find_client) ]]; then
    note \
      "no client's files are here: clients/NAME/90-verify.sh shows that a" \
      'client gets an answer'
  fi
  finish
}

undo() {
  local restart=0
  if [[ -e ${drop_in} && $(<"${drop_in}") == "${marker}"* ]]; then
    confirm "Restart dockerd now? It interrupts $(running_containers)."
    run rm -f -- "${drop_in}"
    run rmdir --ignore-fail-on-non-empty -- "${drop_in%/*}"
    restart=1
  fi
  leaves="the drop-in ${drop_in} is removed; run this again to finish"
  if ((restart)) || is_running_with_flags; then restart_docker; fi
  if [[ -L ${tls_directory} ]]; then run rm -f -- "${tls_directory}"; fi
  if [[ -e ${previous} ]]; then run rm -rf -- "${previous}"; fi
  remove_generations ''
  finish
}

# Without systemd as the init system there is nothing that this can configure.
need_systemd() {
  [[ -d /run/systemd/system ]] && return
  note 'systemd does not run this machine. To start dockerd by hand, install' \
    "the files of ${folder} in ${tls_directory} and run:"
  printf '%s -H unix:///var/run/docker.sock -H tcp://%s %s\n' \
    "$(command -v dockerd)" "${listen}" "${flags[*]}" >&2
  die 2 "systemd is needed; ${leaves}"
}

main() {
  parse_options "$@"
  folder=${dir}/${script%/*}
  key=${folder}/${key_file}
  certificate=${folder}/${certificate_file}
  ca=${folder}/${ca_certificate_file}
  need_openssl
  command -v dockerd >/dev/null ||
    die 2 \
      'dockerd is not installed; install the package docker.io, or run this' \
      'on the Docker host'
  need_systemd
  ((EUID == 0)) || die 2 'this needs root: run it with sudo'
  [[ $(daemon_property LoadState) == loaded ]] ||
    die 2 \
      "there is no docker.service; install dockerd's systemd unit; ${leaves}"
  # One daemon, one run, whatever the working folder.
  if [[ ${verb} != check ]]; then lock /etc/systemd/system; fi
  if [[ ${verb} == undo ]]; then undo; else apply; fi
}

main "$@"
