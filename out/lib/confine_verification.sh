# ---- Verification of a host, in the sandbox ---------------------------------

accepts=' --dir --json --yes --check --undo --remove-keys --confined --help '
readonly accepts

# PORT/PROTOCOL of a container, then the machine's port and address, one a line.
ports_format="{{range \$port, \$places := .NetworkSettings.Ports}}"
ports_format+="{{range \$places}}{{println \$port .HostPort .HostIp}}{{end}}"
ports_format+='{{end}}'
readonly ports_format

# Prints the file of the CAs that the running dockerd trusts, or nothing. Of two
# options the last one counts.
trusted_file() {
  local word before='' file=''
  while IFS= read -r word; do
    if [[ ${before} == --tlscacert ]]; then
      file=${word}
    elif [[ ${word} == --tlscacert=* ]]; then
      file=${word#*=}
    fi
    before=${word}
  done < <(running_arguments)
  printf '%s\n' "${file}"
}

# Prints the containers that run and that dockerd does not list. With
# live-restore a change of its data folder leaves them running, as the user that
# they were started as.
lost_containers() {
  local listed id lost=''
  listed=$(ask_dockerd ps --all --quiet --no-trunc 2>/dev/null) || return 0
  for id in $(held_containers); do
    if [[ ${listed} != *"${id}"* ]]; then lost+=", ${id:0:12}"; fi
  done
  printf '%s' "${lost#, }"
}

# Asks docker, as root, what cannot be asked from the sandbox.
ask_docker_first() {
  local -a ids
  ask_dockerd info --format '{{.SecurityOptions}} {{.DockerRootDir}}' \
    >"${facts}/info" 2>&1 || true
  lost_containers >"${facts}/lost"
  mapfile -t ids < <(ask_dockerd ps --quiet 2>/dev/null || true)
  if ((${#ids[@]})); then
    ask_dockerd inspect --format "${ports_format}" "${ids[@]}" \
      >"${facts}/ports" 2>/dev/null || true
  fi
}

# Looks as dockerd does: its unit may give it other files than everybody sees.
# Its number is another process's once it has ended, perhaps a stranger's with a
# stranger's programs: what was opened is dockerd's where systemd still says so.
look_as_daemon() {
  local pid file mounts root
  pid=$(daemon_property MainPID)
  file=$(trusted_file)
  { exec {mounts}<"/proc/${pid}/ns/mnt" {root}<"/proc/${pid}/root"; } \
    2>/dev/null || return 0
  if [[ $(systemctl show --property MainPID --value docker.service) == \
  "${pid}" ]]; then
    nsenter --mount="/dev/fd/${mounts}" --root="/dev/fd/${root}" \
      stat --dereference --format '%d:%i %n' -- "${tls_directory}" "${file}" \
      >"${facts}/seen" 2>/dev/null || true
  fi
  exec {mounts}<&- {root}<&-
}

# Asks the daemon as a client whose key is on this machine, where there is one:
# in the sandbox there are no keys of clients. The answer is judged there.
ask_as_client() {
  local client ca=${tls_directory}/${ca_certificate_file}
  need_safe_folders
  if [[ ! -e ${ca} ]]; then return; fi
  client=$(find_client)
  if [[ -z ${client} ]]; then return; fi
  mark_log
  printf '%s\n' "${client}" "${own_port}" "${cursor}" >"${facts}/client"
  ask_marked -cert "${client}/${client_certificate_file}" \
    -key "${client}/${client_key_file}" >"${facts}/answer"
}

# It changes nothing: there is nothing to check or to undo.
begin_verification() { # begin_verification ARGUMENT...
  parse_options "$@"
  ((EUID == 0)) || die 2 'this needs root: run it with sudo'
  if [[ ${verb} != apply ]]; then exit 0; fi
}

# Asks outside what the sandbox is to know of systemd and docker.
ask_first() {
  [[ -d /run/systemd/system ]] || die 2 'systemd does not run this machine'
  open_facts
  ask_docker_first
  if [[ -n ${tls_directory:-} ]]; then look_as_daemon; fi
}
