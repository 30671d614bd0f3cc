#!/usr/bin/env bash
# Shows in throwaway containers what each of six namespaces isolates, and what
# sharing it does. Every claim stands beside what was seen.
#
# Reads:      DIR/probe-image.tar
# Writes:     /run/dockseal.lock; FILE (--junit)
# Temporary:  /run/dockseal-probe.RANDOM/; /tmp/RANDOM/; throwaway containers
#             and an image; a network where docker has no default bridge
# Restarts:   nothing
# Needs root: yes
# Undo:       removes what a killed run left; nothing else stays
# Options:    --dir DIR (~/docker-tls)  --json  --junit FILE  --yes  --check
#             --undo [--remove-keys]  --help
# Status:     0 every control holds, 2 wrong use or no image, 4 a control does
#             not hold
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

readonly script='hosts/localhost/40-show-namespaces.sh'
readonly userns_remap=''
readonly probe_image=''

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

# ---- JSON -------------------------------------------------------------------

json_string() { # json_string TEXT
  local text
  text=$(plain_text "$1")
  text=${text//\\/\\\\}
  text=${text//\"/\\\"}
  printf '"%s"' "${text//$'\n'/\\n}"
}

# ---- Controls: one line each, a table or --json -----------------------------

readonly benchmark='CIS Docker Benchmark v1.6.0'

failed=0
asked=''         # what was run for the control that is reported next
show_evidence=0  # 1: also of the controls that hold
has_items=0      # 1 once a control has an item of the benchmark
junit_cases=''   # what --junit writes at the end
junit_failures=0 # and how many of them are FAIL, SKIP, or any
junit_skips=0
junit_tests=0

xml_text() { # xml_text TEXT
  local text
  text=$(plain_text "$1")
  text=${text//'&'/'&amp;'}
  text=${text//'<'/'&lt;'}
  text=${text//'>'/'&gt;'}
  printf '%s' "${text//'"'/'&quot;'}"
}

report_as_json() { # report_as_json ID RESULT WHAT EVIDENCE REMEDY BENCHMARK
  printf '{"id":%s,"result":%s,"what":%s,' "$(json_string "$1")" \
    "$(json_string "$2")" "$(json_string "$3")"
  printf '"asked":%s,"evidence":%s,"remedy":%s,"benchmark":%s}\n' \
    "$(json_string "${asked}")" "$(json_string "$4")" "$(json_string "$5")" \
    "$(json_string "$6")"
}

report_as_text() { # report_as_text ID RESULT WHAT EVIDENCE REMEDY BENCHMARK
  local what evidence indent=$'\n                     '
  what=$(plain_text "$3")
  printf '%-8s %s  %s%s\n' "$1" "$2" "${what//$'\n'/ }" \
    "${6:+ [CIS ${6#"${benchmark}, "}]}"
  if [[ $2 != PASS ]] || ((show_evidence)); then
    evidence=$(plain_text "$4")
    printf '              found: %s\n' "${evidence//$'\n'/"${indent}"}"
  fi
  if [[ $2 == FAIL ]]; then
    printf '              do:    %s\n' "$(plain_text "$5")"
  fi
}

# The form that Jenkins, GitLab and others read.
add_junit_case() { # add_junit_case ID RESULT WHAT EVIDENCE REMEDY BENCHMARK
  local name
  name=$(xml_text "$1 $3${6:+ [${6}]}")
  junit_tests=$((junit_tests + 1))
  junit_cases+="  <testcase classname=\"${script}\" name=\"${name}\">"$'\n'
  case $2 in
    FAIL)
      junit_failures=$((junit_failures + 1))
      junit_cases+="    <failure message=\"$(xml_text "$4")\">"
      junit_cases+="$(xml_text "$5")</failure>"$'\n'
      ;;
    SKIP)
      junit_skips=$((junit_skips + 1))
      junit_cases+="    <skipped message=\"$(xml_text "$4")\"/>"$'\n'
      ;;
    *) ;;
  esac
  junit_cases+="    <system-out>$(xml_text "${asked}"$'\n'"$4")</system-out>"
  junit_cases+=$'\n  </testcase>\n'
}

# Made where nobody else can make its name first, then moved: a link that stands
# there is replaced, not followed.
write_junit() {
  local text
  text=$(mktemp)
  {
    printf '<?xml version="1.0" encoding="UTF-8"?>\n'
    printf '<testsuite name="%s" tests="%d" failures="%d" skipped="%d">\n' \
      "${script}" "${junit_tests}" "${junit_failures}" "${junit_skips}"
    printf '%s</testsuite>\n' "${junit_cases}"
  } >"${text}"
  mv -fT -- "${text}" "${junit}"
}

# Prints the result of a control. EVIDENCE is what came back, REMEDY what to
# do, CIS_ITEM its number in the benchmark, where it has one.
report() { # report ID RESULT WHAT EVIDENCE REMEDY [CIS_ITEM]
  local -a control=("${@:1:5}" "${6:+${benchmark}, ${6}}")
  if [[ $2 == FAIL ]]; then failed=1; fi
  if [[ -n ${control[5]} ]]; then has_items=1; fi
  if ((json)); then
    report_as_json "${control[@]}"
  else
    report_as_text "${control[@]}"
  fi
  if [[ -n ${junit} ]]; then add_junit_case "${control[@]}"; fi
  asked=''
}

# Reports PASS when there is no problem, FAIL with the problem otherwise.
judge() { # judge ID WHAT PROBLEM EVIDENCE REMEDY [CIS_ITEM]
  if [[ -z $3 ]]; then
    report "$1" PASS "$2" "$4" '' "${6:-}"
  else
    report "$1" FAIL "$2" "$3" "$5" "${6:-}"
  fi
}

finish_report() {
  if ((has_items && ! json)); then
    printf 'CIS items are those of the %s.\n' "${benchmark}"
  fi
  if [[ -n ${junit} ]]; then write_junit; fi
  if ((failed)); then exit 4; fi
  exit 0
}

# ---- Subordinate ids: what containers get in place of the host's ------------

# Prints the user whose ranges dockerd takes; dockremap it makes itself.
remap_user() {
  if [[ ${userns_remap} == default ]]; then
    printf 'dockremap\n'
  else
    printf '%s\n' "${userns_remap}"
  fi
}

has_user() { # has_user NAME
  id -u -- "$1" &>/dev/null
}

# Sets owner, first and last from a line; false for what is no range.
is_range() { # is_range LINE
  [[ $1 =~ ^([^:]+):([0-9]+):([1-9][0-9]*)$ ]] || return 1
  owner=${BASH_REMATCH[1]}
  first=${BASH_REMATCH[2]}
  last=$((first + BASH_REMATCH[3] - 1))
}

# Sets own and others to the lines of a file that are USER's, by name or number,
# and to all other users'.
read_ranges() { # read_ranges FILE USER
  local line uid
  own=()
  others=()
  uid=$(id -u -- "$2" 2>/dev/null) || uid=$2
  while IFS= read -r line || [[ -n ${line} ]]; do
    is_range "${line}" || continue
    if [[ ${owner} == "$2" || ${owner} == "${uid}" ]]; then
      own+=("${line}")
    else
      others+=("${line}")
    fi
  done < <(cat -- "$1" 2>/dev/null || true)
}

has_range() { # has_range FILE USER
  read_ranges "$1" "$2"
  ((${#own[@]}))
}

# ---- What is wrong with the ids of a user -----------------------------------

# Each of these reads own and others, as read_ranges sets them.

# Prints a line of the user and another user's with the same ids in it. Who has
# ids in common can reach the files of the other's containers.
shared_range() {
  local mine other own_first own_last
  for mine in "${own[@]}"; do
    is_range "${mine}"
    own_first=${first} own_last=${last}
    for other in "${others[@]}"; do
      is_range "${other}"
      ((first <= own_last && own_first <= last)) || continue
      printf 'these have ids in common: %s and %s' "${mine}" "${other}"
      return
    done
  done
}

# Prints a range that is too short: images have files of all users up to nobody,
# 65534.
short_range() {
  local mine count=0
  for mine in "${own[@]}"; do count=$((count + ${mine##*:})); done
  if ((count && count < 65536)); then
    printf '%s has %d ids, and containers need 65536' "${own[*]}" "${count}"
  fi
}

# Prints the names and ids of this machine's accounts: users for /etc/subuid;
# groups for /etc/subgid, and those that have no name but a user's.
host_ids() { # host_ids FILE
  if [[ $1 == /etc/subuid ]]; then
    getent passwd | cut -d : -f 1,3
  else
    getent group | cut -d : -f 1,3
    getent passwd | cut -d : -f 1,4
  fi
}

# Prints an account whose id is a container's too: whoever has that id in a
# container has the account's files.
account_in_range() { # account_in_range FILE
  local ids name id mine
  # All of them first: who writes to a reader that is gone fails.
  ids=$(host_ids "$1")
  while IFS=: read -r name id; do
    [[ ${id} =~ ^[0-9]+$ ]] || continue
    for mine in "${own[@]}"; do
      is_range "${mine}"
      ((first <= id && id <= last)) || continue
      printf '%s holds %d, the id of the account %s' "${mine}" "${id}" "${name}"
      return
    done
  done <<<"${ids}"
}

# Prints what is wrong with the ranges in own, or nothing.
range_fault() { # range_fault FILE
  local fault
  fault=$(shared_range)
  if [[ -z ${fault} ]]; then fault=$(account_in_range "$1"); fi
  if [[ -z ${fault} ]]; then fault=$(short_range); fi
  printf '%s' "${fault}"
}

# ---- Throwaway containers ---------------------------------------------------

readonly docker_socket=unix:///var/run/docker.sock
readonly probe_label=dockseal.probe
# A container ends by itself after about this time, whatever became of the
# script that started it; --rm then removes it.
readonly probe_seconds=120
readonly -a probe_commands=(
  arping cat grep hostname httpd id ip ls mkdir nc ping ps sh sleep touch
  traceroute
)

probe_image_id=''
probe_image_made=0 # 1 once this run has imported it
image_tar=''       # what it is imported from: a tar that is there,
busybox=''         # or one that is made of this busybox
no_image_reason='' # why there is no image
probe_folder=''    # for the image's files, and what containers say
probe_run=RUN      # the label's value
probe_count=0      # each container sleeps a second longer than the last one
left_over=0        # 1 once something of a killed run was found
show_commands=0    # 1: print what starts and removes something
probe_error=''     # what docker said when a container did not start
started=''         # the id of the container that start_probe started
started_name=''    # its name
started_pid=''     # its first process, as this machine numbers it

# Runs a command that changes files; --check prints it and no more.
run_here() { # run_here WORD...
  local words
  if [[ ${verb} == check ]]; then
    printf -v words ' %q' "$@"
    printf '%s\n' "${words# }"
    return
  fi
  "$@"
}

# Runs docker on this machine. timeout puts it into a process group of its own,
# which Ctrl-C does not reach: docker cut short would leave what the daemon goes
# on to make. For the same reason its output goes to a file and not to $(...).
run_docker() { # run_docker WORD...
  local words
  printf -v words ' %q' docker -H "${docker_socket}" "$@"
  if [[ ${verb} == check ]]; then
    printf '%s\n' "${words# }"
    return
  fi
  if ((show_commands)); then printf '+%s\n' "${words}" >&2; fi
  timeout 60 docker -H "${docker_socket}" "$@" \
    >"${probe_folder}/output" 2>"${probe_folder}/error"
}

ask_docker() { # ask_docker WORD...
  timeout 60 docker -H "${docker_socket}" "$@" 2>/dev/null
}

is_answering() {
  ask_docker version --format '{{.Server.Version}}' >/dev/null
}

# Whether dockerd was told to make no default bridge: "bridge": "none".
lacks_default_bridge() {
  local listed
  listed=$(ask_docker network ls --format '{{.Name}}') || return
  [[ $'\n'${listed}$'\n' != *$'\n'bridge$'\n'* ]]
}

# Runs a command in a container, for what it prints.
in_probe() { # in_probe ID COMMAND...
  timeout 30 docker -H "${docker_socket}" exec "$@"
}

# ---- What is left is removed ------------------------------------------------

# Without --all docker lists no container that has stopped, and docker 29 no
# image without a name.
list_labelled() { # list_labelled container|network|image LABEL
  local -a all=(--all)
  if [[ $1 == network ]]; then all=(); fi
  ask_docker "$1" ls "${all[@]}" --quiet --no-trunc --filter "label=$2"
}

# Removes containers, networks and images that carry LABEL, each by its id, and
# waits until they are gone: --rm may be at it already. Fails when some stay.
remove_labelled() { # remove_labelled LABEL
  local tries kind text
  local -a ids force=(--force --volumes)
  for ((tries = 0; tries < 50; tries++)); do
    for kind in container network image; do
      text=$(list_labelled "${kind}" "$1") || return
      if [[ -n ${text} ]]; then break; fi
    done
    [[ -n ${text} ]] || return 0
    left_over=1
    mapfile -t ids <<<"${text}"
    if [[ ${kind} != container ]]; then force=(); fi
    run_docker "${kind}" rm "${force[@]}" "${ids[@]}" || sleep 0.2
  done
  return 1
}

# For the EXIT trap. A second Ctrl-C does not stop it.
remove_probes() {
  trap '' HUP INT TERM
  [[ -n ${probe_folder} ]] || return 0
  remove_labelled "${probe_label}=${probe_run}" ||
    note "containers with the label ${probe_label}=${probe_run} may be left;" \
      'they end by themselves, and the next run removes what is left'
  rm -rf -- "${probe_folder}"
  probe_folder=''
}

# What a killed run left. One run at a time: nobody else is using it.
remove_stale_probes() {
  local folder
  left_over=0
  remove_labelled "${probe_label}" ||
    note "containers or images with the label ${probe_label} cannot be removed"
  for folder in /run/dockseal-probe.*; do
    [[ -d ${folder} && ${folder} != "${probe_folder}" ]] || continue
    rm -rf -- "${folder}"
    left_over=1
  done
}

# ---- The image --------------------------------------------------------------

# A root file system with busybox, and a link for each of its commands.
make_probe_files() { # make_probe_files BUSYBOX
  local name
  run_here mkdir -m 0755 -- "${probe_folder}/image" "${probe_folder}/image/bin"
  run_here install -m 0755 -T -- "$1" "${probe_folder}/image/bin/busybox"
  for name in "${probe_commands[@]}"; do
    run_here ln -s -- busybox "${probe_folder}/image/bin/${name}"
  done
  run_here tar --create --directory "${probe_folder}/image" \
    --file "${probe_folder}/image.tar" .
}

no_image() { # no_image REASON...
  no_image_reason=$*
  return 1
}

import_probe_image() { # import_probe_image TAR
  run_docker import --change "LABEL ${probe_label}=${probe_run}" "$1" || {
    no_image "docker import $1: $(<"${probe_folder}/error")"
    return
  }
  probe_image_made=1
  probe_image_id=IMAGE
  [[ ${verb} == check ]] || probe_image_id=$(<"${probe_folder}/output")
}

# A named image, else the tar that came with the scripts, else the busybox of
# this machine. Nothing is pulled.
choose_probe_image() {
  if [[ -n ${probe_image} ]]; then
    probe_image_id=$(ask_docker image inspect --format '{{.Id}}' \
      "${probe_image}") ||
      no_image "the image ${probe_image} is not on this host; load it (docker" \
        'load), or take probe_image out of the site file. Images from before' \
        'user namespaces were switched on have to be loaded again'
  elif [[ -e ${dir}/probe-image.tar ]]; then
    image_tar=${dir}/probe-image.tar
  elif ! busybox=$(type -P busybox); then
    no_image 'there is no image for the throwaway containers: install the' \
      'package busybox-static, or carry the files of a container with busybox' \
      "here (docker export) as ${dir}/probe-image.tar, or set probe_image in" \
      'the site file'
  fi
}

get_probe_image() {
  if [[ -n ${busybox} ]]; then
    make_probe_files "${busybox}"
    image_tar=${probe_folder}/image.tar
  fi
  [[ -z ${image_tar} ]] || import_probe_image "${image_tar}"
}

# Runs the image once, by its id. A busybox that is not static, or a tar made by
# docker save, does not start.
try_probe_image() {
  local text found
  text="id -u; for name in ${probe_commands[*]}; do"
  text+=" command -v \$name >/dev/null || echo \$name; done"
  run_docker run --rm --label "${probe_label}=${probe_run}" --network none \
    "${probe_image_id}" sh -c "${text}" || {
    no_image 'no command runs in the image for the throwaway containers:' \
      "$(<"${probe_folder}/error") It has to be a root file system with a" \
      'static busybox: install the package busybox-static, or make the tar' \
      'with docker export'
    return
  }
  [[ ${verb} != check ]] || return 0
  found=$(<"${probe_folder}/output")
  [[ ${found} == 0 ]] ||
    no_image 'in the image for the throwaway containers commands have to run' \
      "as user 0, and none may be missing; found user ${found//$'\n'/, no }"
}

# Takes the lock, removes what killed runs left, and sets probe_image_id; fails
# with no_image_reason where there is no image. Needs root.
find_probe_image() {
  if [[ -n ${no_image_reason} ]]; then return 1; fi
  if [[ -n ${probe_image_id} ]]; then return; fi
  if ! command -v docker >/dev/null; then
    no_image 'docker is not installed; run this on the Docker host'
    return
  elif ! is_answering; then
    no_image "dockerd does not answer on ${docker_socket}; start it:" \
      'systemctl start docker.service'
    return
  fi
  # Images are named by id, and built for the daemon's own machine.
  unset DOCKER_DEFAULT_PLATFORM DOCKER_CONTENT_TRUST
  choose_probe_image || return
  open_probe_folder
  get_probe_image && try_probe_image && return
  probe_image_id=''
  return 1
}

# Root alone can write to /run: no name there is somebody else's. Containers
# with another user's rights read below it.
open_probe_folder() {
  if [[ ${verb} == check ]]; then
    run_here mktemp -d /run/dockseal-probe.XXXXXXXX
    probe_folder=/run/dockseal-probe.${probe_run}
    run_here chmod -- 0755 "${probe_folder}"
    return
  fi
  lock /run/dockseal.lock
  trap 'exit 129' HUP
  trap 'exit 130' INT
  trap 'exit 143' TERM
  probe_folder=$(mktemp -d /run/dockseal-probe.XXXXXXXX)
  chmod -- 0755 "${probe_folder}"
  probe_run=${probe_folder##*.}
  remove_stale_probes
}

# ---- Containers -------------------------------------------------------------

# Starts a container of this name, or NAME-RUN where the name is taken. It
# sleeps; a COMMAND runs beside that. Fails with probe_error.
start_probe() { # start_probe NAME OPTION... -- [COMMAND...]
  local name=$1
  local -a options=() command
  shift
  while [[ $1 != -- ]]; do
    options+=("$1")
    shift
  done
  probe_count=$((probe_count + 1))
  command=(sleep "$((probe_seconds + probe_count))")
  if (($# > 1)); then
    command=(sh -c "\"\$@\" & ${command[*]} & wait \$!" sh "${@:2}")
  fi
  if ask_docker container inspect "${name}" >/dev/null; then
    name+=-${probe_run}
  fi
  run_docker run --detach --rm --label "${probe_label}=${probe_run}" \
    "${options[@]}" --name "${name}" "${probe_image_id}" "${command[@]}" || {
    probe_error=$(<"${probe_folder}/error")
    return 1
  }
  read_started "${name}"
}

# Sets started, started_name and started_pid; with --check there is a name only.
read_started() { # read_started NAME
  started=$1
  started_name=$1
  [[ ${verb} != check ]] || return 0
  started=$(<"${probe_folder}/output")
  started_pid=$(ask_docker inspect --format '{{.State.Pid}}' "${started}") || {
    probe_error='it ended at once'
    return 1
  }
}

# ---- Namespaces: what is isolated, and what sharing does --------------------

# Each control and what it says, the document's commands beside it.
readonly -a pid_claims=(
  PID-1 'a container sees no process but its own'
  PID-2 'each container has a PID namespace of its own'
  PID-3 'with --pid=container: two containers see each other (D20)'
  PID-4 'with --pid=host a container sees every process'
)
readonly -a user_claims_off=(
  USER-1 'user namespaces are off, as the site says (D22)'
  USER-2 "root in a container is the host's root"
  USER-3 "root in a container writes to a folder of the host's root (D21)"
  USER-4 'with --userns=host it is the same'
)
readonly -a user_claims_on=(
  USER-1 'user namespaces are on, as the site says (D22)'
  USER-2 'root in a container is not root on the host'
  USER-3 "root in a container cannot write to the host's folder (D21)"
  USER-4 'with --userns=host it can'
)
readonly -a other_claims=(
  UTS-1 'a container is named after the first 12 characters of its id'
  UTS-2 "--hostname=customhost leaves the host's name alone (D23)"
  UTS-3 "with --uts=host a container has the host's name"
  IPC-1 "a container's queue and shared memory are its own (D24)"
  IPC-2 'with --ipc=container: two containers have the same ones'
  IPC-3 "with --ipc=host a container is in the host's IPC namespace"
  MNT-1 "a container's mount and file are its own (D25)"
  MNT-2 'each container has a root of its own'
  MNT-3 'a folder mounted into two containers is in both, in no third'
  NET-1 'each container has an interface and address of its own (D26)'
  NET-2 'three web servers on port 80 answer, each with its own page'
  NET-3 "the host's port 80 stays free for another service"
  NET-4 'with --network=container: two containers have one address'
)
claims=()    # those of this site
id_prefix='' # before each id: 40-show-namespaces.sh has ids of its own
# The six containers, by the part that they play.
declare -A member_id=() member_name=() member_pid=() member_sleep=()
declare -A member_answers=()
member_network=() # the option for a network of their own
questions=()
host_name=''     # before the first container
mark=''          # a name that nothing else has
alone=''         # what container1 sees before container3 joins it
port_was_open='' # a note, where the host's own service has port 80

choose_claims() {
  claims=("${pid_claims[@]}")
  if [[ -z ${userns_remap} ]]; then
    claims+=("${user_claims_off[@]}")
  else
    claims+=("${user_claims_on[@]}")
  fi
  claims+=("${other_claims[@]}")
}

claim_of() { # claim_of ID
  local number
  for ((number = 0; number < ${#claims[@]}; number += 2)); do
    if [[ ${claims[number]} == "$1" ]]; then
      printf '%s\n' "${claims[number + 1]}"
    fi
  done
}

# Reports the control with what was run, what is wrong or nothing, what came
# back, and what to do.
judge_claim() { # judge_claim ID ASKED PROBLEM EVIDENCE REMEDY [CIS_ITEM]
  asked=$2
  judge "${id_prefix}$1" "$(claim_of "$1")" "${3:+$3$'\n'$4}" "$4" "$5" "${6:-}"
}

# Where nothing can be shown.
report_all() { # report_all SKIP|FAIL REASON [REMEDY]
  local number
  for ((number = 0; number < ${#claims[@]}; number += 2)); do
    report "${id_prefix}${claims[number]}" "$1" "${claims[number + 1]}" "$2" \
      "${3:-}"
  done
}

# ---- The containers, the same six for all namespaces ------------------------

add_member() { # add_member PART NAME OPTION...
  start_probe "${@:2}" -- || {
    probe_error="the container $2 does not start: ${probe_error}"
    return 1
  }
  member_id[$1]=${started}
  member_name[$1]=${started_name}
  member_pid[$1]=${started_pid}
  member_sleep[$1]=$((probe_seconds + probe_count))
}

# Without a default bridge the containers get a network of their own.
choose_network() {
  local name=dockseal-members-${probe_run}
  lacks_default_bridge || return 0
  run_docker network create --label "${probe_label}=${probe_run}" "${name}"
  member_network=(--network "${name}")
}

# The documented -it wants a terminal; --detach leaves the container running.
# Fails with probe_error.
start_members() {
  local one folder=${probe_folder}
  choose_network || {
    probe_error="no network: $(<"${probe_folder}/error")"
    return 1
  }
  # SELinux would refuse to write for a reason of its own.
  local -a there=(--volume "${folder}/root:/there"
    --security-opt label=disable)
  add_member container1 container1 --ipc=shareable --tmpfs /mounted \
    --volume "${folder}/shared:/shared:ro" "${member_network[@]}" || return
  add_member container2 "container2-${probe_run}" "${there[@]}" \
    "${member_network[@]}" || return
  if [[ ${verb} != check ]]; then alone=$(processes_of container1); fi
  one=container:${member_name[container1]}
  # D20
  add_member container3 container3 "--pid=${one}" || return
  # D23
  add_member container4 container4 --hostname=customhost \
    "${member_network[@]}" || return
  add_member joined "joined-${probe_run}" "--ipc=${one}" "--network=${one}" \
    --volume "${folder}/shared:/shared:ro" || return
  # Where user namespaces are on, docker wants --userns=host beside the others.
  add_member sharing "sharing-${probe_run}" --userns=host --pid=host \
    --uts=host --ipc=host --network=host "${there[@]}"
}

make_folders() {
  run_here mkdir -m 0755 -- "${probe_folder}/root" "${probe_folder}/shared"
  run_here bash -c "echo 'shared file' >${probe_folder}/shared/file"
  run_here chmod -- 0644 "${probe_folder}/shared/file"
}

# Runs a command in a container for what it makes there. Whether it could is
# what the controls find out.
change_member() { # change_member PART COMMAND...
  run_docker exec "${member_name[$1]}" "${@:2}" || true
}

serve_page() { # serve_page PART WHERE
  change_member "$1" sh -c \
    "mkdir /www && echo page of $1 >/www/index.html && httpd -p $2 -h /www"
}

fill_members() {
  local part
  change_member container1 touch "/dev/mqueue/${mark}" "/dev/shm/${mark}" \
    "/mounted/${mark}" "/${mark}"
  for part in container1 container2 container4; do
    serve_page "${part}" 80
  done
  # Another service on the host's port 80.
  serve_page sharing 127.0.0.1:80
}

in_member() { # in_member PART COMMAND...
  in_probe "${member_id[$1]}" "${@:2}" 2>&1 || true
}

# Asks every container all questions at once: each start of a command in a
# container takes its time.
ask_members() {
  local part question text=''
  questions=(hostname 'id -u' 'cat /proc/self/uid_map' 'cat /shared/file'
    "ls /dev/mqueue/${mark}" "ls /dev/shm/${mark}" 'ip -o -4 addr show')
  for question in "${questions[@]}"; do
    text+="echo '\$ ${question}'; ${question}; "
  done
  for part in "${!member_id[@]}"; do
    member_answers[${part}]=$(in_member "${part}" sh -c "exec 2>&1; ${text}")
  done
}

# Prints what a container answered to one of the questions.
answer_of() { # answer_of PART QUESTION
  local line is_asked=0
  while IFS= read -r line; do
    if [[ ${line} == "\$ "* ]]; then
      is_asked=0
      [[ ${line} != "\$ $2" ]] || is_asked=1
    elif ((is_asked)); then
      printf '%s\n' "${line}"
    fi
  done <<<"${member_answers[$1]}"
}

# ---- What is compared -------------------------------------------------------

# Prints the number of a namespace; PART may be host, this machine.
namespace_of() { # namespace_of KIND PART
  stat --dereference --format '%i' -- "/proc/${member_pid[$2]}/ns/$1"
}

# Prints the numbers of a namespace, one line for each PART.
namespaces_of() { # namespaces_of KIND PART...
  local part
  for part in "${@:2}"; do
    printf '%s: %s:[%s]\n' "${part}" "$1" "$(namespace_of "$1" "${part}")"
  done
}

# Prints which of the parts share a namespace, or nothing.
sharing_problem() { # sharing_problem KIND PART...
  local part number
  local -A owner=()
  for part in "${@:2}"; do
    number=$(namespace_of "$1" "${part}")
    if [[ -n ${owner[${number}]:-} ]]; then
      printf '%s and %s share a namespace. ' "${owner[${number}]}" "${part}"
    fi
    owner[${number}]=${part}
  done
}

# Prints a problem when the two do not share a namespace.
apart_problem() { # apart_problem KIND PART PART
  [[ $(namespace_of "$1" "$2") == "$(namespace_of "$1" "$3")" ]] ||
    printf '%s and %s do not share a namespace. ' "$2" "$3"
}

# Prints a problem when TEXT has no WORD, or with no: when it has it.
word_problem() { # word_problem WHERE has|lacks TEXT WORD
  local found=lacks
  if [[ $3 == *"$4"* ]]; then found=has; fi
  [[ ${found} == "$2" ]] || printf '%s %s %s. ' "$1" "${found}" "$4"
}

# The same for a whole line of TEXT.
line_problem() { # line_problem WHERE has|lacks TEXT LINE
  local found=lacks
  if [[ $'\n'$3$'\n' == *$'\n'"$4"$'\n'* ]]; then found=has; fi
  [[ ${found} == "$2" ]] || printf '%s %s %s. ' "$1" "${found}" "$4"
}

# ---- PID --------------------------------------------------------------------

processes_of() { # processes_of PART
  in_member "$1" ps -o pid,args
}

# Prints TEXT's first lines.
shorten() { # shorten TEXT
  local -a lines
  mapfile -t lines <<<"$1"
  printf '%s\n' "${lines[@]:0:6}"
  if ((${#lines[@]} > 6)); then
    printf '(and %d more)\n' "$((${#lines[@]} - 6))"
  fi
}

# Prints the processes of a list that are none of the container's own.
strangers_in() { # strangers_in PART LIST
  local pid words
  while read -r pid words; do
    case ${words} in
      COMMAND | 'ps -o pid,args' | 'httpd -p 80 '*) ;;
      "sleep ${member_sleep[$1]}") ;;
      *) printf '%s %s\n' "${pid}" "${words}" ;;
    esac
  done <<<"$2"
}

verify_own_processes() {
  local strangers problem evidence part
  problem=$(word_problem container1 has "${alone}" \
    "sleep ${member_sleep[container1]}")
  strangers=$(strangers_in container1 "${alone}")
  if [[ -n ${strangers} ]]; then
    problem+="container1 sees others: $(shorten "${strangers}")"
  fi
  evidence="container1 sees:"$'\n'$(shorten "${alone}")
  for part in container1 container2; do
    evidence+=$'\n'"this host sees ${part} as process ${member_pid[${part}]}:"
    evidence+=" sleep ${member_sleep[${part}]}"
    problem+=$(host_problem "${part}")
  done
  judge_claim PID-1 'docker exec container1 ps -o pid,args' "${problem}" \
    "${evidence}" 'start the container without --pid=host'
}

# The positive control: the host does see the process.
host_problem() { # host_problem PART
  local words
  words=$(tr '\0' ' ' <"/proc/${member_pid[$1]}/cmdline") || true
  [[ ${words} == "sleep ${member_sleep[$1]} " ]] ||
    printf 'this host sees "%s" in place of the sleep of %s. ' "${words}" "$1"
}

# Both directions, and not container2's.
verify_shared_processes() {
  local part list problem='' evidence=''
  for part in container1 container3; do
    list=$(processes_of "${part}")
    evidence+="${part} sees:"$'\n'$(shorten "${list}")$'\n'
    problem+=$(word_problem "${part}" has "${list}" \
      "sleep ${member_sleep[container1]}")
    problem+=$(word_problem "${part}" has "${list}" \
      "sleep ${member_sleep[container3]}")
    problem+=$(word_problem "${part}" lacks "${list}" \
      "sleep ${member_sleep[container2]}")
  done
  problem+=$(apart_problem pid container1 container3)
  judge_claim PID-3 \
    "docker run --pid=container:${member_name[container1]}; ps -o pid,args" \
    "${problem}" "${evidence}$(namespaces_of pid container1 container3)" \
    'dockerd has to support --pid=container:; read its log'
}

# The list that shows no stranger above does show them where there are some.
verify_host_processes() {
  local list part problem='' seen line
  list=$(processes_of sharing)
  for part in container1 container2 sharing; do
    problem+=$(word_problem 'the list' has "${list}" \
      "sleep ${member_sleep[${part}]}")
  done
  problem+=$(apart_problem pid sharing host)
  seen="sharing sees $(wc -l <<<"${list}") lines, among them:"$'\n'
  while read -r line; do
    [[ ! ${line} =~ ^$$\ |sleep\ 12[0-9]$ ]] || seen+=${line}$'\n'
  done <<<"${list}"
  [[ ${seen} == *$'\n'"$$ "* ]] ||
    problem+="it does not see this script, process $$. "
  judge_claim PID-4 'docker run --pid=host; ps -o pid,args' "${problem}" \
    "${seen}$(namespaces_of pid sharing host)" \
    "read the log of dockerd; without this ${id_prefix}PID-1 shows nothing"
}

verify_pid() {
  verify_own_processes
  judge_claim PID-2 'stat --dereference /proc/PID/ns/pid' \
    "$(sharing_problem pid host container1 container2)" \
    "$(namespaces_of pid host container1 container2)" \
    'start the containers without --pid'
  verify_shared_processes
  verify_host_processes
}

# ---- User -------------------------------------------------------------------

# Prints a problem when a line of a map is no range of the user.
range_problem() { # range_problem MAP
  local first_inside start count user text own others
  user=$(remap_user)
  read_ranges /etc/subuid "${user}"
  text=" ${own[*]} "
  while read -r first_inside start count; do
    [[ ${text} == *":${start}:${count} "* ]] ||
      printf '%s %s %s is no range of %s in /etc/subuid. ' \
        "${first_inside}" "${start}" "${count}" "${user}"
  done <<<"$1"
}

# Prints a part's map of user ids, without the blanks of its columns.
map_of() { # map_of PART
  local first start count
  answer_of "$1" 'cat /proc/self/uid_map' | while read -r first start count; do
    printf '%s %s %s\n' "${first}" "${start}" "${count}"
  done
}

verify_map() {
  local map problem item='' remedy
  map=$(map_of container2)
  remedy='set userns_remap in the site file as the daemon runs, or run'
  remedy+=' 20-configure-daemon.sh'
  if [[ -z ${userns_remap} ]]; then
    problem=$(apart_problem user container2 host)
    map+=$'\n''root in a container is root on this host, and who gets out of'
    map+=$'\n''a container owns it; CIS 2.9 asks for userns_remap: default'
  else
    problem=$(sharing_problem user host container2)
    problem+=$(range_problem "${map}")
    item=2.9
  fi
  judge_claim USER-1 'docker exec container2 cat /proc/self/uid_map' \
    "${problem}" \
    "${map}"$'\n'"$(namespaces_of user host container2)" "${remedy}" \
    "${item}"
}

# The host's view of the owner of a container's first process.
verify_owner() {
  local owner problem='' start
  owner=$(stat --format '%u' -- "/proc/${member_pid[container2]}")
  read -r _ start _ < <(map_of container2)
  if [[ -z ${userns_remap} && ${owner} != 0 ]]; then
    problem="its owner is user ${owner}, expected 0. "
  elif [[ -n ${userns_remap} && ${owner} == 0 || ${owner} != "${start}" ]]; then
    problem="its owner is user ${owner}, expected the first one mapped. "
  fi
  judge_claim USER-2 "stat --format '%u' /proc/${member_pid[container2]}" \
    "${problem}" \
    "in container2: user $(answer_of container2 'id -u'); here: user ${owner}" \
    'run 20-configure-daemon.sh'
}

# D21: root in a container, and a folder of the host's that belongs to root.
# Prints what came of writing to it: wrote, or what was said.
write_there() { # write_there PART
  local said file=${probe_folder}/root/$1
  said=$(in_member "$1" touch "/there/$1")
  if [[ -e ${file} ]]; then
    printf 'wrote a file that belongs to user %s\n' \
      "$(stat --format '%u' -- "${file}")"
  else
    printf '%s\n' "${said:-no file, and nothing was said}"
  fi
}

verify_root_folder() {
  local wanted='wrote a file that belongs to user 0' came problem=''
  if [[ -n ${userns_remap} ]]; then wanted='Permission denied'; fi
  came=$(write_there container2)
  [[ ${came} == *"${wanted}"* ]] || problem="expected: ${wanted}. "
  judge_claim USER-3 'docker run --volume FOLDER:/there; touch /there/NAME' \
    "${problem}" "container2: ${came}; FOLDER is $(stat --format '%U %a' \
      -- "${probe_folder}/root") on this host" 'run 20-configure-daemon.sh'
  came=$(write_there sharing)
  problem=$(apart_problem user sharing host)
  [[ ${came} == *'wrote a file that belongs to user 0'* ]] ||
    problem+='expected that it writes. '
  judge_claim USER-4 'docker run --userns=host --volume FOLDER:/there; touch' \
    "${problem}" \
    "it ${came}"$'\n'"$(namespaces_of user sharing host)" \
    "read the log of dockerd; without this ${id_prefix}USER-3 shows nothing"
}

verify_user() {
  verify_map
  verify_owner
  verify_root_folder
}

# ---- UTS --------------------------------------------------------------------

verify_default_name() {
  local part name problem evidence=''
  problem=$(sharing_problem uts host container1 container2)
  for part in container1 container2; do
    name=$(answer_of "${part}" hostname)
    evidence+="${part} is ${name}, its id ${member_id[${part}]}"$'\n'
    [[ ${name} == "${member_id[${part}]:0:12}" ]] ||
      problem+="${part} is named ${name}. "
  done
  judge_claim UTS-1 'docker exec container1 hostname' "${problem}" \
    "${evidence}$(namespaces_of uts host container1 container2)" \
    'start the container without --uts=host and --hostname'
}

verify_custom_name() {
  local name now problem='' evidence
  name=$(answer_of container4 hostname)
  now=$(</proc/sys/kernel/hostname)
  [[ ${name} == customhost ]] || problem="container4 is named ${name}. "
  [[ ${now} == "${host_name}" ]] ||
    problem+="this host was ${host_name} before, and is ${now}. "
  problem+=$(sharing_problem uts host container4)
  evidence="container4 is ${name}; this host was ${host_name}, and is ${now}"
  judge_claim UTS-2 \
    'docker run --hostname=customhost --name container4; hostname' \
    "${problem}" "${evidence}"$'\n'"$(namespaces_of uts host container4)" \
    'read the log of dockerd'
}

verify_uts() {
  local name problem evidence
  verify_default_name
  verify_custom_name
  name=$(answer_of sharing hostname)
  problem=$(apart_problem uts sharing host)
  [[ ${name} == "${host_name}" ]] || problem+="it is named ${name}. "
  evidence="sharing is ${name}, this host is ${host_name}"$'\n'
  evidence+=$(namespaces_of uts sharing host)
  judge_claim UTS-3 'docker run --uts=host; hostname' "${problem}" \
    "${evidence}" \
    "read the log of dockerd; without this ${id_prefix}UTS-1 shows nothing"
}

# ---- IPC --------------------------------------------------------------------

# D24: a POSIX message queue and a shared memory object, by name.
objects_of() { # objects_of PART
  answer_of "$1" "ls /dev/mqueue/${mark}"
  answer_of "$1" "ls /dev/shm/${mark}"
}

# Prints a problem for each of the two objects that a part has or lacks.
objects_problem() { # objects_problem PART has|lacks LIST
  line_problem "$@" "/dev/mqueue/${mark}"
  line_problem "$@" "/dev/shm/${mark}"
}

verify_own_objects() {
  local part list problem evidence='' expected=has
  problem=$(sharing_problem ipc host container1 container2)
  for part in container1 container2 sharing; do
    list=$(objects_of "${part}")
    evidence+="${part}:"$'\n'"${list}"$'\n'
    problem+=$(objects_problem "${part}" "${expected}" "${list}")
    expected=lacks
  done
  judge_claim IPC-1 "docker exec container1 touch /dev/mqueue/${mark}; ls" \
    "${problem}" \
    "${evidence}$(namespaces_of ipc host container1 container2)" \
    'start the containers without --ipc=host and --ipc=container:'
}

verify_ipc() {
  local list
  verify_own_objects
  list=$(objects_of joined)
  judge_claim IPC-2 "docker run --ipc=container:container1; ls" \
    "$(objects_problem joined has "${list}")$(apart_problem ipc container1 \
      joined)" \
    "${list}"$'\n'"$(namespaces_of ipc container1 joined)" \
    'start the first one with --ipc=shareable'
  judge_claim IPC-3 'docker run --ipc=host; stat /proc/PID/ns/ipc' \
    "$(apart_problem ipc sharing host)" \
    "$(namespaces_of ipc sharing host)" 'read the log of dockerd'
}

# ---- MNT --------------------------------------------------------------------

# D25: prints which of container1's files and mounts are in a part, as its
# processes see it.
own_files_of() { # own_files_of PART
  local file what where process=/proc/${member_pid[$1]}
  for file in "/mounted/${mark}" "/${mark}"; do
    if [[ -e ${process}/root${file} ]]; then printf '%s\n' "${file}"; fi
  done
  while read -r what where _; do
    [[ ${where} != /mounted ]] || printf '%s on %s\n' "${what}" "${where}"
  done <"${process}/mounts"
}

verify_own_files() {
  local part list line problem='' evidence='' expected=has
  for part in container1 container2 host; do
    list=$(own_files_of "${part}")
    evidence+="${part}: ${list:-none}"$'\n'
    for line in "/mounted/${mark}" "/${mark}" 'tmpfs on /mounted'; do
      problem+=$(line_problem "${part}" "${expected}" "${list}" "${line}")
    done
    expected=lacks
  done
  judge_claim MNT-1 \
    "docker run --tmpfs /mounted; touch /mounted/${mark} /${mark}" \
    "${problem}" "${evidence%$'\n'}" \
    'mount nothing into both containers that is to be of one'
}

verify_roots() {
  local part root problem evidence=''
  local -A owner=()
  problem=$(sharing_problem mnt host container1 container2)
  for part in host container1 container2; do
    root=$(stat --format 'device %d, inode %i' \
      -- "/proc/${member_pid[${part}]}/root/.")
    evidence+="${part}: root is ${root}"$'\n'
    [[ -z ${owner[${root}]:-} ]] ||
      problem+="${owner[${root}]} and ${part} have one root. "
    owner[${root}]=${part}
  done
  judge_claim MNT-2 'stat /proc/PID/root/. /proc/PID/ns/mnt' "${problem}" \
    "${evidence}$(namespaces_of mnt host container1 container2)" \
    'read the log of dockerd'
}

verify_shared_folder() {
  local part text problem='' evidence='' expected=has
  for part in container1 joined container2; do
    text=$(answer_of "${part}" 'cat /shared/file')
    evidence+="${part}: ${text}"$'\n'
    if [[ ${part} == container2 ]]; then expected=lacks; fi
    problem+=$(line_problem "${part}" "${expected}" "${text}" 'shared file')
  done
  judge_claim MNT-3 \
    'docker run --volume FOLDER:/shared:ro; cat /shared/file' "${problem}" \
    "${evidence%$'\n'}" 'mount the folder only where it is wanted'
}

verify_mnt() {
  verify_own_files
  verify_roots
  verify_shared_folder
}

# ---- NET --------------------------------------------------------------------

# Prints the interfaces and the IPv4 addresses of a part, but for loopback.
addresses_of() { # addresses_of PART
  local word=''
  local -a words
  read -r -d '' -a words < <(answer_of "$1" 'ip -o -4 addr show') || true
  for word in "${!words[@]}"; do
    if [[ ${words[word]} == inet && ${words[word + 1]} != 127.* ]]; then
      printf '%s %s\n' "${words[word - 1]}" "${words[word + 1]}"
    fi
  done
}

# D26: asks for the page on port 80 from this machine, and prints its text.
page_at() { # page_at ADDRESS
  local connection text
  { exec {connection}<>"/dev/tcp/$1/80"; } 2>/dev/null || return 0
  { printf 'GET / HTTP/1.0\r\n\r\n' >&"${connection}"; } 2>/dev/null || true
  text=$(timeout 10 cat <&"${connection}" 2>/dev/null | tr -d '\0\r') || true
  exec {connection}>&-
  printf '%s\n' "${text##*$'\n'}"
}

verify_own_networks() {
  local part found problem evidence=''
  local -A owner=()
  problem=$(sharing_problem net host container1 container2 container4)
  for part in container1 container2 container4; do
    found=$(addresses_of "${part}")
    evidence+="${part}: ${found:-no address}"$'\n'
    [[ -n ${found} ]] || problem+="${part} has no address. "
    [[ -z ${owner[x${found}]:-} ]] ||
      problem+="${owner[x${found}]} and ${part} have the same address. "
    owner[x${found}]=${part}
  done
  judge_claim NET-1 'docker exec container1 ip -o -4 addr show' "${problem}" \
    "${evidence}$(namespaces_of net host container1 container2 \
      container4)" 'start the containers without --network=host'
}

verify_pages() {
  local part address page problem='' evidence=''
  for part in container1 container2 container4; do
    address=$(addresses_of "${part}")
    address=${address%%/*}
    page=$(page_at "${address#* }")
    evidence+="${address#* } port 80: ${page}"$'\n'
    [[ ${page} == "page of ${part}" ]] ||
      problem+="${part} answered: ${page:-nothing}. "
  done
  judge_claim NET-2 'GET / HTTP/1.0 to port 80 of each container' \
    "${problem}" "${evidence%$'\n'}" \
    "let this host's firewall pass packets to the bridge docker0"
}

# The other service is httpd in the host's network, on 127.0.0.1. Where one of
# the host's own has the port, that one answers.
verify_host_port() {
  local page problem=''
  page=$(page_at 127.0.0.1)
  if [[ ${page} == 'page of container'* ]]; then
    problem="a container has taken it: ${page}. "
  elif [[ ${page} != 'page of sharing' && -z ${port_was_open} ]]; then
    problem="another service could not use it: ${page:-no answer}. "
  fi
  judge_claim NET-3 \
    'docker run --network=host; httpd -p 127.0.0.1:80; GET / of 127.0.0.1' \
    "${problem}" "127.0.0.1 port 80: ${page:-no text}${port_was_open}
$(namespaces_of net sharing host)" \
    'publish no port 80 of a container, and start none with --network=host'
}

verify_joined_network() {
  local page one two problem
  one=$(addresses_of container1)
  two=$(addresses_of joined)
  page=$(in_member joined sh -c \
    "printf 'GET / HTTP/1.0\r\n\r\n' | nc -w 5 127.0.0.1 80")
  problem=$(apart_problem net container1 joined)
  [[ ${one} == "${two}" ]] || problem+='they have different addresses. '
  problem+=$(word_problem '127.0.0.1 of joined' has "${page}" \
    'page of container1')
  judge_claim NET-4 'docker run --network=container:container1' \
    "${problem}" "container1: ${one}"$'\n'"joined: ${two}
joined, 127.0.0.1 port 80: ${page##*$'\n'}
$(namespaces_of net container1 joined)" 'read the log of dockerd'
}

verify_net() {
  verify_own_networks
  verify_pages
  verify_host_port
  verify_joined_network
}

# ---- All of them ------------------------------------------------------------

has_listener() { # has_listener ADDRESS PORT
  (exec {connection}<>"/dev/tcp/$1/$2") 2>/dev/null
}

# What has to be there, or known, before the first container.
prepare_namespaces() {
  mark=dockseal-${probe_run}
  host_name=$(</proc/sys/kernel/hostname)
  member_pid[host]=$$
  port_was_open=''
  if has_listener 127.0.0.1 80; then
    port_was_open=', of a service that was there before'
  fi
  make_folders
}

verify_namespaces() {
  choose_claims
  if ((! containers)); then
    report_all SKIP 'left out by --no-containers'
    return
  elif ! find_probe_image; then
    report_all SKIP "${no_image_reason}"
    return
  fi
  prepare_namespaces
  if ! start_members; then
    report_all FAIL "${probe_error}" 'read the log of dockerd'
    return
  fi
  fill_members
  ask_members
  verify_pid
  verify_user
  verify_uts
  verify_ipc
  verify_mnt
  verify_net
}

# ---- The verbs --------------------------------------------------------------

accepts=' --dir --json --junit --yes --check --undo --remove-keys --help '
readonly accepts

# Prints the commands; the containers' names stand for what docker will say.
check() {
  find_probe_image || die 2 "${no_image_reason}"
  prepare_namespaces
  start_members
  fill_members
  run_docker container rm --force --volumes "${member_name[@]}"
  if ((${#member_network[@]})); then
    run_docker network rm "${member_network[1]}"
  fi
  if ((probe_image_made)); then run_docker image rm IMAGE; fi
  run_here rm -rf -- "${probe_folder}"
  exit 0
}

# What is left of a killed run, where dockerd can be asked.
undo() {
  if ! command -v docker >/dev/null || ! is_answering; then
    note "dockerd does not answer: what a killed run left there stays"
    exit 0
  fi
  open_probe_folder
  ((left_over)) || note 'nothing to do'
  exit 0
}

apply() {
  trap remove_probes EXIT
  find_probe_image || die 2 "${no_image_reason}"
  verify_namespaces
  finish_report
}

main() {
  parse_options "$@"
  ((EUID == 0)) || die 2 'this needs root: run it with sudo'
  # What is in this image gets this machine's own namespaces.
  if [[ -e ${dir}/probe-image.tar ]]; then need_safe "${dir}"; fi
  id_prefix=SHOW-
  show_commands=1
  show_evidence=1
  leaves='the containers that this run started are removed'
  if [[ ${verb} == undo ]]; then
    trap remove_probes EXIT
    undo
  fi
  if [[ ${verb} == check ]]; then check; fi
  apply
}

main "$@"
