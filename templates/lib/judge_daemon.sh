# ---- Which CAs dockerd trusts -----------------------------------------------

readonly restart_dockerd='run: systemctl restart docker.service'

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

# Prints the CAs of a file that are not in the site's own, where that is here:
# the host's, which the CA's machine gave it, or the CA's.
strange_authorities() { # strange_authorities FILE
  local own=${dir}/${script%/*}/${ca_certificate_file} known digest
  if [[ ! -f ${own} ]]; then own=${dir}/ca/${ca_certificate_file}; fi
  if [[ ! -f ${own} ]]; then return; fi
  known=$(ca_digests_of "${own}") || known=''
  while read -r digest; do
    if [[ $'\n'${known}$'\n' != *$'\n'"${digest}"$'\n'* ]]; then
      printf 'sha256 %s is not in %s; ' "${digest}" "${own}"
    fi
  done < <(ca_digests_of "$1")
}

# Prints when dockerd was started, in hundredths of a second since 1970: the
# kernel counts them from its boot, in field 22 of proc_pid_stat(5).
daemon_start() {
  local pid text now uptime
  local -a fields
  pid=$(daemon_property MainPID)
  text=$(cat -- "/proc/${pid}/stat")
  read -r -a fields <<<"${text##*) }"
  now=$(date '+%s%2N')
  read -r uptime _ </proc/uptime
  printf '%d\n' "$((now - 10#${uptime/./} + fields[19]))"
}

# Prints what changed after dockerd had read it, at its start. A time of change
# cannot be set back; the folder's and its link's are those of a rename.
unread_change() { # unread_change FILE
  local start changed path
  start=$(daemon_start)
  while read -r changed path; do
    if ((${changed/./} >= start)); then
      printf '%s has changed since dockerd started and read it; ' "${path}"
    fi
  done < <(
    stat --format '%.2Z %n' -- "${tls_directory}"
    stat --dereference --format '%.2Z %n' -- "${tls_directory}" "$1"
  )
}

verify_authorities() {
  local file digests='' problem remedy
  local what="every CA that dockerd trusts is the site's, or announced by it"
  if [[ ${daemon_mode} == server-only ]]; then
    report CERT-5 SKIP "${what}" \
      'mode server-only: no client certificate is asked for' ''
    return
  fi
  remedy='carry ca-public.pem from the CA again; run 20-configure-daemon.sh'
  file=$(trusted_file)
  asked="the sha256 of each certificate in ${file}, in DER; stat"
  if [[ ! -f ${file} ]]; then
    problem="dockerd trusts no file that is there: --tlscacert=${file}"
  else
    digests=$(ca_digests_of "${file}") || digests=unreadable
    problem=$(why_not_trusted "${file}" "${file}")
    if [[ -n ${problem} ]]; then
      problem="${file}: ${problem}; sha256 ${digests//$'\n'/, sha256 }"
    else
      problem=$(strange_authorities "${file}")
    fi
    if [[ -z ${problem} ]]; then
      problem=$(unread_change "${file}")
      remedy=${restart_dockerd}
    fi
  fi
  judge CERT-5 "${what}" "${problem%; }" \
    "sha256 ${digests//$'\n'/, sha256 }" "${remedy}"
}

# ---- The daemon's own files and flags ---------------------------------------

# The widest modes that the CIS Docker Benchmark allows.
verify_daemon_files() {
  if [[ -e /etc/docker ]]; then
    judge_file FILE-4 /etc/docker root:root 755 '3.5 and 3.6'
  else
    report FILE-4 SKIP '/etc/docker is root:root 755 or less' \
      'there is no /etc/docker' '' '3.5 and 3.6'
  fi
  judge_file FILE-5 "${drop_in}" root:root 644 '3.1 and 3.2'
  judge_file FILE-6 "$(daemon_property FragmentPath)" root:root 644 \
    '3.1 and 3.2'
  judge_file FILE-7 /var/run/docker.sock root:docker 660 '3.15 and 3.16'
}

# What it was started with, and what the kernel says of where it listens: flags
# come from variables, from daemon.json and from socket units too.
verify_flags() { # verify_flags [CIS_ITEM]
  local problem='' places flag what="dockerd runs with -H tcp://${listen}"
  for flag in "${flags[@]}"; do what+=" ${flag%%=/*}"; done
  asked='tr "\0" "\n" </proc/MAINPID/cmdline; cat /proc/net/{tcp,tcp6,unix}'
  is_running_with_flags || problem='dockerd runs without them; '
  places=$(other_listeners)
  [[ ${places} == ' ' ]] || problem+="it was told to listen on${places}too; "
  problem+=$(listener_problem)
  judge DAEMON-1 "${what}, and listens nowhere else" "${problem%; }" \
    "$(running_arguments)" "${remove_listener}" "${1:-}"
}

# ---- Where dockerd listens --------------------------------------------------

remove_listener='run 20-configure-daemon.sh; take away every other -H, hosts,'
remove_listener+=' metrics-addr or ListenStream'
readonly remove_listener

# Prints a place in the kernel's tables as ADDRESS:PORT. getent knows the short
# form of an IPv6 address.
place_text() { # place_text HEX:PORT
  local hex text port=$((16#${1##*:}))
  hex=$(reverse_octets "${1%:*}")
  if ((${#hex} == 8)); then
    printf '%d.%d.%d.%d:%d\n' "0x${hex:0:2}" "0x${hex:2:2}" "0x${hex:4:2}" \
      "0x${hex:6:2}" "${port}"
    return
  fi
  printf -v text ':%s' "${hex:0:4}" "${hex:4:4}" "${hex:8:4}" "${hex:12:4}" \
    "${hex:16:4}" "${hex:20:4}" "${hex:24:4}" "${hex:28:4}"
  read -r text _ < <(getent ahostsv6 "${text#:}")
  printf '[%s]:%d\n' "${text}" "${port}"
}

# Prints what dockerd has open.
open_by_dockerd() {
  local pid
  pid=$(daemon_property MainPID)
  stat --format '%N' "/proc/${pid}"/fd/* 2>/dev/null || true
}

# Prints the places in the kernel's tables where dockerd listens.
places_of_dockerd() {
  local text place inode
  text=$(open_by_dockerd)
  while read -r place inode; do
    if [[ ${text} == *"socket:[${inode}]"* ]]; then
      printf '%s\n' "${place}"
    fi
  done < <(listening_sockets)
}

# True for what dockerd has besides: the socket unit's, and those of its
# plugins' metrics and of its networks.
is_own_local_socket() { # is_own_local_socket PATH
  [[ $1 == /run/docker.sock || $1 == /var/run/docker/metrics.sock ||
    $1 =~ ^/var/run/docker/libnetwork/[0-9a-f]{12}\.sock$ ]]
}

# Prints on which other local sockets dockerd listens. The API's is the positive
# control.
local_listener_problem() {
  local text inode path found=0
  text=$(open_by_dockerd)
  while read -r inode path; do
    if [[ ${text} != *"socket:[${inode}]"* ]]; then
      continue
    elif [[ ${path} == /var/run/docker.sock ]]; then
      found=1
    elif ! is_own_local_socket "${path}"; then
      printf 'it listens on %s too; ' "${path}"
    fi
  done < <(listening_local_sockets)
  if ((! found)); then
    printf 'it does not listen on /var/run/docker.sock; '
  fi
}

# Prints ADDRESS:PORT of each port that a running container publishes. Without
# its userland proxy dockerd itself holds these, and answers nobody there.
published_places() {
  local text place pattern='"HostIp":"([^"]*)","HostPort":"([0-9]+)"'
  local -a ids
  text=$(docker -H unix:///var/run/docker.sock ps --quiet 2>/dev/null) ||
    text=''
  if [[ -z ${text} ]]; then return; fi
  mapfile -t ids <<<"${text}"
  text=$(docker -H unix:///var/run/docker.sock inspect \
    --format '{{json .NetworkSettings.Ports}}' "${ids[@]}" 2>/dev/null) || true
  while [[ ${text} =~ ${pattern} ]]; do
    place=${BASH_REMATCH[1]}
    if [[ ${place} == *:* ]]; then place="[${place}]"; fi
    printf '%s:%s\n' "${place}" "${BASH_REMATCH[2]}"
    text=${text#*"${BASH_REMATCH[0]}"}
  done
}

# Prints where the socket units that start dockerd listen: systemd does so for
# it.
socket_unit_places() {
  local unit place
  local -a units
  read -r -a units < <(daemon_property TriggeredBy)
  for unit in "${units[@]}"; do
    if ! systemctl --quiet is-active "${unit}"; then continue; fi
    while read -r place _; do
      if [[ -n ${place} && ! ${place} =~ ^(/var)?/run/docker\.sock$ ]]; then
        printf '%s of %s\n' "${place}" "${unit}"
      fi
    done < <(systemctl show --property Listen --value "${unit}")
  done
}

# Prints where dockerd listens and the site does not say so, and the other way
# round. The site's own place is the positive control: it must be there.
listener_problem() {
  local place text port found=0 published
  printf -v port '%04X' "${listen_port}"
  published=$'\n'$(published_places)$'\n'
  while read -r place; do
    text=$(place_text "${place}")
    if [[ ${place##*:} == "${port}" ]] && is_listen_address "${place%:*}"; then
      found=1
    elif [[ ${published} != *$'\n'"${text}"$'\n'* ]]; then
      printf 'it listens on %s too; ' "${text}"
    fi
  done < <(places_of_dockerd)
  local_listener_problem
  while read -r place; do
    printf 'systemd listens for it on %s; ' "${place}"
  done < <(socket_unit_places)
  if ((! found)); then printf 'it does not listen on %s; ' "${listen}"; fi
}

# ---- User namespaces --------------------------------------------------------

# Prints what does not hold: the option, and the folder of the remapped ids.
remap_problem() { # remap_problem INFO
  local root=${1##*/} file id
  [[ $1 == *name=userns* ]] || printf 'no name=userns; '
  for file in /etc/subuid:"${root%.*}" /etc/subgid:"${root#*.}"; do
    id=${file#*:}
    read_ranges "${file%:*}" "$(remap_user)"
    [[ " ${own[*]} " == *:"${id}":* ]] ||
      printf 'the data folder is not of a range of %s in %s; ' \
        "$(remap_user)" "${file%:*}"
  done
}

verify_remap() {
  local what='dockerd uses user namespaces' info problem lost
  local remedy='run 20-configure-daemon.sh'
  if [[ -z ${userns_remap} ]]; then
    report USERNS-1 SKIP "${what}" 'the site has no userns_remap' '' 2.9
    return
  fi
  asked="docker info --format '{{.SecurityOptions}} {{.DockerRootDir}}'"
  info=$(docker -H unix:///var/run/docker.sock info \
    --format '{{.SecurityOptions}} {{.DockerRootDir}}' 2>&1) || true
  problem=$(remap_problem "${info}")
  lost=$(lost_containers)
  if [[ -n ${lost} ]]; then
    problem+="containers run that dockerd does not list: ${lost}"
    remedy+=' --undo, stop them (docker stop), and run it again'
  fi
  judge USERNS-1 "${what} of $(remap_user)" "${problem%; }" "${info}" \
    "${remedy}" 2.9
}

verify_ranges() {
  local what='nobody else has the ids of containers' file problem=''
  local user evidence='' fault
  if [[ -z ${userns_remap} ]]; then
    report USERNS-2 SKIP "${what}" 'the site has no userns_remap' '' 2.9
    return
  fi
  asked='cat /etc/subuid /etc/subgid; getent passwd; getent group'
  user=$(remap_user)
  for file in /etc/subuid /etc/subgid; do
    has_range "${file}" "${user}" || problem+="no range of ${user} in ${file}; "
    fault=$(range_fault "${file}")
    [[ -z ${fault} ]] || problem+="in ${file} ${fault}; "
    evidence+="${file}: ${own[*]}; "
  done
  judge USERNS-2 "${what}" "${problem%; }" "${evidence%; }" \
    "give ${user} 65536 ids of its own in both files: usermod(8)" 2.9
}
