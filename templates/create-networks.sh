#!/usr/bin/env bash
# Creates the docker networks of one host. Between two containers of a network
# with icc false no packet passes; 90-verify.sh shows it.
#
# Reads:      the networks that docker has
# Writes:     docker networks, with the label dockseal.script
# Restarts:   nothing
# Needs root: yes, or a member of the group docker
# Undo:       removes the networks that this script made, except those that
#             containers are attached to: it names them, and ends with 1
# Options:    --dir DIR (docker-tls)  --yes  --check
#             --undo [--remove-keys]  --help
# Status:     0 done, 1 failed, 2 wrong use, 3 --check found changes to make
#% include "parts/guard.sh"

readonly script=@{script}
# Each row: name, icc, internal, subnet, IPv6 subnet (an empty subnet is one of
# docker's choice, an empty IPv6 subnet is no IPv6).
readonly -a networks=(
  #% for row in networks
  @{row.name} @{row.icc} @{row.internal} @{row.subnet} @{row.ipv6_subnet}
  #% endfor
)

#% include "parts/common.sh"

#% include "parts/change.sh"

#% include "parts/finish.sh"

#% include "parts/lock.sh"

#% include "parts/networks.sh"

# ---- Before the first change ------------------------------------------------

readonly accepts=' --dir --yes --check --undo --remove-keys --help '
readonly label=dockseal.script=${script}

need_docker() {
  command -v docker >/dev/null ||
    die 2 'docker is not installed; install the package docker.io'
  docker -H unix:///var/run/docker.sock version >/dev/null 2>&1 ||
    die 2 \
      'dockerd does not answer at unix:///var/run/docker.sock; start it' \
      '(systemctl start docker), and run this with sudo'
}

need_bridge_filter() { # need_bridge_filter iptables|ip6tables
  local problem
  problem=$(bridge_filter_problem "$1")
  [[ -z ${problem} ]] ||
    die 2 \
      "${row_name} would not be isolated: ${problem}; run modprobe" \
      "br_netfilter and sysctl net.bridge.bridge-nf-call-$1=1; ${leaves}"
}

# What an isolated network needs from the kernel and from dockerd.
check_filters() {
  [[ ${row_icc} == false ]] || return 0
  need_bridge_filter iptables
  [[ -n ${row_ipv6_subnet} ]] || return 0
  need_bridge_filter ip6tables
  is_ipv6_filtered ||
    die 2 \
      "${row_name} would not be isolated: this dockerd does not filter IPv6;" \
      'set "ip6tables": true and "experimental": true in' \
      "/etc/docker/daemon.json and restart docker; ${leaves}"
}

# All networks, before the first one is made.
check_networks() {
  local at differences=''
  for ((at = 0; at < ${#networks[@]}; at += network_columns)); do
    read_row "${at}"
    check_filters
    find_network "${row_name}"
    if [[ -n ${row_id} ]]; then compare_network; fi
  done
  [[ -z ${differences} ]] ||
    die 2 \
      'networks of these names are there with other options. Correct the site' \
      'file, or remove them (--undo where this script made them, else docker' \
      "network rm NAME), and run this again; ${leaves}:"$'\n'"${differences%?}"
}

# ---- The verbs --------------------------------------------------------------

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

apply() {
  local at made=''
  check_networks
  for ((at = 0; at < ${#networks[@]}; at += network_columns)); do
    read_row "${at}"
    find_network "${row_name}"
    if [[ -n ${row_id} ]]; then continue; fi
    create_network
    made+=" ${row_name}"
    leaves="made in this run:${made}"
  done
  finish
}

# Prints the containers of a network, also those that are stopped.
attached() { # attached ID
  docker -H unix:///var/run/docker.sock ps --all --filter "network=$1" \
    --format '{{.Names}}'
}

undo() {
  local id name containers text kept=''
  text=$(docker -H unix:///var/run/docker.sock network ls --no-trunc \
    --filter "label=${label}" --format '{{.ID}} {{.Name}}')
  while read -r id name; do
    [[ -n ${id} ]] || continue
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

main() {
  parse_options "$@"
  need_docker
  # One run at a time, and none while 20-configure-daemon.sh restarts dockerd.
  if [[ ${verb} != check ]]; then lock /etc/systemd/system; fi
  if [[ ${verb} == undo ]]; then undo; else apply; fi
}

main "$@"
