# ---- The switch to the new flags, and the way back --------------------------

# The script that has this part names what it replaces, in the array replaced:
# files and links. Their copies are kept in the folder previous until the new
# ones are proven. While it exists, a run was interrupted: the next one
# finishes the work.

copy_replaced() { # copy_replaced PATH COPY
  if [[ -L $1 ]]; then run cp -PpT -- "$1" "$2"; else keep_copy "$1" "$2"; fi
}

save_replaced() {
  local path
  if [[ -e ${previous} ]]; then return; fi
  if [[ -e ${previous}.new ]]; then run rm -rf -- "${previous}.new"; fi
  run mkdir -p -m 0700 -- "${previous}.new"
  for path in "${replaced[@]}"; do
    if [[ -e ${path} || -L ${path} ]]; then
      copy_replaced "${path}" "${previous}.new/${path##*/}"
    fi
  done
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
  remove_drop_in_folder
}

# Where nothing else stands in it.
remove_drop_in_folder() {
  if [[ -d ${drop_in%/*} && -z $(ls -A -- "${drop_in%/*}") ]]; then
    run rmdir -- "${drop_in%/*}"
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
  run rm -rf -- "${previous}"
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

need_daemon() { # need_daemon BY_HAND
  command -v dockerd >/dev/null ||
    die 2 \
      'dockerd is not installed; install docker.io (Debian) or docker-ce, or' \
      'run this on the Docker host'
  need_systemd "$1"
  ((EUID == 0)) || die 2 'this needs root: run it with sudo'
  [[ $(daemon_property LoadState) == loaded ]] ||
    die 2 \
      "there is no docker.service; install dockerd's systemd unit; ${leaves}"
  # One daemon, one run, whatever the working folder.
  if [[ ${verb} != check ]]; then lock /run/dockseal.lock; fi
}
