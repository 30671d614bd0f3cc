#!/usr/bin/env bash
# Watches the certificates of one Docker host: a systemd timer checks daily the
# certificate that dockerd shows, its CA, and clients' certificates that are
# here. The service fails when one ends soon, and its journal says what to do.
#
# Reads:      /etc/docker/tls/: certificate.pem, ca-public.pem;
#             DIR/clients/client/client-certificate.pem; /root/.docker/cert.pem
# Writes:     /usr/local/sbin/dockseal-watch-expiry; /etc/systemd/system/:
#             dockseal-watch-expiry.service, dockseal-watch-expiry.timer;
#             /var/lib/systemd/timers/stamp-dockseal-watch-expiry.timer;
#             /run/dockseal.lock
# Temporary:  /tmp/RANDOM/
# Restarts:   nothing
# Needs root: yes
# Undo:       stops the timer and removes its files
# Options:    --dir DIR (~/docker-tls)  --now (check and say)  --yes  --check
#             --undo [--remove-keys]  --help
# Status:     0 done, 1 failed, 2 wrong use, 3 --check found changes to make,
#             4 with --now: a certificate ends soon
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

readonly script='hosts/localhost/60-watch-expiry.sh'
readonly listen_port=2376
# Where this script itself connects to, and the name that it expects there.
readonly probe_address='127.0.0.1'
readonly probe_name='localhost'
readonly tls_directory='/etc/docker/tls'
readonly certificate_file='certificate.pem'
readonly ca_certificate_file='ca-public.pem'
readonly -a client_folders=(
  'clients/client'
)
readonly client_certificate_file='client-certificate.pem'
readonly warn_days=30
# Where the node_exporter reads its text files; empty for none.
readonly textfile_directory=''

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

# Stops where another user could change what is read here as root.
need_safe_folders() {
  local folder
  if [[ -d ${dir} ]]; then need_safe "${dir}"; fi
  for folder in "${script%/*}" "${client_folders[@]}"; do
    need_no_links "${dir}/${folder}"
    if [[ -d ${dir}/${folder} ]]; then need_safe "${dir}/${folder}"; fi
  done
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

# ---- The check --------------------------------------------------------------

# Where 20-configure-client.sh installs root's own client.
readonly root_folder=/root/.docker
readonly accepts=' --dir --now --yes --check --undo --remove-keys --help '
readonly how_to_renew="bash ${script%/*}/10-request-certificate.sh --renew,\
 then setup.sh; on a site with a CA machine carry the request there"

readonly make_it_roots="chown root ${textfile_directory};\
 chmod go-w ${textfile_directory}"

# The certificate that dockerd shows may be older than the one installed: it is
# read at start only.
check_served() {
  local address=${probe_address} served=${scratch}/served.pem
  local installed=${tls_directory}/${certificate_file}
  if [[ ${address} == *:* ]]; then address="[${address}]"; fi
  timeout 10 openssl s_client -connect "${address}:${listen_port}" \
    -servername "${probe_name}" </dev/null 2>/dev/null |
    openssl x509 -out "${served}" 2>/dev/null || true
  if [[ ! -s ${served} ]]; then
    report_bad "dockerd shows no certificate on ${address}:${listen_port}" \
      'systemctl status docker.service'
    return
  fi
  check_life "${served}" "shown on ${address}:${listen_port}" "${how_to_renew}"
  if [[ -f ${installed} ]] &&
    ! is_same_certificate "${served}" "${installed}"; then
    too_late=1
    printf '             do: %s\n' \
      "dockerd shows another certificate than ${installed}: run" \
      'systemctl restart docker.service'
  fi
}

is_same_certificate() { # is_same_certificate CERTIFICATE CERTIFICATE
  [[ $(openssl x509 -in "$1") == "$(openssl x509 -in "$2")" ]]
}

# Prints why others could make names in a folder, or nothing. The node_exporter
# only reads it.
why_not_roots() { # why_not_roots FOLDER
  local owner mode
  read -r owner mode < <(stat --dereference --format '%u %a' -- "$1")
  if ((owner != 0)) || (((8#${mode} & 8#022) != 0)); then
    printf 'others can write to %s' "${textfile_directory}"
  fi
}

print_metrics() {
  local number metric=dockseal_certificate_not_after_seconds
  printf '# HELP %s Unix time at which the certificate ends.\n' "${metric}"
  printf '# TYPE %s gauge\n' "${metric}"
  for ((number = 0; number < ${#found[@]}; number += 2)); do
    printf '%s{certificate="%s"} %d\n' "${metric}" "${found[@]:number:2}"
  done
}

# Whole or not at all. It is written in the very folder that was looked at: only
# root can make a name there, whoever may replace the folders above it.
write_textfile() {
  local file=dockseal.prom problem
  if [[ -z ${textfile_directory} ]]; then return; fi
  if ! cd -P -- "${textfile_directory}" 2>/dev/null; then
    report_bad "there is no folder ${textfile_directory}" 'make it'
    return
  fi
  problem=$(why_not_roots .)
  if [[ -n ${problem} ]]; then
    report_bad "${problem}" "${make_it_roots}"
    return
  fi
  rm -f -- "${file}.new"
  set -o noclobber
  print_metrics >"${file}.new"
  set +o noclobber
  chmod -- 0644 "${file}.new"
  mv -fT -- "${file}.new" "${file}"
}

check_now() {
  local folder
  scratch=$(mktemp -d)
  trap 'rm -rf -- "${scratch}"' EXIT
  check_served
  check_file "${tls_directory}/${ca_certificate_file}" \
    'the CA ends: roll it over, with ca/60-roll-over-ca.sh'
  for folder in "${client_folders[@]}"; do
    check_file "${dir}/${folder}/${client_certificate_file}" \
      "bash ${folder}/10-request-certificate.sh --renew, then setup.sh"
  done
  check_file "${root_folder}/cert.pem" \
    'clients/NAME/10-request-certificate.sh --renew, then setup.sh'
  write_textfile
  if ((too_late)); then exit 4; fi
  exit 0
}

# ---- The timer --------------------------------------------------------------

readonly program=/usr/local/sbin/dockseal-watch-expiry
readonly unit=dockseal-watch-expiry
readonly units=/etc/systemd/system

# The service reads certificates, connects to dockerd alone, and writes nothing
# but dockseal.prom: systemd takes from it what it does not need for that.
service_text() {
  printf '%s\n' "# Written by dockseal ${script}; --undo removes it." \
    '[Unit]' 'Description=Check when the certificates of dockerd end' \
    'After=docker.service' '' '[Service]' 'Type=oneshot' \
    "ExecStart=$(command -v bash) ${program} --now --dir ${dir}" \
    'TimeoutStartSec=2min' 'UMask=0077' 'NoNewPrivileges=yes' \
    'CapabilityBoundingSet=' 'ProtectSystem=strict'
  if [[ -n ${textfile_directory} ]]; then
    printf 'ReadWritePaths=-%s\n' "${textfile_directory}"
  fi
  printf '%s\n' 'ProtectHome=read-only' 'PrivateTmp=yes' 'PrivateDevices=yes' \
    'ProtectClock=yes' 'ProtectControlGroups=yes' 'ProtectHostname=yes' \
    'ProtectKernelLogs=yes' 'ProtectKernelModules=yes' \
    'ProtectKernelTunables=yes' 'ProtectProc=invisible' 'ProcSubset=pid' \
    'RestrictAddressFamilies=AF_INET AF_INET6' 'IPAddressDeny=any' \
    "IPAddressAllow=${probe_address}" 'RestrictNamespaces=yes' \
    'RestrictRealtime=yes' 'RestrictSUIDSGID=yes' 'LockPersonality=yes' \
    'MemoryDenyWriteExecute=yes' 'SystemCallArchitectures=native' \
    'SystemCallFilter=@system-service' 'SystemCallFilter=~@privileged'
}

timer_text() {
  printf '%s\n' "# Written by dockseal ${script}; --undo removes it." \
    '[Unit]' 'Description=Check daily when the certificates of dockerd end' \
    '' '[Timer]' 'OnCalendar=daily' 'Persistent=true' \
    'RandomizedDelaySec=1h' '' '[Install]' 'WantedBy=timers.target'
}

# The very script that was reviewed: its digest is in the manifest.
install_program() {
  if cmp --quiet -- "${BASH_SOURCE[0]}" "${program}"; then return; fi
  run install -D -m 0755 -T -- "${BASH_SOURCE[0]}" "${program}.new"
  if [[ ${verb} != check ]] &&
    ! cmp --quiet -- "${BASH_SOURCE[0]}" "${program}.new"; then
    die 1 "${program}.new did not read back; is the disk full? ${leaves}"
  fi
  run sync -- "${program}.new"
  run mv -fT -- "${program}.new" "${program}"
}

is_ours() { # is_ours FILE
  [[ ! -e $1 || $(<"$1") == *"dockseal ${script};"* ||
  $(<"$1") == *"readonly script='${script}'"* ]]
}

refuse_others_files() {
  local file
  for file in "${program}" "${units}/${unit}".{service,timer}; do
    is_ours "${file}" ||
      die 2 "${file} is there and not of this script; move it away; ${leaves}"
  done
}

# What the service could not read, or not write to.
check_folders() {
  local problem=''
  # systemd gives these another meaning.
  [[ ${dir} =~ ^[A-Za-z0-9/._@+-]+$ ]] ||
    die 2 "${dir} has characters that a systemd unit cannot hold: give another"
  [[ ! ${dir}/ =~ ^(/var)?/tmp/ ]] ||
    die 2 "${dir} does not last, and the service has its own /tmp: give another"
  if [[ -n ${textfile_directory} && -d ${textfile_directory} ]]; then
    problem=$(why_not_roots "${textfile_directory}")
  fi
  [[ -z ${problem} ]] || die 2 "${problem}; run: ${make_it_roots}; ${leaves}"
}

apply() {
  check_folders
  refuse_others_files
  install_program
  write_file "${units}/${unit}.service" 0644 "$(service_text)"
  write_file "${units}/${unit}.timer" 0644 "$(timer_text)"
  if ((changed)) || ! systemctl --quiet is-active "${unit}.timer"; then
    run systemctl daemon-reload
    run systemctl enable --now "${unit}.timer"
    run systemctl restart "${unit}.timer"
  fi
  finish
}

# Prints what this script leaves, and what of it an interrupted run leaves.
files_left() {
  printf '%s\n' "${units}/${unit}".{timer,service}{,.new} "${program}"{,.new} \
    "/var/lib/systemd/timers/stamp-${unit}.timer"
  if [[ -n ${textfile_directory} ]]; then
    printf '%s\n' "${textfile_directory}/dockseal.prom"{,.new}
  fi
}

undo() {
  local file
  refuse_others_files
  if [[ -e ${units}/${unit}.timer ]]; then
    run systemctl disable --now "${unit}.timer"
  fi
  while read -r file; do
    if [[ -e ${file} || -L ${file} ]]; then run rm -f -- "${file}"; fi
  done < <(files_left)
  if ((changed)); then run systemctl daemon-reload; fi
  if systemctl --quiet is-failed "${unit}.service"; then
    run systemctl reset-failed "${unit}.service"
  fi
  finish
}

main() {
  parse_options "$@"
  need_openssl
  ((EUID == 0)) || die 2 'this needs root: run it with sudo'
  if ((now)) && [[ ${verb} != apply ]]; then
    die 2 "--now does not go with --${verb}"
  fi
  if [[ ${verb} != undo ]]; then
    need_safe_folders
    if [[ -d ${root_folder} ]]; then need_safe "${root_folder}"; fi
  fi
  if ((now)); then check_now; fi
  [[ -d /run/systemd/system ]] || die 2 "systemd is needed; ${leaves}"
  if [[ ${verb} != check ]]; then lock /run/dockseal.lock; fi
  if [[ ${verb} == undo ]]; then undo; else apply; fi
}

main "$@"
