# ---- Which CAs dockerd trusts -----------------------------------------------

readonly restart_dockerd='run: systemctl restart docker.service'

# Prints when a process was started, in hundredths of a second since the boot:
# field 22 of proc_pid_stat(5).
ticks_in() { # ticks_in FILE
  local text
  local -a fields
  text=$(cat -- "$1")
  read -r -a fields <<<"${text##*) }"
  printf '%s\n' "${fields[19]}"
}

# Prints when dockerd was started, in hundredths of a second since 1970. What is
# started now tells the time since the boot: a container's own /proc/uptime may
# count from another moment.
daemon_start() {
  local ticks now start
  ticks=$(ticks_in /proc/self/stat)
  now=$(date '+%s%2N')
  start=$(ticks_in "${facts}/stat")
  printf '%d\n' "$((now - ticks + start))"
}

# Prints why that time cannot be relied on, or nothing. systemd wrote its own
# down, in seconds: where the clock was set since, the two differ.
start_problem() { # start_problem START
  local text began=$(($1 / 100)) stamp
  text=$(daemon_property ExecMainStartTimestamp)
  stamp=$(date --date "${text:-@0}" '+%s' 2>/dev/null) || stamp=0
  if ((began < stamp - 5 || began > stamp + 5)); then
    printf "when dockerd started cannot be told: at %s by the kernel's clock," \
      "$(date --utc --date "@${began}" '+%F %T UTC')"
    printf ' and at %s by systemd; ' \
      "$(date --utc --date "@${stamp}" '+%F %T UTC')"
  fi
}

# Prints what may have changed after dockerd had read it, at its start. A time
# of change cannot be set back, but a new link or mode sets it as other contents
# do; the folder's and its link's are those of a rename.
unread_change() { # unread_change FILE
  local start changed path
  start=$(daemon_start)
  start_problem "${start}"
  while read -r changed path; do
    if ((${changed/./} >= start)); then
      printf '%s was changed or linked since dockerd started: what' "${path}"
      printf ' dockerd read then cannot be told; '
    fi
  done < <(
    stat --format '%.2Z %n' -- "${tls_directory}"
    stat --dereference --format '%.2Z %n' -- "${tls_directory}" "$1"
  )
}

# Prints the name of each CA that dockerd asks a client's certificate of, as it
# read them at its start.
names_asked_for() {
  local line is_list=0 address=${probe_address}
  if [[ ${address} == *:* ]]; then address="[${address}]"; fi
  while IFS= read -r line; do
    if [[ ${line} == 'Acceptable client certificate CA names' ]]; then
      is_list=1
    elif [[ ${line} =~ ^[A-Z][A-Za-z\ ]*: || ${line} == --- ]]; then
      is_list=0
    elif ((is_list)); then
      printf '%s\n' "${line}"
    fi
  done < <(
    timeout --foreground 10 openssl s_client -nameopt RFC2253 \
      -connect "${address}:${listen_port}" </dev/null 2>/dev/null || true
  )
}

# Prints how these differ from the names in a file that is the site's.
loaded_problem() { # loaded_problem FILE
  local asked_for wanted pem
  local -a certificates
  read_certificates "$1"
  wanted=$(for pem in "${certificates[@]}"; do
    openssl x509 -noout -subject -nameopt RFC2253 <<<"${pem}"
  done)
  asked_for=$(names_asked_for | sort)
  asked_for=${asked_for:-no CA}
  wanted=$(sort <<<"${wanted//subject=/}")
  if [[ ${asked_for} != "${wanted}" ]]; then
    printf 'dockerd asks for certificates of %s, and %s has %s; ' \
      "${asked_for//$'\n'/ and }" "$1" "${wanted//$'\n'/ and }"
  fi
}

# Prints what is another file or folder for dockerd than for everybody.
unseen_by_daemon() { # unseen_by_daemon FILE
  local line seen
  seen=$(cat -- "${facts}/seen" 2>/dev/null) || true
  while IFS= read -r line; do
    if [[ $'\n'${seen}$'\n' != *$'\n'"${line}"$'\n'* ]]; then
      printf 'dockerd sees another %s, or none; ' "${line#* }"
    fi
  done < <(stat --dereference --format '%d:%i %n' -- "${tls_directory}" "$1")
}

# Prints why not every CA of a file is the site's, or nothing.
authorities_problem() { # authorities_problem FILE OWN DIGESTS
  local problem
  if [[ ! -f $1 ]]; then
    printf 'dockerd trusts no file that is there: --tlscacert=%s\n' "$1"
    return
  fi
  problem=$(why_not_trusted "$1" "$1")
  if [[ -n ${problem} ]]; then
    printf '%s: %s; %s\n' "$1" "${problem}" "$3"
  else
    strange_authorities "$1" "${2:-$1}"
  fi
}

# Prints the sha256 of each CA in a file.
list_digests() { # list_digests FILE
  local digests
  if [[ ! -f $1 ]]; then return; fi
  digests=$(ca_digests_of "$1") || digests=unreadable
  printf 'sha256 %s\n' "${digests//$'\n'/, sha256 }"
}

verify_authorities() {
  local file own digests problem remedy
  local what="every CA that dockerd trusts is the site's, or announced by it"
  if [[ ${daemon_mode} == server-only ]]; then
    report CERT-5 SKIP "${what}" \
      'mode server-only: no client certificate is asked for' ''
    return
  fi
  remedy='carry ca-public.pem from the CA again; run 20-configure-daemon.sh'
  file=$(trusted_file)
  own=$(own_bundle)
  asked="the sha256 of each certificate in ${file}, in DER; stat; openssl"
  asked+=" s_client -connect ${probe_address}:${listen_port}"
  digests=$(list_digests "${file}")
  problem=$(authorities_problem "${file}" "${own}" "${digests}")
  if [[ -z ${problem} ]]; then
    problem=$(unseen_by_daemon "${file}")
    remedy='systemctl cat docker.service: take out what binds or hides paths'
  fi
  if [[ -z ${problem} ]]; then
    problem=$(loaded_problem "${file}")$(unread_change "${file}")
    remedy=${restart_dockerd}
  fi
  if [[ -z ${problem}${own} ]]; then
    report CERT-5 SKIP "${what}" \
      "no ca-public.pem of the site is in ${dir}; give --dir" ''
    return
  fi
  judge CERT-5 "${what}" "${problem%; }" "${digests}" "${remedy}"
}

# ---- The daemon's own files -------------------------------------------------

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
  verify_folders
  verify_service_files
  verify_options_file
}

# Whoever can put another file in a file's place need not write to it.
verify_folders() {
  local folder fault problem='' evidence
  evidence=$(folders_of_daemon | sort --unique)
  asked='namei --long FOLDER'
  while IFS= read -r folder; do
    fault=$(why_unsafe "${folder}")
    [[ -z ${fault} ]] || problem+="${fault%; take another one}; "
  done <<<"${evidence}"
  judge FILE-8 'root alone can replace the files that dockerd reads' \
    "${problem%; }" "${evidence}" \
    'chown root these folders and those above; chmod go-w them'
}

# The drop-in is judged by its own control. What is masked is a link to
# /dev/null.
verify_service_files() {
  local file fault problem='' evidence=''
  local what='what docker.service and docker.socket read besides is'
  what+=' root:root 644 or less, and what they run 755'
  while IFS= read -r file; do
    if [[ -z ${file} || ${file} -ef /dev/null || ${file} -ef ${drop_in} ]]; then
      continue
    fi
    evidence+="${file} "
    fault=$(file_problem "${file}" root:root 644)
    [[ -z ${fault} ]] || problem+="${fault}; "
  done < <(
    files_of_service
    files_of_socket
  )
  while IFS= read -r file; do
    evidence+="${file} "
    fault=$(file_problem "${file}" root:root 755)
    [[ -z ${fault} ]] || problem+="${fault}; "
  done < <(programs_of_units)
  asked="stat --format '%U:%G %a' ${evidence% }"
  judge FILE-9 "${what}" "${problem%; }" "${evidence% }" \
    'chown root:root those files; chmod 644 them, and programs 755'
}

verify_options_file() {
  local file
  file=$(options_file)
  if [[ -e ${file} ]]; then
    judge_file FILE-10 "${file}" root:root 644 '3.17 and 3.18'
  else
    report FILE-10 SKIP "${file} is root:root 644 or less" \
      "there is no ${file}" '' '3.17 and 3.18'
  fi
}

# ---- Where dockerd listens --------------------------------------------------

remove_listener='run 20-configure-daemon.sh; take away every other -H, hosts,'
remove_listener+=' metrics-addr or ListenStream; docker swarm leave'
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
  local pid line
  pid=$(daemon_property MainPID)
  while IFS= read -r line; do
    if [[ ${line} == "'/proc/${pid}/fd/"* ]]; then printf '%s\n' "${line}"; fi
  done <"${facts}/descriptors"
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

# Prints the inode and the path of each listening local socket; @ begins a name
# that is no file's.
listening_local_sockets() {
  local kind inode path
  while read -r _ _ _ kind _ _ inode path; do
    # __SO_ACCEPTCON of linux/net.h.
    [[ ${kind} != 00010000 ]] || printf '%s %s\n' "${inode}" "${path}"
  done < <(cat /proc/net/unix)
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

# Prints ADDRESS:PORT of each TCP port that a running container publishes.
# Without its userland proxy dockerd itself holds these, and answers nobody.
published_places() {
  local inside port address
  while read -r inside port address; do
    if [[ ${inside} != */tcp ]]; then continue; fi
    if [[ ${address} == *:* ]]; then address="[${address}]"; fi
    printf '%s:%s\n' "${address}" "${port}"
  done < <(cat -- "${facts}/ports" 2>/dev/null || true)
}

# Prints where the socket units that start dockerd listen: systemd does so for
# it.
socket_unit_places() {
  local unit place
  local -a units
  read -r -a units < <(daemon_property TriggeredBy)
  for unit in "${units[@]}"; do
    if [[ $(unit_property "${unit}" ActiveState) != active ]]; then
      continue
    fi
    while read -r place _; do
      if [[ -n ${place} && ! ${place} =~ ^(/var)?/run/docker\.sock$ ]]; then
        printf '%s of %s\n' "${place}" "${unit}"
      fi
    done < <(unit_property "${unit}" Listen)
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
  info=$(<"${facts}/info")
  problem=$(remap_problem "${info}")
  lost=$(<"${facts}/lost")
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
