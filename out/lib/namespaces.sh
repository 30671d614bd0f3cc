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
claims=() # those of this site
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
  judge "$1" "$(claim_of "$1")" "${3:+$3$'\n'$4}" "$4" "$5" "${6:-}"
}

# Where nothing can be shown.
report_all() { # report_all SKIP|FAIL REASON [REMEDY]
  local number
  for ((number = 0; number < ${#claims[@]}; number += 2)); do
    report "${claims[number]}" "$1" "${claims[number + 1]}" "$2" \
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
  local one other
  one=$(namespace_of "$1" "$2")
  other=$(namespace_of "$1" "$3")
  [[ ${one} == "${other}" ]] ||
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
    "read the log of dockerd; without this PID-1 shows nothing"
}

verify_pid() {
  local problem seen
  verify_own_processes
  problem=$(sharing_problem pid host container1 container2)
  seen=$(namespaces_of pid host container1 container2)
  judge_claim PID-2 'stat --dereference /proc/PID/ns/pid' "${problem}" \
    "${seen}" 'start the containers without --pid'
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
    "read the log of dockerd; without this USER-3 shows nothing"
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
    "read the log of dockerd; without this UTS-1 shows nothing"
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
  local list problem seen
  verify_own_objects
  list=$(objects_of joined)
  problem=$(objects_problem joined has "${list}")
  problem+=$(apart_problem ipc container1 joined)
  judge_claim IPC-2 "docker run --ipc=container:container1; ls" "${problem}" \
    "${list}"$'\n'"$(namespaces_of ipc container1 joined)" \
    'start the first one with --ipc=shareable'
  problem=$(apart_problem ipc sharing host)
  seen=$(namespaces_of ipc sharing host)
  judge_claim IPC-3 'docker run --ipc=host; stat /proc/PID/ns/ipc' \
    "${problem}" "${seen}" 'read the log of dockerd'
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
  local text
  text=$(run_for 10 get_page "$1" | tr -d '\0\r') || true
  printf '%s\n' "${text##*$'\n'}"
}

get_page() { # get_page ADDRESS
  local connection
  { exec {connection}<>"/dev/tcp/$1/80"; } 2>/dev/null || return 0
  { printf 'GET / HTTP/1.0\r\n\r\n' >&"${connection}"; } 2>/dev/null || true
  timeout 10 cat <&"${connection}" 2>/dev/null || true
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
  if run_for 5 has_listener 127.0.0.1 80; then
    port_was_open=', of a service that was there before'
  fi
  make_folders
}

verify_namespaces() {
  choose_claims
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
