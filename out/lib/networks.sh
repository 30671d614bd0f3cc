# ---- The networks of this host ----------------------------------------------

readonly network_columns=5
readonly icc_option=com.docker.network.bridge.enable_icc

# Sets the row_ variables to the row that starts at word FIRST of the table.
read_row() { # read_row FIRST
  row_name=${networks[$1]}
  row_icc=${networks[$1 + 1]}
  row_internal=${networks[$1 + 2]}
  row_subnet=${networks[$1 + 3]}
  row_ipv6_subnet=${networks[$1 + 4]}
}

# Sets row_id, which is empty where there is no such network. docker itself
# would also take the beginning of an id for a name.
find_network() { # find_network NAME
  local id name text
  row_id=''
  text=$(ask_dockerd network ls --no-trunc \
    --format '{{.ID}} {{.Name}}')
  while read -r id name; do
    if [[ ${name} == "$1" ]]; then row_id=${id}; fi
  done < <(printf '%s\n' "${text}")
}

# Prints what docker says of a network: an option and its value a line. As JSON,
# because docker 29 has words of its own for an address that is not there.
network_facts() { # network_facts ID
  docker -H unix:///var/run/docker.sock network inspect --format \
    'driver {{json .Driver}}
internal {{json .Internal}}
ipv6 {{json .EnableIPv6}}
script {{json (index .Labels "dockseal.script")}}
{{range .IPAM.Config}}subnet {{json .Subnet}}
ip-range {{json .IPRange}}
{{end}}{{range $option, $value := .Options}}{{$option}} {{json $value}}
{{end}}' "$1"
}

# Adds a line to differences, unless FOUND is what is EXPECTED.
expect_option() { # expect_option OPTION FOUND EXPECTED
  if [[ $2 != "$3" ]]; then
    differences+="${row_name}: $1: found ${2:-none}, expected ${3:-none}"$'\n'
  fi
}

# Sets properties: what the network row_id has. docker may add whether it does
# IPv4 and IPv6 at all.
read_options() {
  local option value
  properties=(["${icc_option}"]=true [subnet]='' [ipv6_subnet]='')
  while read -r option value; do
    value=${value#\"}
    value=${value%\"}
    case ${option} in
      subnet)
        if [[ ${value} == *:* ]]; then option=ipv6_subnet; fi
        properties[${option}]+="${properties[${option}]:+ }${value}"
        ;;
      ip-range)
        if [[ -n ${value} ]]; then properties[${option}]=${value}; fi
        ;;
      '' | com.docker.network.enable_ipv[46]) ;;
      *) properties[${option}]=${value} ;;
    esac
  done < <(network_facts "${row_id}")
}

# Adds to differences how the network row_id is not as its row says. docker
# chooses a subnet itself where the row has none. What else a network of this
# product has comes from dockerd's default-network-opts.
compare_network() {
  local option subnet ipv6=false
  local -A properties
  read_options
  subnet=${row_subnet:-${properties[subnet]}}
  if [[ -n ${row_ipv6_subnet} ]]; then ipv6=true; fi
  expect_option driver "${properties[driver]:-}" bridge
  expect_option icc "${properties[${icc_option}]}" "${row_icc}"
  expect_option internal "${properties[internal]:-}" "${row_internal}"
  expect_option ipv6 "${properties[ipv6]:-}" "${ipv6}"
  expect_option subnet "${properties[subnet]}" "${subnet}"
  expect_option ipv6_subnet "${properties[ipv6_subnet]}" "${row_ipv6_subnet}"
  if [[ -n ${properties[script]:-} ]]; then return; fi
  for option in "${!properties[@]}"; do
    case ${option} in
      driver | internal | ipv6 | script | subnet | ipv6_subnet) ;;
      "${icc_option}") ;;
      *) expect_option "${option}" "${properties[${option}]}" '' ;;
    esac
  done
}

# ---- What isolation depends on ----------------------------------------------

# Whether dockerd has this version or a newer one.
is_dockerd_from() { # is_dockerd_from MAJOR MINOR PATCH
  local text
  text=$(ask_dockerd version \
    --format '{{.Server.Version}}')
  [[ ${text} =~ ^([0-9]+)\.([0-9]+)\.([0-9]+) ]] &&
    ((BASH_REMATCH[1] * 1000000 + BASH_REMATCH[2] * 1000 + BASH_REMATCH[3] >= \
    $1 * 1000000 + $2 * 1000 + $3))
}

# Without br_netfilter the packets between two containers never meet iptables,
# and dockerd 20.10 does no more than warn. From 27.3.1 on dockerd loads it and
# sets this to 1 when it makes the first isolated network.
bridge_filter_problem() { # bridge_filter_problem iptables|ip6tables
  local file=/proc/sys/net/bridge/bridge-nf-call-$1 setting=missing
  if [[ -r ${file} ]]; then setting=$(<"${file}"); fi
  if [[ ${setting} != 1 ]]; then
    printf '%s is %s, expected 1\n' "${file}" "${setting}"
  fi
}

# Prints why dockerd does not filter the packets of an isolated network, or
# nothing. Before 27.0 it leaves IPv6 alone unless it is told to filter it.
filter_problem() { # filter_problem iptables|ip6tables
  local where
  where=$(where_option_is "$1" false)
  if [[ $1 == ip6tables && -z $(where_option_is ip6tables true) ]] &&
    ! is_dockerd_from 27 0 0; then
    printf '%s %s\n' 'this dockerd does not filter IPv6; set "ip6tables":' \
      "true and \"experimental\": true in $(options_file) and restart docker"
  elif [[ -n ${where} ]]; then
    printf 'dockerd has %s; take it out and restart docker\n' "${where}"
  fi
}
