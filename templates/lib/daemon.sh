# ---- What dockerd is told, on its command line and in its file --------------

daemon_property() { # daemon_property PROPERTY
  systemctl show --property "$1" --value docker.service
}

# Prints the command line of the running dockerd, one word a line.
running_arguments() {
  local pid
  pid=$(daemon_property MainPID)
  if [[ -r /proc/${pid}/cmdline ]] && ((pid)); then
    cat -- "/proc/${pid}/cmdline" 2>/dev/null | tr '\0' '\n' || true
  fi
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

# A dockerd with TLS hangs up as soon as it sees no handshake: writing on must
# not end the script.
send_plain_request() { # send_plain_request PATH
  local connection
  trap '' PIPE
  exec {connection}<>"/dev/tcp/${probe_address}/${listen_port}"
  printf 'GET %s HTTP/1.1\r\nHost: docker\r\nConnection: close\r\n\r\n' "$1" \
    1>&"${connection}" || true
  timeout 5 head --bytes=16384 <&"${connection}" | tr -d '\0' || true
}

# Asks in plain text and prints what comes back, its first 16 KiB.
ask_in_plain_text() { # ask_in_plain_text PATH
  run_for 10 send_plain_request "$1" 2>/dev/null || true
}

# ---- Who listens where: the kernel's own tables -----------------------------

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

# Prints ADDRESS:PORT in hexadecimal and the inode of each listening socket.
listening_sockets() {
  local place state inode
  while read -r _ place _ state _ _ _ _ _ inode _; do
    [[ ${state} != 0A ]] || printf '%s %s\n' "${place}" "${inode}"
  done < <(cat /proc/net/tcp /proc/net/tcp6 2>/dev/null)
}

# Prints the inode and the path of each listening local socket; @ begins a name
# that is no file's.
listening_local_sockets() {
  local kind inode path
  while read -r _ _ _ kind _ _ inode path; do
    # __SO_ACCEPTCON of linux/net.h.
    [[ ${kind} != 00010000 ]] || printf '%s %s\n' "${inode}" "${path}"
  done < <(cat /proc/net/unix)
}

is_listen_address() { # is_listen_address HEX: the site's, as the kernel has it
  local own
  own=$(reverse_octets "${listen_hex}")
  [[ $1 == "${own}" ]] || { is_any "$1" && is_any "${own}"; }
}

# ---- Containers that run, whether dockerd lists them or not -----------------

# Prints the ids of this machine's docker containers that run, by the processes
# that hold them. A dockerd in a container and a user's own one have namespaces
# of their own: theirs are not meant.
held_containers() {
  local folder name words
  for folder in /proc/[0-9]*; do
    { read -r name <"${folder}/comm"; } 2>/dev/null || continue
    [[ ${name} == containerd-shim ]] || continue
    [[ ${folder}/ns/pid -ef /proc/self/ns/pid ]] || continue
    [[ ${folder}/ns/user -ef /proc/self/ns/user ]] || continue
    words=$(tr '\0' ' ' <"${folder}/cmdline") || continue
    if [[ ${words} =~ ' -namespace moby'.*' -id '([0-9a-f]{64})' ' ]]; then
      printf '%s\n' "${BASH_REMATCH[1]}"
    fi
  done
}

# Prints those of them that dockerd does not list. With live-restore a change of
# its data folder leaves them running, as the user that they were started as.
lost_containers() {
  local listed id lost=''
  listed=$(docker -H unix:///var/run/docker.sock ps --all --quiet --no-trunc \
    2>/dev/null) || return 0
  for id in $(held_containers); do
    if [[ ${listed} != *"${id}"* ]]; then lost+=", ${id:0:12}"; fi
  done
  printf '%s' "${lost#, }"
}

# Sets cursor to the end of the daemon's log, and own_port to a free one that
# the kernel does not give out: in the log it tells our next connection from
# those of others.
mark_log() {
  local hex used address=${probe_address}
  cursor=$(journalctl --unit docker.service --quiet --lines 0 --show-cursor \
    2>/dev/null || true)
  cursor=${cursor#*cursor: }
  used=$(cat /proc/net/tcp /proc/net/tcp6 2>/dev/null) || true
  while :; do
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
  [[ -n ${cursor} ]] || return 0
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

# True when the daemon's log says since mark_log that a client sent no
# certificate, and where there is no log.
is_missing_certificate_logged() {
  local text
  [[ -n ${cursor} ]] || return 0
  text=$(refusal_in_log)
  [[ -z ${text} ]] || [[ ${text} == *"didn't provide a certificate"* ]]
}

# Prints what the client saw since mark_log, and why, with what to do. Only of
# a refusal does the log say anything.
why_no_answer() { # why_no_answer ANSWER
  local log=''
  if [[ $1 =~ ${refusals} ]]; then log=$(refusal_in_log); fi
  printf '%s; %s\n' "$(reason_in "$1")" "$(explain_handshake "$1" "${log}")"
}

is_good_client() { # is_good_client FOLDER
  local certificate=$1/${client_certificate_file}
  [[ -z $(why_not_valid "${certificate}" "${ca}" sslclient) ]] &&
    has_same_key "${certificate}" "$1/${client_key_file}"
}

# Prints the folder of a client whose key and certificate are on this machine:
# of one whose certificate is valid, where there is one.
find_client() {
  local folder found=''
  for folder in "${client_folders[@]}"; do
    folder=${dir}/${folder}
    if [[ -f ${folder}/${client_key_file} &&
      -f ${folder}/${client_certificate_file} &&
      -r ${folder}/${client_key_file} &&
      -r ${folder}/${client_certificate_file} ]]; then
      if is_good_client "${folder}"; then
        printf '%s\n' "${folder}"
        return
      fi
      found=${found:-${folder}}
    fi
  done
  if [[ -n ${found} ]]; then printf '%s\n' "${found}"; fi
}
