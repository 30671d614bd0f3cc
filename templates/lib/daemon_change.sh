# ---- The unit's command, as systemd reads it --------------------------------

# Prints the value of the last ExecStart= of the unit file: continued lines are
# joined, and comments between them left out.
stock_command() {
  local line joined='' command='' unit
  local goes_on='(^|[^\])(\\\\)*\\$'
  unit=$(daemon_property FragmentPath)
  while IFS= read -r line || [[ -n ${line} ]]; do
    if [[ ${line} =~ ^[[:space:]]*[#\;] ]]; then continue; fi
    joined+=${line}
    if [[ ${joined} =~ ${goes_on} ]]; then
      joined="${joined%\\} "
      continue
    fi
    if [[ ${joined} =~ ^[[:space:]]*ExecStart[[:space:]]*=(.*)$ ]]; then
      command=${BASH_REMATCH[1]}
    fi
    joined=''
  done <"${unit}"
  printf '%s\n' "${command}"
}

# Splits what stands in a unit file into words. Each stays as it stands there,
# with its quotes: systemd reads it again.
split_words() { # split_words TEXT; sets words
  local rest=$1 plain=$'[^[:space:]"\'\\]|\\\\.' double='"([^"\]|\\.)*"'
  local single=$'\'([^\'\\]|\\\\.)*\''
  words=()
  while [[ ${rest} =~ ^[[:space:]]*((${plain}|${double}|${single})+)(.*)$ ]]; do
    words+=("${BASH_REMATCH[1]}")
    rest=${BASH_REMATCH[5]}
  done
  [[ -z ${rest//[[:space:]]/} ]] ||
    die 2 "a quote has no end in docker.service: ${rest}; ${leaves}"
}

unquoted() { # unquoted WORD
  printf '%s\n' "${1//[\"\']/}"
}

refuse_word() { # refuse_word WORD
  die 2 \
    "the ExecStart= of $(daemon_property FragmentPath) passes $1 itself; take" \
    "it out there (systemctl edit --full docker.service); ${leaves}"
}

# Sets dockerd (its path), kept (what the stock unit passes besides -H),
# config_file, and is_activated (1: with -H fd://).
read_stock_command() {
  local word plain last=''
  local -a words
  split_words "$(stock_command)"
  dockerd=${words[0]:-}
  [[ ${dockerd} == /*/dockerd && -x ${dockerd} ]] ||
    die 2 \
      "docker.service starts ${words[*]:0:2}, and not dockerd itself; correct" \
      "the ExecStart= of $(daemon_property FragmentPath); ${leaves}"
  kept=()
  config_file=/etc/docker/daemon.json
  is_activated=0
  for word in "${words[@]:1}"; do
    plain=$(unquoted "${word}")
    if [[ ${plain} == *fd://* ]]; then is_activated=1; fi
    case ${last} in
      -H | --host)
        last=''
        continue
        ;;
      --config-file) config_file=${plain} ;;
      *) ;;
    esac
    last=${plain}
    case ${plain} in
      -H* | --host | --host=*) continue ;;
      --config-file=*) config_file=${plain#*=} ;;
      \;* | \#*) refuse_word "${plain}" ;;
      *) [[ ! ${plain} =~ ^(${own_flags}) ]] || refuse_word "${plain}" ;;
    esac
    kept+=("${word}")
  done
}

# ---- What dockerd gets ------------------------------------------------------

readonly marker="# Written by dockseal ${script}; --undo removes it."
# Folders that were not there before: --undo removes them too.
readonly made_note='# Made with it: '

# D02: the empty ExecStart= clears the stock one.
drop_in_text() {
  local path
  printf '%s\n' "${marker}"
  for path in "${made[@]}"; do printf '%s%s\n' "${made_note}" "${path}"; done
  printf '%s\n' '[Service]' 'ExecStart='
  printf 'ExecStart=%s' "${dockerd}"
  printf ' \\\n  %s' '-H unix:///var/run/docker.sock' "-H tcp://${listen}" \
    "${flags[@]}" "${kept[@]}"
  printf '\n'
}

install_drop_in() {
  make_parents "${drop_in}"
  write_file "${drop_in}" 0644 "$(drop_in_text)"
}

is_drop_in_ours() {
  [[ -f ${drop_in} && ! -L ${drop_in} &&
    $(cat -- "${drop_in}") == "${marker}"* ]]
}

# ---- The switch to the new flags, and the way back --------------------------

# The script that has this part names what it replaces, in the array replaced:
# files and links. Their copies are kept in the folder previous until the new
# ones are proven. While it exists, a run was interrupted: the next one
# finishes the work.

# What root writes to must be root's alone, and so must every folder above.
need_system_folder() { # need_system_folder FOLDER
  local path=$1 problem
  while [[ -n ${path} && ! -e ${path} ]]; do path=${path%/*}; done
  problem=$(why_unsafe "${path:-/}")
  [[ -z ${problem} ]] ||
    die 2 \
      "${problem%; give another --dir}; root alone may change ${path:-/}" \
      "and the folders above it; ${leaves}"
}

# ---- Folders that were not there ---------------------------------------------

declare -A taken_away=() # what --check has printed as removed

remove() { # remove FOLDER
  if [[ ! -e $1 && ! -L $1 ]] || [[ -n ${taken_away[$1]:-} ]]; then return; fi
  run rm -rf -- "$1"
  if [[ ${verb} == check ]]; then taken_away[$1]=1; fi
}

missing_folders() { # missing_folders FILE
  local path=${1%/*}
  while [[ -n ${path} && ! -e ${path} ]]; do
    printf '%s\n' "${path}"
    path=${path%/*}
  done
}

# Prints what the drop-in says that was made with it.
made_before() {
  local line
  is_drop_in_ours || return 0
  while IFS= read -r line; do
    [[ ${line} != "${made_note}"* ]] || printf '%s\n' "${line#"${made_note}"}"
  done <"${drop_in}"
}

# Sets made to the folders that are made for the files, the deepest first: as a
# run before has written down, and those that are not there.
find_made_folders() {
  local path
  mapfile -t made < <(
    {
      made_before
      if [[ -f ${previous}/made ]]; then cat -- "${previous}/made"; fi
      for path in "${replaced[@]}"; do missing_folders "${path}"; done
    } | sort --reverse --unique
  )
}

make_parents() { # make_parents FILE
  local path
  local -a paths
  mapfile -t paths < <(missing_folders "$1" | sort)
  for path in "${paths[@]}"; do run mkdir -p -m 0755 -- "${path}"; done
}

# Where nothing else stands in them.
remove_made_folders() {
  local path
  for path in "${made[@]}"; do
    if [[ -d ${path} && ! -L ${path} && -z $(ls -A -- "${path}") ]]; then
      run rmdir -- "${path}"
    fi
  done
}

# ---- The previous state ------------------------------------------------------

# A folder of this name that holds anything else is somebody else's.
is_previous_ours() {
  local entry path names=' made made.new '
  [[ -d ${previous} && ! -L ${previous} && -O ${previous} ]] || return 1
  for path in "${replaced[@]}"; do names+="${path##*/} "; done
  while IFS= read -r entry; do
    [[ -z ${entry} || ${names} == *" ${entry} "* ]] || return 1
  done <<<"$(ls -A -- "${previous}")"
}

check_previous() {
  if [[ ! -e ${previous} && ! -L ${previous} ]] || is_previous_ours; then
    return
  fi
  die 2 \
    "${previous} is there and not made by this script, which keeps the" \
    "previous state there; move it away; ${leaves}"
}

copy_replaced() { # copy_replaced PATH COPY
  if [[ -L $1 ]]; then run cp -PpT -- "$1" "$2"; else keep_copy "$1" "$2"; fi
}

save_replaced() {
  local path
  make_parents "${previous}"
  if [[ -e ${previous} ]]; then return; fi
  remove "${previous}.new"
  run mkdir -m 0700 -- "${previous}.new"
  for path in "${replaced[@]}"; do
    if [[ -e ${path} || -L ${path} ]]; then
      copy_replaced "${path}" "${previous}.new/${path##*/}"
    fi
  done
  if ((${#made[@]})); then
    write_file "${previous}.new/made" 0600 "$(printf '%s\n' "${made[@]}")"
  fi
  run mv -T -- "${previous}.new" "${previous}"
}

restore_replaced() {
  local path copy
  for path in "${replaced[@]}"; do
    copy=${previous}/${path##*/}
    if [[ -e ${copy} || -L ${copy} ]]; then
      run rm -f -- "${path}.new"
      copy_replaced "${copy}" "${path}.new"
      run mv -fT -- "${path}.new" "${path}"
    else
      run rm -f -- "${path}"
    fi
  done
}

# The list of folders outlives the drop-in in which it stands.
keep_made_folders() {
  if ((${#made[@]} == 0)) || [[ -e ${previous} ]]; then return; fi
  make_parents "${previous}"
  run mkdir -m 0700 -- "${previous}"
  write_file "${previous}/made" 0600 "$(printf '%s\n' "${made[@]}")"
}

remove_previous() {
  if [[ ${verb} == check ]] || is_previous_ours; then
    run rm -rf -- "${previous}"
  fi
}

# docker.socket too, where dockerd requires it: dockerd replaces the socket's
# file. A restart of the socket restarts dockerd with it, as one transaction
# that systemd brings to its end whatever becomes of this script; start waits
# for it. A dockerd that fails is tried again and again: then systemd restarts
# no socket, and both are stopped first.
# KillMode=process leaves containers of a live-restore daemon running.
restart_docker() {
  local required
  # D03: and a restart, without which the old flags stay.
  run systemctl daemon-reload
  run systemctl reset-failed docker.service
  required=$(daemon_property Requires)
  if [[ " ${required} " != *' docker.socket '* ]]; then
    run systemctl restart docker.service
    return
  fi
  run systemctl reset-failed docker.socket
  if systemctl --quiet is-active docker.service; then
    run systemctl restart docker.socket
    run systemctl start docker.service
  else
    run systemctl stop docker.socket
    run systemctl restart docker.service
  fi
}

# Waits until all holds; sets problem to what does not after 30 seconds. Before
# it answers, dockerd itself waits 1 second for TCP without client certificates,
# and 15 more for plain TCP on other addresses than loopback.
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

# Sets daemon_log and outcome, for give_up.
put_back() { # put_back PROBLEM
  outcome='the previous state is back and docker.service runs with it'
  daemon_log=$(journalctl --unit docker.service --no-pager --output cat \
    --lines 12) || true
  note "$1; putting the previous state back"
  restore_replaced
  restart_docker ||
    outcome='docker.service does not start with the previous state either'
  remove_previous
}

give_up() { # give_up PROBLEM
  printf '%s\n' '---- the daemon said ----' "${daemon_log}" '----' >&2
  die 1 "$1; ${outcome}"
}

# ---- Questions and requirements ---------------------------------------------

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

# A daemon with live-restore leaves its containers running.
what_restart_does() {
  local live
  live=$(docker -H unix:///var/run/docker.sock info \
    --format '{{.LiveRestoreEnabled}}' 2>/dev/null) || live=false
  if [[ ${live} == true ]]; then
    printf 'live-restore keeps %s running' "$(running_containers)"
  else
    printf 'It interrupts %s' "$(running_containers)"
  fi
}

# WARNING is what the operator must know of the state that this leads to.
confirm_restart() { # confirm_restart USERNS_REMAP WARNING
  local hidden=''
  if is_remap_switched "$1"; then
    refuse_lost_containers
    announce_remap "$1"
    hidden=" and hides $(things_in_view)"
  fi
  confirm "Restart dockerd now? $(what_restart_does)${hidden}.$2"
}

# Without systemd as the init system there is nothing that this can configure.
need_systemd() { # need_systemd BY_HAND
  local flag
  [[ -d /run/systemd/system ]] && return
  note "systemd does not run this machine. To start dockerd by hand, $1"
  {
    printf '%s -H unix:///var/run/docker.sock -H tcp://%s' \
      "$(command -v dockerd)" "${listen}"
    for flag in "${flags[@]}"; do printf ' %s' "${flag}"; done
    printf '\n'
  } >&2
  die 2 "systemd is needed; ${leaves}"
}

# Without one, whatever docker command is here.
why_no_dockerd() {
  local command begins=''
  printf 'there is no dockerd in %s; ' "${PATH}"
  command=$(command -v docker) || command=''
  if [[ -n ${command} ]]; then
    IFS= read -r -n 2 begins <"${command}" || begins=''
  fi
  # podman's is a script.
  if [[ ${begins} == '#!' && -x /usr/bin/podman ]]; then
    printf 'the docker command here is podman, which has none; '
  elif [[ -e /snap/bin/docker ]]; then
    printf 'the one of a snap is not supported; '
  fi
  printf 'run this on a Docker host whose docker.service starts dockerd as root'
}

need_daemon() { # need_daemon BY_HAND
  local state
  command -v dockerd >/dev/null || die 2 "$(why_no_dockerd)"
  need_systemd "$1"
  ((EUID == 0)) || die 2 'this needs root: run it with sudo'
  state=$(daemon_property LoadState)
  [[ ${state} != masked ]] ||
    die 2 \
      'docker.service is masked, so that nothing can start it; run: systemctl' \
      "unmask docker.service; ${leaves}"
  [[ ${state} == loaded ]] ||
    die 2 \
      "there is no docker.service; install dockerd's systemd unit; ${leaves}"
  # One daemon, one run, whatever the working folder.
  if [[ ${verb} != check ]]; then lock /run/dockseal.lock; fi
}

# Prints what does not hold of the running dockerd's command line, or nothing.
flags_problem() {
  local places
  places=$(other_listeners)
  if ! is_running_with_flags; then
    printf 'dockerd does not run with the new flags\n'
  elif [[ ${places} != ' ' ]]; then
    printf 'dockerd listens elsewhere too:%s\n' "${places% }"
  fi
}
