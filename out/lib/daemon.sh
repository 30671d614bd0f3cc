# ---- What dockerd is told, on its command line and in its file --------------

# Prints what systemd says of a unit. In the sandbox it was asked before.
unit_property() { # unit_property UNIT PROPERTY
  if [[ -z ${facts} ]]; then
    systemctl show --property "$2" --value "$1"
  elif [[ -e ${facts}/$1.$2 ]]; then
    cat -- "${facts}/$1.$2"
  fi
}

daemon_property() { # daemon_property PROPERTY
  unit_property docker.service "$1"
}

# Asks dockerd on its own socket; one that hangs is no answer.
ask_dockerd() { # ask_dockerd WORD...
  timeout --foreground 20 docker -H unix:///var/run/docker.sock "$@"
}

# Prints the command line of the running dockerd, one word a line.
running_arguments() {
  local pid file
  pid=$(daemon_property MainPID)
  file=/proc/${pid}/cmdline
  if [[ -n ${facts} ]]; then file=${facts}/cmdline; fi
  if [[ -e ${file} ]] && ((pid)); then
    cat -- "${file}" 2>/dev/null | tr '\0' '\n' || true
  fi
}

# Prints the drop-ins of a unit.
drop_ins_of() { # drop_ins_of UNIT
  local file
  local -a files
  read -r -a files < <(unit_property "$1" DropInPaths)
  for file in "${files[@]}"; do printf '%s\n' "${file}"; done
}

# Prints the files of EnvironmentFile=, which may be missing, or be a pattern.
files_of_variables() {
  local file
  while IFS= read -r file; do
    file=${file% (ignore_errors=*}
    compgen -G "${file}" || printf '%s\n' "${file}"
  done < <(daemon_property EnvironmentFiles)
}

# Prints the folder of dockerd's data, where it was asked for that.
data_folder() {
  local info
  info=$(cat -- "${facts}/info" 2>/dev/null) || true
  if [[ ${info} == *' /'* ]]; then printf '/%s\n' "${info#*' /'}"; fi
}

# Prints the programs that systemd runs for these units, and the files that it
# gives them as words: a shell runs one.
programs_of_units() {
  local unit property line word
  local -a words
  for unit in docker.service docker.socket; do
    for property in Exec{Condition,Start{Pre,,Post},Reload,Stop{Pre,,Post}}; do
      while IFS= read -r line; do
        line=${line#*' path='}
        printf '%s\n' "${line%% ;*}"
        line=${line#*'argv[]='}
        read -r -a words <<<"${line%% ; ignore_errors=*}"
        for word in "${words[@]:1}"; do
          if [[ ${word} == /* && -f ${word} ]]; then printf '%s\n' "${word}"; fi
        done
      done < <(unit_property "${unit}" "${property}")
    done
  done
}

# Prints the files that docker.service reads beside its unit: its drop-ins, and
# those of EnvironmentFile= that are there.
files_of_service() {
  local file
  drop_ins_of docker.service
  while IFS= read -r file; do
    if [[ -f ${file} ]]; then printf '%s\n' "${file}"; fi
  done < <(files_of_variables)
}

# Prints the files that docker.socket is made of: they say who reaches dockerd.
files_of_socket() {
  unit_property docker.socket FragmentPath
  drop_ins_of docker.socket
}

# Prints the file that dockerd reads its options from.
options_file() {
  local word file=/etc/docker/daemon.json is_next=0
  while IFS= read -r word; do
    if ((is_next)); then file=${word}; fi
    is_next=0
    case ${word} in
      --config-file=*) file=${word#*=} ;;
      --config-file) is_next=1 ;;
      *) ;;
    esac
  done < <(running_arguments)
  printf '%s\n' "${file}"
}

# Prints where the file says that an option is true, or false, or nothing.
where_in_file() { # where_in_file OPTION true|false
  local file pattern="\"$1\"[[:space:]]*:[[:space:]]*$2"
  file=$(options_file)
  if [[ -e ${file} && $(<"${file}") =~ ${pattern} ]]; then
    printf '"%s": %s in %s\n' "$1" "$2" "${file}"
  fi
}

# The same of the command line and the file.
where_option_is() { # where_option_is OPTION true|false
  local words values='1|t|T|TRUE|true|True'
  if [[ $2 == false ]]; then values='0|f|F|FALSE|false|False'; fi
  words=$'\n'$(running_arguments)$'\n'
  if [[ ${words} =~ $'\n'--$1=(${values})$'\n' ]] ||
    [[ $2 == true && ${words} == *$'\n'"--$1"$'\n'* ]]; then
    printf "%s=%s on dockerd's command line\n" "--$1" "$2"
  else
    where_in_file "$1" "$2"
  fi
}

# ---- Containers that run, whether dockerd lists them or not -----------------

# Prints the ids of this machine's docker containers that run, by the processes
# that hold them. A dockerd in a container and a user's own one have namespaces
# of their own: theirs are not meant.
held_containers() {
  local folder name words program
  for folder in /proc/[0-9]*; do
    if [[ ! -O ${folder} ]]; then continue; fi
    { read -r name <"${folder}/comm"; } 2>/dev/null || continue
    if [[ ${name} != containerd-shim ]]; then continue; fi
    program=$(readlink -- "${folder}/exe") || continue
    if [[ ${program##*/} != containerd-shim* ]]; then continue; fi
    if [[ ! ${folder}/ns/pid -ef /proc/self/ns/pid ]]; then continue; fi
    if [[ ! ${folder}/ns/user -ef /proc/self/ns/user ]]; then continue; fi
    words=$(tr '\0' ' ' <"${folder}/cmdline") || continue
    if [[ ${words} =~ ' -namespace moby'.*' -id '([0-9a-f]{64})' ' ]]; then
      printf '%s\n' "${BASH_REMATCH[1]}"
    fi
  done
}

# ---- The daemon's log -------------------------------------------------------

# Sets cursor to the end of the daemon's log, and own_port to a free one that
# the kernel does not give out: in the log it tells our next connection from
# those of others. Whoever has most ports of the machine leaves it none.
mark_log() {
  local hex used tries address=${probe_address}
  cursor=$(journalctl --unit docker.service --quiet --lines 0 --show-cursor \
    2>/dev/null || true)
  cursor=${cursor#*cursor: }
  used=$(cat /proc/net/tcp /proc/net/tcp6 2>/dev/null) || true
  for ((tries = 0; tries < 100; tries++)); do
    own_port=$((20000 + RANDOM % 12000))
    printf -v hex ':%04X ' "${own_port}"
    if [[ ${used} != *"${hex}"* ]]; then break; fi
  done
  if [[ ${address} == *:* ]]; then address="[${address}]"; fi
  from_own_port=(-bind "${address}:${own_port}")
}

# Prints what the daemon's log has said of our handshake since mark_log, and
# waits for it up to 5 seconds. Without a log, prints nothing.
refusal_in_log() {
  local line deadline=$((SECONDS + 5))
  if [[ -z ${cursor} ]]; then return; fi
  while ((SECONDS < deadline)); do
    while IFS= read -r line; do
      line=${line#*TLS handshake error from }
      if [[ ${line} =~ ^[^\ ]+:${own_port}:\  ]]; then
        printf '%s\n' "${line}"
        return
      fi
    done < <(journalctl --unit docker.service --quiet --output cat \
      --after-cursor "${cursor}" 2>/dev/null || true)
    sleep 0.1
  done
}
