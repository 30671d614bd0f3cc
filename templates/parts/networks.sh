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
  text=$(docker -H unix:///var/run/docker.sock network ls --no-trunc \
    --format '{{.ID}} {{.Name}}')
  while read -r id name; do
    if [[ ${name} == "$1" ]]; then row_id=${id}; fi
  done < <(printf '%s\n' "${text}")
}

# Prints what docker says of a network: an option and its value a line.
network_facts() { # network_facts ID
  docker -H unix:///var/run/docker.sock network inspect --format \
    'driver {{.Driver}}
internal {{.Internal}}
ipv6 {{.EnableIPv6}}
{{range .IPAM.Config}}subnet {{.Subnet}}
{{with .IPRange}}ip-range {{.}}
{{end}}{{end}}{{range $option, $value := .Options}}{{$option}} {{$value}}
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
    case ${option} in
      subnet)
        if [[ ${value} == *:* ]]; then option=ipv6_subnet; fi
        properties[${option}]+="${properties[${option}]:+ }${value}"
        ;;
      '' | com.docker.network.enable_ipv[46]) ;;
      *) properties[${option}]=${value} ;;
    esac
  done < <(network_facts "${row_id}")
}

# Adds to differences how the network row_id is not as its row says. docker
# chooses a subnet itself where the row has none.
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
  for option in "${!properties[@]}"; do
    case ${option} in
      driver | internal | ipv6 | subnet | ipv6_subnet | "${icc_option}") ;;
      *) expect_option "${option}" "${properties[${option}]}" '' ;;
    esac
  done
}

# ---- What isolation depends on ----------------------------------------------

# Without br_netfilter the packets between two containers never meet iptables,
# and dockerd 20.10 does no more than warn.
bridge_filter_problem() { # bridge_filter_problem iptables|ip6tables
  local file=/proc/sys/net/bridge/bridge-nf-call-$1 setting=missing
  if [[ -r ${file} ]]; then setting=$(<"${file}"); fi
  if [[ ${setting} != 1 ]]; then
    printf '%s is %s, expected 1\n' "${file}" "${setting}"
  fi
}

# Before 27.0, dockerd leaves IPv6 alone unless it is told to filter it.
is_ipv6_filtered() {
  local version pid arguments='' file=/etc/docker/daemon.json
  local pattern='"ip6tables"[[:space:]]*:[[:space:]]*true'
  version=$(docker -H unix:///var/run/docker.sock version \
    --format '{{.Server.Version}}')
  if ((${version%%.*} >= 27)); then return; fi
  pid=$(systemctl show --property MainPID --value docker.service)
  if ((pid)); then arguments=$(tr '\0' ' ' <"/proc/${pid}/cmdline"); fi
  if [[ ${arguments} =~ --config-file[=\ ]([^ ]+) ]]; then
    file=${BASH_REMATCH[1]}
  fi
  [[ ${arguments} =~ --ip6tables(=true)?\  ]] ||
    [[ -r ${file} && $(<"${file}") =~ ${pattern} ]]
}
