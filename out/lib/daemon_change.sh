# ---- What dockerd gets ------------------------------------------------------

readonly marker="# Written by dockseal ${script}; --undo removes it."
# Folders that were not there before: --undo removes them too.
readonly made_note='# Made with it: '

# D02: the empty ExecStart= clears the stock one.
drop_in_text() {
  local path word
  printf '%s\n' "${marker}"
  for path in "${made[@]}"; do printf '%s%s\n' "${made_note}" "${path}"; done
  printf '%s\n' '[Service]' 'ExecStart='
  printf 'ExecStart=%s' "${dockerd}"
  printf ' \\\n  %s %s' "${dockerd_words[@]:0:4}"
  for word in "${dockerd_words[@]:4}" "${kept[@]}"; do
    printf ' \\\n  %s' "${word}"
  done
  printf '\n'
}

install_drop_in() {
  make_parents "${drop_in}"
  write_file "${drop_in}" 0644 "$(drop_in_text)"
}

# Prints the script that wrote the drop-in, as a line in it says, or nothing.
writer_of_drop_in() {
  local text pattern
  pattern=$'\n# Written by dockseal ([^;\n]+); --undo removes it[.]\n'
  if [[ ! -f ${drop_in} || -L ${drop_in} ]]; then return; fi
  text=$'\n'$(cat -- "${drop_in}")$'\n'
  if [[ ${text} =~ ${pattern} ]]; then
    printf '%s\n' "${BASH_REMATCH[1]}"
  fi
}

# Prints the first line of the drop-in that this script writes for no site, or
# nothing. Of the words that dockerd is given only the form counts.
strange_line() {
  local line place=before
  while IFS= read -r line || [[ -n ${line} ]]; do
    case ${place}:${line} in
      before: | words: | after:) ;;
      before:"${marker}" | before:"${made_note}"/*) ;;
      before:'[Service]' | before:ExecStart=) ;;
      before:ExecStart=/*'/dockerd \') place=words ;;
      words:'  '*) ;;
      *)
        printf '%s\n' "${line}"
        return
        ;;
    esac
    if [[ ${place} == words && ${line} != *\\ ]]; then place=after; fi
  done <"${drop_in}"
}

is_drop_in_ours() {
  [[ $(writer_of_drop_in) == "${script}" && -z $(strange_line) ]]
}

# Stops where another host's script wrote the drop-in, or somebody wrote in it
# what a change would lose: systemctl edit opens this very file.
check_writer() {
  local writer line
  writer=$(writer_of_drop_in)
  if [[ -z ${writer} ]]; then return; fi
  [[ ${writer} == "${script}" ]] ||
    die 2 \
      "${drop_in} was made by ${writer}, perhaps under this host's earlier" \
      "name; run that script's --undo first, as it was rendered then; ${leaves}"
  line=$(strange_line)
  [[ -z ${line} ]] ||
    die 2 \
      "${drop_in} has lines that this script did not write: ${line}; move them" \
      "to another file of that folder and run this again; ${leaves}"
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
      "${problem%; take another one}; root alone may change ${path:-/}" \
      "and the folders above it; ${leaves}"
}

# ---- Folders that were not there --------------------------------------------

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

# Sets made to the folders that are made for the files, the deepest first: as a
# run before has written down, in the drop-in too, and those that are not there.
find_made_folders() {
  local path line
  mapfile -t made < <(
    {
      if is_drop_in_ours; then
        while IFS= read -r line; do
          [[ ${line} != "${made_note}"* ]] ||
            printf '%s\n' "${line#"${made_note}"}"
        done <"${drop_in}"
      fi
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

# ---- The previous state -----------------------------------------------------

# A folder of this name that holds anything else is somebody else's.
is_previous_ours() {
  local entry path names=' made made.new '
  if [[ ! -d ${previous} || -L ${previous} || ! -O ${previous} ]]; then
    return 1
  fi
  for path in "${replaced[@]}"; do names+="${path##*/} "; done
  while IFS= read -r entry; do
    if [[ -n ${entry} && ${names} != *" ${entry} "* ]]; then return 1; fi
  done <<<"$(ls -A -- "${previous}")"
}

# Stops where a name that is written to is somebody else's.
check_previous() {
  need_no_folders "${replaced[@]/%/.new}"
  [[ ! -e ${previous} && ! -L ${previous} ]] || is_previous_ours ||
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

# Removes what a killed run left under a name that it had for a moment only.
remove_unfinished() {
  local path
  for path in "${replaced[@]}"; do
    if [[ -f ${path}.new || -L ${path}.new ]]; then
      run rm -f -- "${path}.new"
    fi
  done
  remove "${previous}.new"
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

# Waits until nothing is wrong with the words that dockerd runs with, with user
# namespaces and for PROOF; sets problem to what still is after 30 s. Before
# it answers, dockerd itself waits 1 second for TCP without client certificates,
# and 15 more for plain TCP on other addresses than loopback.
wait_for_daemon() { # wait_for_daemon PROOF
  local deadline=$((SECONDS + 30))
  problem='docker.service is not active'
  while ((SECONDS < deadline)); do
    if systemctl --quiet is-active docker.service; then
      problem=$(words_problem)
      if [[ -z ${problem} && -n ${userns_remap} ]]; then
        problem=$(userns_problem)
      fi
      if [[ -z ${problem} ]]; then problem=$("$1"); fi
      if [[ -z ${problem} ]]; then return; fi
    elif systemctl --quiet is-failed docker.service; then
      return 0
    fi
    sleep 0.2
  done
}

# Sets daemon_log and outcome, for give_up. What a daemon said last may be on
# its way to the journal still.
put_back() { # put_back PROBLEM
  outcome='the previous state is back and docker.service runs with it'
  timeout 10 journalctl --sync || true
  daemon_log=$(journalctl --unit docker.service --no-pager --output cat \
    --lines 20) || true
  note "$1; putting the previous state back"
  restore_replaced
  restart_docker ||
    outcome='docker.service does not start with the previous state either'
  remove_previous
}

give_up() { # give_up PROBLEM
  printf '%s\n' '---- the daemon said ----' "$(plain_text "${daemon_log}")" \
    "---- what a line means: bash ${lib}/explain.sh 'LINE' ----" >&2
  die 1 "$1; ${outcome}"
}

# ---- Questions and requirements ---------------------------------------------

# A daemon with live-restore leaves its containers running.
what_restart_does() {
  local live ids containers
  live=$(ask_dockerd info --format '{{.LiveRestoreEnabled}}' 2>/dev/null) ||
    live=false
  if ids=$(ask_dockerd ps --quiet 2>/dev/null); then
    containers="$(wc -w <<<"${ids}") running container(s)"
  else
    containers='an unknown number of containers (docker ps got no answer)'
  fi
  if [[ ${live} == true ]]; then
    printf 'live-restore keeps %s running' "${containers}"
  else
    printf 'It interrupts %s' "${containers}"
  fi
}

# Stops where dockerd would refuse, or would do something else than the site
# says. What looks for that changes nothing, and runs in the sandbox.
look_for_conflicts() {
  if is_remap_switched "${userns_remap}"; then remap_switched=1; fi
  open_facts
  run_confined
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
  local state dockerd
  dockerd=$(command -v dockerd) || die 2 "$(why_no_dockerd)"
  if [[ ! -d /run/systemd/system ]]; then
    note "systemd does not run this machine. To start dockerd by hand, $1"
    printf '%s %s\n' "${dockerd}" "${dockerd_words[*]}" >&2
    die 2 "systemd is needed; ${leaves}"
  fi
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
