# ---- Networks: what arrives, counted by the receiver's kernel ---------------

readonly accepts=' --dir --json --yes --check --undo --remove-keys --help '

# Each packet goes to a closed port (9, discard). What arrives is counted all
# the same, so no listener can be down.
readonly -a protocols=(TCP UDP ICMP)

ids=()              # two containers of one network, their first processes
pids=()             # and their addresses
addresses_IPv4=()   #
addresses_IPv6=()   #
counts=()           # what arrived there: TCP UDP ICMP host; and back: the same
ordinary=''         # the network that isolates nothing
ordinary_id=''      # a container of it
ordinary_problem='' # why it is not there
ordinary_IPv4=(0 0 0 0 0 0 0 0)
ordinary_IPv6=(0 0 0 0 0 0 0 0)

# Prints how many TCP segments, UDP datagrams and echo requests have arrived in
# the network namespace of a process.
arrived() { # arrived PID IPv4|IPv6
  local at key value
  local -a fields values
  local -A count
  while read -r -a fields && read -r -a values; do
    for at in "${!fields[@]}"; do
      count["${fields[0]%:}${fields[at]}"]=${values[at]}
    done
  done < <(cat -- "/proc/$1/net/snmp")
  if [[ $2 == IPv4 ]]; then
    printf '%d %d %d\n' "${count[TcpInSegs]}" \
      "$((count[UdpInDatagrams] + count[UdpNoPorts]))" \
      "${count[IcmpInEchos]}"
    return
  fi
  while read -r key value; do count["${key}"]=${value}; done \
    < <(cat -- "/proc/$1/net/snmp6")
  printf '%d %d %d\n' "${count[TcpInSegs]}" \
    "$((count[Udp6InDatagrams] + count[Udp6NoPorts]))" "${count[Icmp6InEchos]}"
}

# One packet of each protocol, at the same time. Each program waits a second for
# an answer.
send_packets() { # send_packets ID ADDRESS
  in_probe "$1" sh -c "nc -w 1 $2 9 </dev/null &
    traceroute -n -q 1 -m 1 -w 1 -p 9 $2 &
    ping -c 1 -W 1 $2 &
    wait" &>/dev/null || true
}

# Sends from one container of the pair to the other, and then from this machine:
# its packet is let through and arrives last. Adds four numbers to counts.
send() { # send FROM TO IPv4|IPv6
  local -n addresses=addresses_$3
  local pid=${pids[$2]} address=${addresses[$2]}
  local -a before after last
  read -r -a before < <(arrived "${pid}" "$3")
  send_packets "${ids[$1]}" "${address}"
  read -r -a after < <(arrived "${pid}" "$3")
  timeout 2 bash -c ": >/dev/tcp/${address}/9" 2>/dev/null || true
  read -r -a last < <(arrived "${pid}" "$3")
  counts+=("$((after[0] - before[0]))" "$((after[1] - before[1]))"
    "$((after[2] - before[2]))" "$((last[0] - after[0]))")
}

# Prints a container's IPv4 address, a blank, and its IPv6 address where it has
# one. As JSON: docker 29 has words of its own for one that is not there.
container_addresses() { # container_addresses ID
  local text
  text=$(ask_docker inspect --format '{{range .NetworkSettings.Networks -}}
    {{json .IPAddress}} {{json .GlobalIPv6Address}}{{end}}' "$1")
  printf '%s\n' "${text//\"/}"
}

# D28: docker run --network <network-name>, with an image; twice.
start_pair() { # start_pair NETWORK
  local text
  ids=() pids=() addresses_IPv4=() addresses_IPv6=()
  while ((${#ids[@]} < 2)); do
    start_probe "dockseal-${probe_run}-${probe_count}" --network "$1" -- ||
      return
    ids+=("${started}")
    pids+=("${started_pid}")
    if [[ ${verb} == check ]]; then continue; fi
    text=$(container_addresses "${started}")
    addresses_IPv4+=("${text% *}")
    addresses_IPv6+=("${text#* }")
  done
}

# Sets counts for the pair, both ways. Where packets are to arrive it tries
# again: a container that has just started may not answer yet.
measure_pair() { # measure_pair IPv4|IPv6 HOW_OFTEN
  local tries
  for ((tries = 0; tries < $2; tries++)); do
    counts=()
    send 0 1 "$1"
    send 1 0 "$1"
    if [[ " ${counts[*]} " != *' 0 '* ]]; then return; fi
  done
}

# ---- The ordinary network: beside it, a loss means something ----------------

# Sets what the site asks for: any isolation, that of IPv6, internal networks.
read_wishes() {
  local at
  isolated=0 isolated_ipv6=0 internal=0
  if [[ ${icc} == false ]] && ! lacks_default_bridge; then isolated=1; fi
  for ((at = 0; at < ${#networks[@]}; at += network_columns)); do
    read_row "${at}"
    if [[ ${row_internal} == true ]]; then internal=1; fi
    if [[ ${row_icc} == true ]]; then continue; fi
    isolated=1
    if [[ -n ${row_ipv6_subnet} ]]; then isolated_ipv6=1; fi
  done
}

# Makes a network that is ordinary whatever dockerd's default-network-opts say.
# It is removed with the containers of this run.
make_ordinary() {
  local prefix
  local -a more=()
  ordinary=dockseal-${probe_run}
  if ((isolated_ipv6)); then
    printf -v prefix 'fd%02x:%x:%x' "$((RANDOM % 256))" "${RANDOM}" "${RANDOM}"
    more=(--ipv6 --subnet "${prefix}::/64")
  fi
  run_docker network create --driver bridge -o "${icc_option}=true" \
    --label "${probe_label}=${probe_run}" "${more[@]}" "${ordinary}" || {
    ordinary_problem="it could not be made: $(<"${probe_folder}/error")"
    return 1
  }
  start_pair "${ordinary}" || {
    ordinary_problem=${probe_error}
    return 1
  }
}

measure_ordinary() {
  if ((! isolated && ! internal)); then return; fi
  make_ordinary || return 0
  ordinary_id=${ids[0]}
  measure_pair IPv4 3
  ordinary_IPv4=("${counts[@]}")
  if ((! isolated_ipv6)); then return; fi
  measure_pair IPv6 3
  ordinary_IPv6=("${counts[@]}")
}

# ---- The controls of one network --------------------------------------------

# Prints what arrived there and back.
arrivals() { # arrivals ARRAY AT
  local -n numbers=$1
  printf '%d and %d arrived' "${numbers[$2]}" "${numbers[$2 + 4]}"
}

# Prints why a protocol is not isolated, or nothing.
why_not_isolated() { # why_not_isolated FAMILY AT
  local -n normal=ordinary_$1
  if ((counts[$2] || counts[$2 + 4])); then
    printf 'one packet sent each way: %s\n' "$(arrivals counts "$2")"
  elif ((! normal[$2] || ! normal[$2 + 4])); then
    printf 'this shows nothing: on the ordinary network %s, %s\n' \
      "${ordinary}" "${ordinary_problem:-packets are lost too}"
  elif ((! counts[3] || ! counts[7])); then
    printf "this shows nothing: the host's own packets are lost too\n"
  fi
}

judge_lost() { # judge_lost ID NETWORK FAMILY AT CIS_ITEM
  local evidence remedy='dockerd must not run with --iptables=false; remove the'
  evidence="one packet sent each way: $(arrivals counts "$4"); then one of the"
  evidence+=" host each: $(arrivals counts 3); the same on the ordinary network"
  evidence+=" ${ordinary}: $(arrivals "ordinary_$3" "$4")"
  remedy+=' network and run 30-create-networks.sh again'
  if [[ $2 == bridge ]]; then
    remedy='run 20-configure-daemon.sh; dockerd must run with --icc=false'
  elif [[ $3 == IPv6 ]]; then
    remedy='set "ip6tables": true (before docker 27.0, "experimental": true'
    remedy+=' too) in /etc/docker/daemon.json and restart docker'
  fi
  judge "$1" "$2: $3 ${protocols[$4]} between containers is lost, both ways" \
    "$(why_not_isolated "$3" "$4")" "${evidence}" "${remedy}" "$5"
}

judge_passes() { # judge_passes ID NETWORK FAMILY AT
  local problem='' evidence where=''
  local remedy='the site says icc: true; find what else drops packets on that'
  remedy+=' bridge'
  evidence="one packet sent each way: $(arrivals counts "$4")"
  ((counts[$4] && counts[$4 + 4])) || problem=${evidence}
  if [[ $2 == bridge ]]; then where=$(where_option_is icc false); fi
  if [[ -n ${where} ]]; then
    remedy="dockerd has ${where}; take it out and restart docker, or set icc:"
    remedy+=' false for this host in the site file'
  fi
  judge "$1" "$2: $3 ${protocols[$4]} between containers passes, both ways" \
    "${problem}" "${evidence}" "${remedy}"
}

# IPv4 has the controls 3 to 5, IPv6 6 to 8.
judge_family() { # judge_family NETWORK ICC IPv4|IPv6 CIS_ITEM
  local at tries=1 first=3
  if [[ $2 == true ]]; then tries=3; fi
  if [[ $3 == IPv6 ]]; then first=6; fi
  measure_pair "$3" "${tries}"
  for at in "${!protocols[@]}"; do
    asked="docker run --network $1 IMAGE, twice; ${protocols[at]} from one to"
    asked+=" the other, counted in its /proc/PID/net/snmp"
    if [[ $2 == true ]]; then
      judge_passes "ICC-$((first + at))" "$1" "$3" "${at}"
    else
      judge_lost "ICC-$((first + at))" "$1" "$3" "${at}" "$4"
    fi
  done
}

can_ping() { # can_ping ID ADDRESS
  in_probe "$1" ping -c 1 -W 1 "$2" &>/dev/null
}

# Prints the host's address on the network of the pair. docker does not always
# say it; a container knows it once the host has sent something.
host_address() {
  local address
  while read -r address _; do
    if [[ ${address} == *.* && ${address} != "${addresses_IPv4[1]}" ]]; then
      printf '%s\n' "${address}"
      return
    fi
  done <"/proc/${pids[0]}/net/arp"
}

judge_outside() { # judge_outside NETWORK
  local address problem=''
  address=$(host_address)
  asked="ping -c 1 -W 1 ${address}, in a container of $1"
  can_ping "${ids[0]}" "${address}" || problem='no answer'
  judge ICC-9 "$1: a container reaches the host" "${problem}" \
    "${address} answered" \
    'see which rule of the host drops it: iptables -S INPUT'
}

# Prints the router of this host, as the kernel lists it.
default_router() {
  local to router
  while read -r _ to router _; do
    if [[ ${to} == 00000000 && ${router} != 00000000 ]]; then
      printf '%d.%d.%d.%d\n' "0x${router:6:2}" "0x${router:4:2}" \
        "0x${router:2:2}" "0x${router:0:2}"
      return
    fi
  done </proc/net/route
}

judge_internal() { # judge_internal NETWORK
  local router problem='' what="$1: a container does not get past the host"
  router=$(default_router)
  if [[ -z ${router} || -z ${ordinary_id} ]] ||
    ! can_ping "${ordinary_id}" "${router}"; then
    report ICC-10 SKIP "${what}" \
      "no router answers a container of an ordinary network either" ''
    return
  fi
  asked="ping -c 1 -W 1 ${router}, in a container of $1 and of ${ordinary}"
  if can_ping "${ids[0]}" "${router}"; then problem="${router} answered"; fi
  judge ICC-10 "${what}" "${problem}" \
    "${router} answered a container of ${ordinary} only" \
    'remove the network and run 30-create-networks.sh again'
}

# What icc false does not do. ARP stands for all frames that are not IP.
judge_limits() { # judge_limits NETWORK
  local said problem='' what="$1: limits: the host reaches each container; raw"
  said=$(in_probe "${ids[0]}" arping -c 1 -w 2 -I eth0 \
    "${addresses_IPv4[1]}" 2>&1 || true)
  said=${said#*$'\n'}
  asked="TCP from the host; arping -c 1 ${addresses_IPv4[1]} in a container"
  ((counts[3] && counts[7])) || problem='the packets of the host were lost'
  judge ICC-11 "${what} frames pass unless NET_RAW is dropped" "${problem}" \
    "one packet of the host to each: $(arrivals counts 3); arping:\
 ${said%%$'\n'*}" 'see which rule of the host drops them: iptables -S OUTPUT'
}

# Reports the packets of IPv4 where no containers could be started.
report_unmeasured() { # report_unmeasured SKIP|FAIL WHERE REASON [REMEDY]
  local at
  for at in "${!protocols[@]}"; do
    report "ICC-$((3 + at))" "$1" \
      "$2IPv4 ${protocols[at]} between containers" "$3" "${4:-}"
  done
}

judge_network() { # judge_network NETWORK ICC INTERNAL CIS_ITEM
  start_pair "$1" || {
    report_unmeasured FAIL "$1: " "no container starts: ${probe_error}" \
      "docker run --network $1 must work"
    return
  }
  judge_family "$1" "$2" IPv4 "$4"
  if [[ -n ${addresses_IPv6[0]} ]]; then judge_family "$1" "$2" IPv6 "$4"; fi
  judge_outside "$1"
  if [[ $3 == true ]]; then judge_internal "$1"; fi
  if [[ $2 == false ]]; then judge_limits "$1"; fi
}

# ---- All networks -----------------------------------------------------------

verify_bridge_filter() {
  local problem
  if ((! isolated)); then return; fi
  problem=$(bridge_filter_problem iptables)
  if ((isolated_ipv6)); then
    problem+=${problem:+; }$(bridge_filter_problem ip6tables)
  fi
  asked='cat /proc/sys/net/bridge/bridge-nf-call-iptables (IPv6: -ip6tables)'
  judge ICC-1 'br_netfilter hands bridged packets to iptables' \
    "${problem%; }" 'it is 1' \
    'modprobe br_netfilter; sysctl net.bridge.bridge-nf-call-iptables=1'
}

verify_options() {
  local differences=''
  find_network "${row_name}"
  asked="docker network inspect ${row_name}"
  if [[ -n ${row_id} ]]; then
    compare_network
  else
    differences='there is no such network'
  fi
  judge ICC-2 "${row_name}: the network has the options of the site" \
    "${differences%$'\n'}" "icc ${row_icc}, internal ${row_internal}" \
    'run 30-create-networks.sh; it says what to do about other options'
}

verify_default_bridge() {
  local cis_item=''
  if lacks_default_bridge; then
    report_unmeasured SKIP 'bridge: ' 'dockerd has no default bridge'
    return
  fi
  if [[ ${icc} == false ]]; then cis_item=2.2; fi
  judge_network bridge "${icc}" false "${cis_item}"
}

verify_networks() {
  local at
  read_wishes
  verify_bridge_filter
  if ! find_probe_image; then
    report_unmeasured SKIP '' "${no_image_reason}"
  else
    measure_ordinary
    verify_default_bridge
  fi
  for ((at = 0; at < ${#networks[@]}; at += network_columns)); do
    read_row "${at}"
    verify_options
    if [[ -n ${row_id} && -z ${no_image_reason} ]]; then
      judge_network "${row_name}" "${row_icc}" "${row_internal}" ''
    fi
  done
}

# Prints the commands; the containers' names stand for what docker will say.
check_isolation() {
  local at
  local -a names=()
  if ! find_probe_image; then
    note "${no_image_reason}"
    exit 0
  fi
  read_wishes
  if ((isolated || internal)); then
    make_ordinary
    names+=("${ids[@]}")
  fi
  if ! lacks_default_bridge; then
    start_pair bridge
    names+=("${ids[@]}")
  fi
  for ((at = 0; at < ${#networks[@]}; at += network_columns)); do
    read_row "${at}"
    start_pair "${row_name}"
    names+=("${ids[@]}")
  done
  run_docker container rm --force --volumes "${names[@]}"
  if [[ -n ${ordinary} ]]; then run_docker network rm "${ordinary}"; fi
  if ((probe_image_made)); then run_docker image rm IMAGE; fi
  run_here rm -rf -- "${probe_folder}"
  exit 0
}

prove_isolation() {
  parse_options "$@"
  ((EUID == 0)) || die 2 'this needs root: run it with sudo'
  # What is in this image gets this machine's own namespaces.
  if [[ -e ${dir}/probe-image.tar ]]; then need_safe "${dir}"; fi
  leaves='the containers that this run started are removed'
  if [[ ${verb} == undo ]]; then undo_probes; fi
  if [[ ${verb} == check ]]; then check_isolation; fi
  if command -v docker >/dev/null && ! is_answering; then
    die 1 "dockerd does not answer on ${docker_socket}; start it: systemctl" \
      'start docker.service'
  fi
  trap remove_probes EXIT
  verify_networks
  finish_report
}
