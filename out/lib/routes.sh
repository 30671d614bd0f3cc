# ---- Routes: what this machine reaches through its interfaces ---------------

# Prints the routes of IPv4 a line each: interface, destination in hexadecimal,
# how many of its bits count, flags. The kernel lists the bytes of a number from
# the last to the first.
ipv4_routes() {
  local interface to flags mask bits
  while read -r interface to _ flags _ _ _ mask _; do
    if [[ ${flags} == Flags ]]; then continue; fi
    mask=$((16#${mask:6:2}${mask:4:2}${mask:2:2}${mask:0:2}))
    bits=0
    while ((bits < 32 && mask >> (31 - bits) & 1)); do bits=$((bits + 1)); done
    printf '%s %s %d %s\n' "${interface}" \
      "${to:6:2}${to:4:2}${to:2:2}${to:0:2}" "${bits}" "${flags}"
  done </proc/net/route
}

# The same of IPv6, where the kernel has it.
ipv6_routes() {
  local interface to bits flags
  if [[ ! -r /proc/net/ipv6_route ]]; then return; fi
  while read -r to bits _ _ _ _ _ _ flags interface; do
    printf '%s %s %d %s\n' "${interface}" "${to}" "$((16#${bits}))" "${flags}"
  done </proc/net/ipv6_route
}

# Prints an address in hexadecimal, as the kernel lists it.
digits_of() { # digits_of ADDRESS
  local text=$1 at
  local -a groups
  if [[ ${text} != *:* ]]; then
    IFS=. read -r -a groups <<<"${text}"
    printf '%02X%02X%02X%02X\n' "${groups[@]}"
    return
  fi
  # The double colon stands for the zeros that are missing.
  while [[ ${text} != *:*:*:*:*:*:*:* ]]; do text=${text/::/::0:}; done
  IFS=: read -r -a groups <<<"${text}"
  for at in {0..7}; do printf '%04x' "0x${groups[at]:-0}"; done
}

# Whether two prefixes have addresses in common: the bits that count in both are
# the same.
is_overlap() { # is_overlap DIGITS BITS DIGITS BITS
  local bits=$(($2 < $4 ? $2 : $4)) whole rest
  whole=$((bits / 4))
  rest=$((4 - bits % 4))
  [[ ${1:0:whole} == "${3:0:whole}" ]] &&
    ((16#0${1:whole:1} >> rest == 16#0${3:whole:1} >> rest))
}

# Prints the interface through which this machine reaches addresses of a subnet
# by a route of their own, or nothing. A default route is none, also in parts
# (0.0.0.0/1, 2000::/3), nor is one that refuses (RTF_REJECT, 0x200).
interface_into() { # interface_into SUBNET
  local interface to bits flags digits routes few=1
  if [[ $1 == *:* ]]; then
    few=3
    routes=$(ipv6_routes)
  else
    routes=$(ipv4_routes)
  fi
  digits=$(digits_of "${1%/*}")
  while read -r interface to bits flags; do
    if [[ -n ${interface} && ${interface} != lo ]] &&
      ((bits > few && ! (16#${flags} & 0x200))) &&
      is_overlap "${to}" "${bits}" "${digits}" "${1#*/}"; then
      printf '%s\n' "${interface}"
      return
    fi
  done <<<"${routes}"
}

# docker looks for a free subnet where it chooses one itself, and takes one that
# it is given: all packets to these addresses would then go to the new bridge.
check_subnet() { # check_subnet SUBNET
  local interface
  interface=$(interface_into "$1")
  [[ -z ${interface} ]] ||
    die 2 \
      "the subnet $1 of ${row_name} holds addresses that this machine reaches" \
      "through ${interface}; choose a subnet that ip route does not list;" \
      "${leaves}"
}

check_subnets() {
  local subnet
  for subnet in "${row_subnet}" "${row_ipv6_subnet}"; do
    if [[ -n ${subnet} ]]; then check_subnet "${subnet}"; fi
  done
}
