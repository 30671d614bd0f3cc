#!/usr/bin/env bash
# Verifies one Docker host without TLS: that everyone who reaches its port is
# root on it, as the site says, and that it is nowhere else to be reached.
#
# @{manual}
# Options:    --dir DIR (not used)  --json  --yes  --check
#             --undo [--remove-keys]  --help
# Status:     0 every control holds, 2 wrong use, 4 a control does not hold

POSIXLY_CORRECT=1 # why: begin.sh
case $0 in "${BASH_SOURCE-}") lib=$0 ;; *) lib= ;; esac
lib=$(/usr/bin/realpath -e -- "${lib:?run: bash FILE}") || exit 2
. "${lib%/*/*/*}/lib/begin.sh"

readonly script=@{script}
readonly listen=@{listen}
readonly listen_port=@{listen_port}
# The address in hexadecimal, in network byte order, as the kernel lists it.
readonly listen_hex=@{listen_hex}
# Where this script itself connects to.
readonly probe_address=@{probe_address}
readonly drop_in=@{drop_in}
readonly userns_remap=@{userns_remap}
# D01, D22: what dockerd has from 20-configure-daemon.sh, in this order.
readonly -a dockerd_words=(
  #% for words in dockerd_words
  @{words}
  #% endfor
)

# ==== Below this line every site has the same bytes ====

. "${lib}/common.sh"
. "${lib}/change.sh"
. "${lib}/daemon.sh"
. "${lib}/confine.sh"
. "${lib}/confine_verification.sh"

# What follows this runs in the sandbox of confine.sh alone.
if ! is_confined; then
  begin_verification "$@"
  ask_first
  run_confined
  exit 0
fi

. "${lib}/listeners.sh"
. "${lib}/plain_request.sh"
. "${lib}/accounts.sh"
. "${lib}/subordinate_ids.sh"
. "${lib}/report.sh"
. "${lib}/judge.sh"
. "${lib}/judge_daemon.sh"
. "${lib}/judge_words.sh"

# ---- Who is answered --------------------------------------------------------

# No certificate, no key, no name: whoever can do this can do what root can.
verify_plain_answer() {
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
  [[ -e ${drop_in} ]] ||
    die 2 "${drop_in} is not there: run 20-configure-daemon.sh first"
  verify_daemon_files
  verify_flags
  verify_remap
  verify_ranges
  verify_plain_answer
  verify_places
  finish_report "${came_to_its_end}"
}

main "$@"
