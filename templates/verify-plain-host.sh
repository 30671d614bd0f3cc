#!/usr/bin/env bash
# Verifies one Docker host without TLS: that everyone who reaches its port is
# root on it, as the site says, and that it is nowhere else to be reached.
#
# @{manual}
# Options:    --dir DIR (not used)  --json
#             --no-containers  --yes  --check
#             --undo [--remove-keys]  --help
# Status:     0 every control holds, 2 wrong use, 4 a control does not hold

# In POSIX mode no exported function takes the place of `.`.
POSIXLY_CORRECT=1
lib=$(/usr/bin/dirname -- "$0")/@{library}
. "${lib}/begin.sh"

readonly script=@{script}
readonly listen=@{listen}
readonly listen_port=@{listen_port}
# The address in hexadecimal, in network byte order, as the kernel lists it.
readonly listen_hex=@{listen_hex}
# Where this script itself connects to.
readonly probe_address=@{probe_address}
readonly drop_in=@{drop_in}
readonly userns_remap=@{userns_remap}
readonly icc=@{icc}
readonly probe_image=@{probe_image}
# Each row: name, icc, internal, subnet, IPv6 subnet (an empty subnet is one of
# docker's choice, an empty IPv6 subnet is no IPv6).
readonly -a networks=(
  #% for row in networks
  @{row.name} @{row.icc} @{row.internal} @{row.subnet} @{row.ipv6_subnet}
  #% endfor
)

# ==== Below this line every site has the same bytes ==========================

. "${lib}/common.sh"
. "${lib}/daemon.sh"

# D01: the two sockets, and no option of TLS.
flags=()

. "${lib}/flags.sh"
. "${lib}/subordinate_ids.sh"
. "${lib}/change.sh"
. "${lib}/report.sh"
. "${lib}/judge.sh"
. "${lib}/judge_daemon.sh"
. "${lib}/probe.sh"
. "${lib}/networks.sh"
. "${lib}/isolation.sh"
. "${lib}/namespaces.sh"

# ---- Who is answered --------------------------------------------------------

accepts=' --dir --json --no-containers --yes --check --undo '
accepts+='--remove-keys --help '
readonly accepts

# No certificate, no key, no name: whoever can do this can do what root can.
verify_everyone() {
  local answer problem=''
  asked="GET /version in plain text to ${probe_address}:${listen_port}"
  answer=$(ask_in_plain_text /version)
  [[ ${answer} == 'HTTP/1.1 200 OK'*'"ApiVersion"'* ]] ||
    problem="expected the API's version, got: ${answer:-no answer}"
  judge HMODE-1 \
    "everyone who reaches ${listen} is root here: no certificate is asked for" \
    "${problem}" "${answer%%$'\r'*}; ${answer##*$'\n'}" \
    'read journalctl --unit docker.service; run 20-configure-daemon.sh'
}

verify_places() {
  local place problem evidence=''
  problem=$(listener_problem)
  while read -r place; do
    evidence+="$(place_text "${place}") "
  done < <(places_of_dockerd)
  asked='cat /proc/net/{tcp,tcp6,unix}; ls -l /proc/MAINPID/fd'
  judge HMODE-2 "dockerd listens on ${listen} and its own socket alone" \
    "${problem%; }" "${evidence% }" "${remove_listener}"
}

main() {
  parse_options "$@"
  ((EUID == 0)) || die 2 'this needs root: run it with sudo'
  if [[ ${verb} == undo ]]; then exit 0; fi
  if [[ ! -e ${drop_in} ]]; then
    [[ ${verb} != check ]] || exit 0
    die 2 "${drop_in} is not there: run 20-configure-daemon.sh first"
  fi
  if [[ ${verb} == check ]]; then exit 0; fi
  trap remove_probes EXIT
  verify_daemon_files
  verify_flags
  verify_remap
  verify_ranges
  verify_everyone
  verify_places
  verify_networks
  verify_namespaces
  finish_report
}

main "$@"
