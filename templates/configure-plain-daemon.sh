#!/usr/bin/env bash
# Opens dockerd on TCP without TLS: everyone who reaches the port is root on
# this machine. Then asks it without a certificate, or puts back what was there.
#
# @{manual}
# Options:    --dir DIR (not used)  --yes  --check
#             --undo [--remove-keys]  --help
# Status:     0 done, 1 failed, 2 wrong use, 3 --check found changes to make

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
# D01, D22: what dockerd gets from this script, word by word and in this order.
readonly -a dockerd_words=(
  #% for words in dockerd_words
  @{words}
  #% endfor
)
#% if userns_remap
. "${lib}/userns_on.sh"
. "${lib}/accounts.sh"
. "${lib}/subordinate_ids.sh"
. "${lib}/remap_ids.sh"
#% endif

# ==== Below this line every site has the same bytes ====

. "${lib}/common.sh"
. "${lib}/change.sh"
. "${lib}/daemon.sh"
. "${lib}/plain_request.sh"
. "${lib}/userns.sh"
. "${lib}/daemon_unit.sh"
. "${lib}/daemon_change.sh"
. "${lib}/confine.sh"

# ---- Plain TCP --------------------------------------------------------------

readonly accepts=' --dir --yes --check --undo --remove-keys --confined --help '
readonly previous=${drop_in%/*}.previous
readonly -a replaced=("${drop_in}")

# Prints what does not hold, or nothing.
plain_problem() {
  local answer
  answer=$(ask_in_plain_text /_ping)
  [[ ${answer} == 'HTTP/1.1 200 OK'* ]] ||
    printf 'the API did not answer in plain text: %s\n' "${answer:-no answer}"
}

# ---- The verbs --------------------------------------------------------------

is_plain_installed() {
  [[ ! -e ${previous} ]] && is_text_of "$(drop_in_text)" "${drop_in}" &&
    is_running_as_told
}

roll_back_plain() { # roll_back_plain PROBLEM
  put_back "$1"
  remove_made_folders
  give_up "$1"
}

# A host that had TLS before keeps its files: only their own script undoes them.
note_certificates() {
  local text=''
  if is_drop_in_ours; then text=$(cat -- "${drop_in}"); fi
  if [[ ${text} != *--tlscert=* ]]; then return; fi
  text=${text##*--tlscert=}
  text=${text%%[[:space:]]*}
  note \
    "kept: ${text%/*}, which plain TCP does not use; the script that made it" \
    'removes it with --undo'
}

apply() {
  local problem=''
  read_stock_command
  need_system_folder "${dockerd%/*}"
  look_for_conflicts
  check_previous
  find_made_folders
  if is_plain_installed; then finish; fi
  note_kept
  confirm_restart "${userns_remap}" \
    " Then everyone who reaches ${listen} is root on this machine."
  note_certificates
  save_replaced
  install_drop_in
  restart_docker || roll_back_plain 'docker.service did not start'
  if [[ ${verb} != check ]]; then wait_for_daemon plain_problem; fi
  [[ -z ${problem} ]] || roll_back_plain "${problem}"
  remove_previous
  if [[ ${verb} == check ]]; then finish; fi
  note_hidden
  note \
    "dockerd answers everyone who reaches ${listen}, in plain text and" \
    'without a certificate: that is root on this machine'
  finish
}

undo() {
  local restart=0
  check_writer
  find_made_folders
  if is_drop_in_ours; then
    confirm_restart '' ''
    keep_made_folders
    run rm -f -- "${drop_in}"
    restart=1
  fi
  if ((restart)) || is_running_as_told; then restart_docker; fi
  remove_unfinished
  remove_made_folders
  remove_previous
  remove_made_folders
  note_hidden
  finish
}

main() {
  parse_options "$@"
  need_daemon 'run:'
  need_system_folder "${drop_in%/*}"
  if [[ ${verb} == undo ]]; then undo; else apply; fi
}

# What would make dockerd refuse is looked for in the sandbox of confine.sh.
if is_confined; then
  . "${lib}/listeners.sh"
  . "${lib}/daemon_conflicts.sh"
  check_plain_conflicts "$@"
fi

main "$@"
