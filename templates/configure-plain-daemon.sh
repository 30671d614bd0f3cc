#!/usr/bin/env bash
# Opens dockerd on TCP without TLS: everyone who reaches the port is root on
# this machine. Then asks it without a certificate, or puts back what was there.
#
# @{manual}
# Options:    --dir DIR (not used)  --yes  --check
#             --undo [--remove-keys]  --help
# Status:     0 done, 1 failed, 2 wrong use, 3 --check found changes to make

# In POSIX mode no exported function takes the place of `.`.
POSIXLY_CORRECT=1
lib=$(/usr/bin/dirname -- "$0")/@{library}
. "${lib}/begin.sh"

readonly script=@{script}
readonly listen=@{listen}
readonly listen_address=@{listen_address}
readonly listen_port=@{listen_port}
# The address in hexadecimal, in network byte order, as the kernel lists it.
readonly listen_hex=@{listen_hex}
# Where this script itself connects to.
readonly probe_address=@{probe_address}
readonly drop_in=@{drop_in}
readonly userns_remap=@{userns_remap}
readonly icc=@{icc}

# ==== Below this line every site has the same bytes ==========================

. "${lib}/common.sh"
. "${lib}/change.sh"
. "${lib}/daemon.sh"

# D01: the two sockets, and no option of TLS.
flags=()

. "${lib}/flags.sh"
. "${lib}/subordinate_ids.sh"
. "${lib}/userns.sh"
. "${lib}/daemon_conflicts.sh"
. "${lib}/daemon_change.sh"

# ---- Plain TCP --------------------------------------------------------------

readonly accepts=' --dir --yes --check --undo --remove-keys --help '
readonly previous=${drop_in%/*}.previous
readonly -a replaced=("${drop_in}")

# Prints what does not hold, or nothing.
daemon_problem() {
  local answer problem
  problem=$(flags_problem)
  if [[ -n ${problem} ]]; then
    printf '%s\n' "${problem}"
    return
  fi
  answer=$(ask_in_plain_text /_ping)
  [[ ${answer} == 'HTTP/1.1 200 OK'* ]] ||
    printf 'the API did not answer in plain text: %s\n' "${answer:-no answer}"
  userns_problem
}

# ---- The verbs --------------------------------------------------------------

check_conflicts() {
  refuse_keys 'and dockerd refuses both' "${own_keys[@]}"
  refuse_keys 'and the site has mode: plain' \
    tls tlsverify tlscacert tlscert tlskey
  check_machine
  check_previous
}

is_installed() {
  [[ ! -e ${previous} ]] && is_text_of "$(drop_in_text)" "${drop_in}" &&
    is_running_with_flags
}

roll_back() { # roll_back PROBLEM
  put_back "$1"
  remove_made_folders
  give_up "$1"
}

# A host that had TLS before keeps its files: only their own script undoes them.
note_certificates() {
  local text=''
  if is_drop_in_ours; then text=$(cat -- "${drop_in}"); fi
  [[ ${text} == *--tlscert=* ]] || return 0
  text=${text##*--tlscert=}
  text=${text%%[[:space:]]*}
  note \
    "kept: ${text%/*}, which plain TCP does not use; the script that made it" \
    'removes it with --undo'
}

apply() {
  local problem='' left
  read_stock_command
  read_settings
  check_conflicts
  find_made_folders
  if is_installed; then finish; fi
  confirm_restart "${userns_remap}" \
    " Then everyone who reaches ${listen} is root on this machine."
  find_remap_data "${userns_remap}"
  note_certificates
  save_replaced
  install_drop_in
  restart_docker || roll_back 'docker.service did not start'
  if [[ ${verb} != check ]]; then wait_for_daemon; fi
  [[ -z ${problem} ]] || roll_back "${problem}"
  remove_previous
  if [[ ${verb} == check ]]; then finish; fi
  note_remap_data
  note \
    "dockerd answers everyone who reaches ${listen}, in plain text and" \
    'without a certificate: that is root on this machine'
  finish
}

undo() {
  local restart=0 left=''
  find_made_folders
  if is_drop_in_ours; then
    confirm_restart '' ''
    find_remap_data ''
    keep_made_folders
    run rm -f -- "${drop_in}"
    restart=1
  fi
  if ((restart)) || is_running_with_flags; then restart_docker; fi
  remove_made_folders
  remove_previous
  remove_made_folders
  note_remap_data
  finish
}

main() {
  parse_options "$@"
  need_daemon 'run:'
  need_system_folder "${drop_in%/*}"
  if [[ ${verb} == undo ]]; then undo; else apply; fi
}

main "$@"
