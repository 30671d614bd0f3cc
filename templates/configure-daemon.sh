#!/usr/bin/env bash
# Configures dockerd for TLS. Mode mutual: only clients with a certificate of
# the site's CA are answered. Mode server-only: the server shows a certificate,
# everyone is answered. Then proves it, or puts back what was there.
#
# @{manual}
# Options:    --dir DIR (~/docker-tls)  --yes  --check
#             --undo [--remove-keys]  --help
# Status:     0 done, 1 failed, 2 wrong use, 3 --check: changes, 5 waits

# In POSIX mode no exported function takes the place of `.`.
POSIXLY_CORRECT=1
lib=$(/usr/bin/dirname -- "$0")/@{library}
. "${lib}/begin.sh"

readonly script=@{script}
# mutual: TLS on both sides; server-only: without client certificates.
readonly daemon_mode=@{daemon_mode}
readonly alternative_names=@{alternative_names}
readonly listen=@{listen}
readonly listen_address=@{listen_address}
readonly listen_port=@{listen_port}
# The address in hexadecimal, in network byte order, as the kernel lists it.
readonly listen_hex=@{listen_hex}
# Where this script itself connects to, and the name that it expects there.
readonly probe_address=@{probe_address}
readonly probe_name=@{probe_name}
readonly tls_directory=@{tls_directory}
readonly drop_in=@{drop_in}
readonly key_file=@{key_file}
readonly certificate_file=@{certificate_file}
readonly ca_certificate_file=@{ca_certificate_file}
readonly request_file=@{request_file}
readonly extensions_file=@{extensions_file}
readonly -a client_folders=(
  #% for folder in client_folders
  @{folder}
  #% endfor
)
readonly client_key_file=@{client_key_file}
readonly client_certificate_file=@{client_certificate_file}
readonly userns_remap=@{userns_remap}
readonly icc=@{icc}

# ==== Below this line every site has the same bytes ==========================

. "${lib}/common.sh"
. "${lib}/change.sh"
. "${lib}/certificates.sh"
. "${lib}/renewal.sh"
. "${lib}/handshake.sh"
. "${lib}/explain.sh"
. "${lib}/daemon.sh"
. "${lib}/tls_flags.sh"
. "${lib}/flags.sh"
. "${lib}/subordinate_ids.sh"
. "${lib}/userns.sh"
. "${lib}/daemon_conflicts.sh"
. "${lib}/daemon_change.sh"

# ---- Installing the certificate ---------------------------------------------

readonly purpose=sslserver signer=ca/20-sign-servers.sh
readonly accepts=' --dir --yes --check --undo --remove-keys --help '
readonly previous=${tls_directory}.previous
readonly -a replaced=("${drop_in}" "${tls_directory}")

# The link is compared as it stands: /etc/docker may be a link itself.
is_link_ours() {
  local target
  target=$(readlink -- "${tls_directory}") &&
    [[ ${target} =~ ^"${tls_directory##*/}"-[0-9a-f]{16}$ ]]
}

# Prints the folder that the link leads to, or nothing.
installed_generation() {
  if is_link_ours; then
    printf '%s/%s\n' "${tls_directory%/*}" "$(readlink -- "${tls_directory}")"
  fi
}

check_tls_directory() {
  if [[ ! -e ${tls_directory} && ! -L ${tls_directory} ]] || is_link_ours; then
    return
  fi
  die 2 \
    "${tls_directory} is there and not made by this script; move it away," \
    "or set tls_directory in the site file; ${leaves}"
}

# A pair gets a folder of its own; the switch to it is one rename of a link.
# Its name comes from the public files: the same pair has the same folder.
generation_of() {
  local digest
  digest=$(cat -- "${ca}" "${certificate}" | sha256sum)
  printf '%s\n' "${tls_directory}-${digest:0:16}"
}

is_generation_whole() { # is_generation_whole FOLDER
  is_same_file "${ca}" "$1/${ca_certificate_file}" &&
    is_same_file "${certificate}" "$1/${certificate_file}" &&
    is_same_file "${key}" "$1/${key_file}" &&
    [[ $(stat --format '%a %u' -- "$1/${key_file}") == '400 0' ]]
}

# Modes after the CIS Docker Benchmark: certificates 0444, the key 0400.
install_generation() { # install_generation FOLDER
  remove "$1.new"
  run mkdir -m 0700 -- "$1.new"
  # D15: what the daemon gets, with owners and modes.
  run install -o root -g root -m 0444 -T -- "${ca}" \
    "$1.new/${ca_certificate_file}"
  run install -o root -g root -m 0444 -T -- "${certificate}" \
    "$1.new/${certificate_file}"
  run install -o root -g root -m 0400 -T -- "${key}" "$1.new/${key_file}"
  if [[ ${verb} != check ]]; then
    is_generation_whole "$1.new" ||
      die 1 "$1.new did not read back; is the disk full? ${leaves}"
  fi
  run sync -- "$1.new/${ca_certificate_file}" "$1.new/${certificate_file}" \
    "$1.new/${key_file}"
  remove "$1"
  run mv -T -- "$1.new" "$1"
}

point_link_at() { # point_link_at FOLDER
  run ln -sfnT -- "${1##*/}" "${tls_directory}.new"
  run mv -T -- "${tls_directory}.new" "${tls_directory}"
}

remove_generations() { # remove_generations KEEP: all folders but KEEP
  local generation
  for generation in "${tls_directory}"-*; do
    [[ -d ${generation} && ! -L ${generation} ]] || continue
    [[ ${generation} != "$1" ]] || continue
    [[ ${generation} =~ -[0-9a-f]{16}(\.new)?$ ]] || continue
    if [[ -e ${generation}/${key_file} ]] && ((! remove_keys)) &&
      ! is_same_file "${key}" "${generation}/${key_file}" &&
      ! is_same_file "${folder}/previous/${key_file}" \
        "${generation}/${key_file}"; then
      note "kept: ${generation}, which has another key than ${key}"
      continue
    fi
    remove "${generation}"
  done
}

# ---- Proof ------------------------------------------------------------------

# Prints what does not hold, or nothing.
daemon_problem() {
  local problem
  problem=$(flags_problem)
  if [[ -n ${problem} ]]; then
    printf '%s\n' "${problem}"
    return
  fi
  case ${daemon_mode} in
    mutual) mutual_problem ;;
    *) server_only_problem ;;
  esac
  userns_problem
}

ask() { # ask S_CLIENT_OPTION...: after mark_log
  ask_daemon "${probe_address}" "${listen_port}" "${probe_name}" "${ca}" \
    "${from_own_port[@]}" "$@"
}

# A client that has ended says nothing of the daemon.
find_good_client() {
  local client
  client=$(find_client)
  if [[ -n ${client} ]] && is_good_client "${client}"; then
    printf '%s\n' "${client}"
  fi
}

mutual_problem() {
  local client answer
  client=$(find_good_client)
  if [[ -n ${client} ]]; then
    mark_log
    answer=$(ask -cert "${client}/${client_certificate_file}" \
      -key "${client}/${client_key_file}")
    is_answer "${answer}" || {
      printf 'a client with a certificate got no answer: %s\n' \
        "$(why_no_answer "${answer}")"
      return
    }
  fi
  mark_log
  answer=$(ask)
  if is_answer "${answer}"; then
    printf 'a client without a certificate was not refused: it got an answer\n'
  elif ! is_refusal "${answer}" "${client}"; then
    printf 'a client without a certificate was not refused: %s\n' \
      "$(why_no_answer "${answer}")"
  fi
}

# True for what dockerd answers without a certificate. Over TLS 1.2 one of Go
# 1.26 calls that a handshake failure, which other faults are called too: then a
# client with a certificate was answered, or the daemon's log says it.
is_refusal() { # is_refusal ANSWER CLIENT
  if [[ $1 =~ alert\ (bad\ certificate|certificate\ required) ]]; then
    return
  fi
  [[ $1 == *'alert handshake failure'* && (-n $2 || -n ${cursor}) ]] &&
    is_missing_certificate_logged
}

server_only_problem() {
  local answer
  mark_log
  answer=$(ask)
  is_answer "${answer}" || {
    printf 'a client that trusts this CA got no answer: %s\n' \
      "$(why_no_answer "${answer}")"
    return
  }
  answer=$(ask_in_plain_text /_ping)
  [[ ${answer} == *'HTTP request to an HTTPS server'* ]] ||
    printf 'plain HTTP was not refused: %s\n' "${answer:-no answer}"
}

# ---- The verbs --------------------------------------------------------------

# What the operator must know of the state that this leads to.
warning() {
  [[ ${daemon_mode} != server-only ]] ||
    printf ' Then everyone who reaches %s is root on this machine.' "${listen}"
}

check_conflicts() {
  refuse_keys 'and dockerd refuses both' \
    tls tlsverify tlscacert tlscert tlskey "${own_keys[@]}"
  check_machine
  check_tls_directory
  check_previous
}

is_installed() {
  [[ ! -e ${previous} && -L ${tls_directory} &&
    $(installed_generation) == "${generation}" ]] &&
    is_text_of "$(drop_in_text)" "${drop_in}" &&
    is_generation_whole "${generation}" && is_running_with_flags
}

# Whoever has a CA's key is root here. Its digest is compared by voice.
check_authorities() {
  local problem
  problem=$(why_not_trusted "${ca}" "${tls_directory}/${ca_certificate_file}" \
    "${certificate}")
  [[ -z ${problem} ]] ||
    die 2 \
      "${ca} is not installed: ${problem}; bring that file from the CA again," \
      "and compare its sha256; ${leaves}"
}

# Sets generation to the folder of the pair that is to be installed.
choose_generation() {
  choose_pair
  if [[ ${verb} == check ]] && is_renewal_awaited; then
    note 'a renewed certificate is not here yet'
    generation=${tls_directory}-DIGEST
  elif [[ ${verb} == check && ! -e ${certificate} ]]; then
    note "${certificate} is not here yet"
    generation=${tls_directory}-DIGEST
  else
    check_certificate
    check_authorities
    generation=$(generation_of)
  fi
}

roll_back() { # roll_back PROBLEM
  put_back "$1"
  remove_generations "$(installed_generation)"
  remove_made_folders
  give_up "$1"
}

apply() {
  local problem='' left
  read_stock_command
  read_settings
  check_conflicts
  choose_generation
  find_made_folders
  if is_installed; then
    finish_renewal
    remove_generations "${generation}"
    remove_request
    finish
  fi
  show_authorities "${ca}"
  confirm_restart "${userns_remap}" "$(warning)"
  find_remap_data "${userns_remap}"
  save_replaced
  if ! is_generation_whole "${generation}"; then
    install_generation "${generation}"
  fi
  point_link_at "${generation}"
  install_drop_in
  restart_docker || roll_back 'docker.service did not start'
  if [[ ${verb} != check ]]; then wait_for_daemon; fi
  [[ -z ${problem} ]] || roll_back "${problem}"
  remove_previous
  finish_renewal
  remove_generations "${generation}"
  remove_request
  if [[ ${verb} == check ]]; then finish; fi
  note_remap_data
  note_what_holds
  finish
}

note_what_holds() {
  if [[ ${daemon_mode} == server-only ]]; then
    note \
      "dockerd shows a certificate of this CA and asks for none: everyone who" \
      "reaches ${listen} is root on this machine"
    return
  fi
  note \
    'dockerd answers clients of this CA, and refuses a client without a' \
    'certificate'
  [[ -n $(find_good_client) ]] ||
    note \
      "no client's valid files are here: clients/NAME/90-verify.sh shows that" \
      'a client gets an answer'
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
  if is_link_ours; then
    run rm -f -- "${tls_directory}"
  elif [[ -e ${tls_directory} || -L ${tls_directory} ]]; then
    note "kept: ${tls_directory}, which this script did not make"
  fi
  remove_generations ''
  remove_made_folders
  remove_previous
  remove_made_folders
  note_remap_data
  finish
}

main() {
  parse_options "$@"
  folder=${dir}/${script%/*}
  key=${folder}/${key_file}
  certificate=${folder}/${certificate_file}
  ca=${folder}/${ca_certificate_file}
  need_openssl
  need_daemon \
    "install the files of ${folder} in ${tls_directory} and run:"
  need_safe_folders
  need_system_folder "${tls_directory%/*}"
  need_system_folder "${drop_in%/*}"
  if [[ ${verb} == undo ]]; then undo; else apply; fi
}

main "$@"
