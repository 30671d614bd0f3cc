# ---- Before the first change ------------------------------------------------

readonly accepts=' --dir --yes --check --undo --remove-keys --help '
readonly label=dockseal.script=${script}

# Where dockerd does not answer, 20-configure-daemon.sh may bring it back: its
# run and its --undo are not stopped by what cannot be seen here.
need_docker() {
  local silent='dockerd does not answer at unix:///var/run/docker.sock'
  local first=${script%/*}/20-configure-daemon.sh
  command -v docker >/dev/null ||
    die 2 'docker is not installed; install docker.io (Debian) or docker-ce-cli'
  if ask_dockerd version >/dev/null 2>&1; then
    return
  fi
  case ${verb} in
    check)
      note "${silent}: what is to be made is shown once it does"
      exit 3
      ;;
    undo)
      note "${silent}; the networks of this script may be left:" \
        "$(names_of_networks); once dockerd answers, --undo of this script" \
        'removes them'
      exit 0
      ;;
    *)
      die 2 "${silent}; start it: systemctl start docker; if it does not" \
        "start, run ${first} first; ${leaves}"
      ;;
  esac
}

names_of_networks() {
  local at text=''
  for ((at = 0; at < ${#networks[@]}; at += network_columns)); do
    text+=", ${networks[at]}"
  done
  printf '%s\n' "${text#, }"
}

# Stops where dockerd is told not to filter what this network isolates.
need_filter() { # need_filter iptables|ip6tables
  local problem
  problem=$(filter_problem "$1")
  [[ -z ${problem} ]] ||
    die 2 "${row_name} would not be isolated: ${problem}; ${leaves}"
}

# A new network's bridge is looked at again when it is there: dockerd may load
# br_netfilter itself.
need_bridge_filter() { # need_bridge_filter iptables|ip6tables
  local problem
  if [[ -z ${row_id} ]] && is_dockerd_from 27 3 1; then return; fi
  problem=$(bridge_filter_problem "$1")
  [[ -z ${problem} ]] ||
    die 2 \
      "${row_name} would not be isolated: ${problem}; run modprobe" \
      "br_netfilter and sysctl net.bridge.bridge-nf-call-$1=1; ${leaves}"
}

# What an isolated network needs from the kernel and from dockerd.
check_filters() {
  local filter
  local -a filters=(iptables)
  if [[ ${row_icc} == true ]]; then return; fi
  if [[ -n ${row_ipv6_subnet} ]]; then filters+=(ip6tables); fi
  for filter in "${filters[@]}"; do
    need_filter "${filter}"
    need_bridge_filter "${filter}"
  done
}

# All networks, before the first one is made.
check_networks() {
  local at differences=''
  for ((at = 0; at < ${#networks[@]}; at += network_columns)); do
    read_row "${at}"
    find_network "${row_name}"
    check_filters
    if [[ -n ${row_id} ]]; then
      compare_network
    elif [[ -n ${row_subnet}${row_ipv6_subnet} ]]; then
      check_subnets
    fi
  done
  [[ -z ${differences} ]] ||
    die 2 \
      'networks of these names are there with other options. Correct the site' \
      'file, or remove them (--undo where this script made them, else docker' \
      "network rm NAME), and run this again; ${leaves}:"$'\n'"${differences%?}"
}

# ---- Creating and removing --------------------------------------------------

create_network() {
  local -a more=()
  if [[ ${row_internal} == true ]]; then more+=(--internal); fi
  if [[ -n ${row_subnet} ]]; then more+=(--subnet "${row_subnet}"); fi
  if [[ -n ${row_ipv6_subnet} ]]; then
    more+=(--ipv6 --subnet "${row_ipv6_subnet}")
  fi
  # D27: docker network create --driver bridge -o
  # "com.docker.network.bridge.enable_icc"="false" <network-name>
  run docker -H unix:///var/run/docker.sock network create --driver bridge \
    -o "com.docker.network.bridge.enable_icc"="${row_icc}" \
    --label "${label}" "${more[@]}" "${row_name}" ||
    die 1 \
      "docker refuses the network ${row_name}, for the reason above; state:" \
      "${leaves}; correct the site file and run this again"
}

# dockerd goes on where it could not load br_netfilter, if it is told to.
judge_created() {
  local problem=''
  if [[ ${row_icc} == true || ${verb} == check ]]; then return; fi
  problem=$(bridge_filter_problem iptables)
  if [[ -n ${row_ipv6_subnet} ]]; then
    problem+=${problem:+; }$(bridge_filter_problem ip6tables)
  fi
  if [[ -z ${problem} ]]; then return; fi
  run docker -H unix:///var/run/docker.sock network rm "${row_name}"
  die 1 \
    "${row_name} was not isolated: ${problem%; }; it is removed again; state:" \
    "${leaves}; run modprobe br_netfilter, then run this again"
}

apply_networks() {
  local at made=''
  check_networks
  leaves='made in this run: nothing'
  for ((at = 0; at < ${#networks[@]}; at += network_columns)); do
    read_row "${at}"
    find_network "${row_name}"
    if [[ -n ${row_id} ]]; then continue; fi
    create_network
    judge_created
    made+=" ${row_name}"
    leaves="made in this run:${made}"
  done
  finish
}

# Prints the containers of a network, also those that are stopped.
attached() { # attached ID
  ask_dockerd ps --all --filter "network=$1" \
    --format '{{.Names}}'
}

undo_networks() {
  local id name containers text kept=''
  text=$(ask_dockerd network ls --no-trunc \
    --filter "label=${label}" --format '{{.ID}} {{.Name}}')
  while read -r id name; do
    if [[ -z ${id} ]]; then continue; fi
    containers=$(attached "${id}")
    if [[ -n ${containers} ]]; then
      kept+="${name} (attached: ${containers//$'\n'/, }) "
      continue
    fi
    run docker -H unix:///var/run/docker.sock network rm "${name}"
    leaves='some networks are removed; run this again to finish'
  done < <(printf '%s\n' "${text}")
  [[ -z ${kept} ]] ||
    die 1 \
      "kept: ${kept% }; disconnect or remove these containers and run this" \
      'again'
  finish
}

create_networks() {
  parse_options "$@"
  ((EUID == 0)) || die 2 'this needs root: run it with sudo'
  need_docker
  # One run at a time, and none while 20-configure-daemon.sh restarts dockerd.
  if [[ ${verb} != check ]]; then lock /run/dockseal.lock; fi
  if [[ ${verb} == undo ]]; then undo_networks; else apply_networks; fi
}
