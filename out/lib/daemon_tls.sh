# ---- Installing the certificate ---------------------------------------------

readonly purpose=sslserver signer=ca/20-sign-servers.sh
readonly accepts=' --dir --yes --check --undo --remove-keys --confined --help '
readonly previous=${tls_directory}.previous
readonly -a replaced=("${drop_in}" "${tls_directory}")

# Prints the folder that our link leads to, or nothing. The link is compared as
# it stands: /etc/docker may be a link itself.
installed_generation() {
  local target
  target=$(readlink -- "${tls_directory}") || return 0
  if [[ ${target} =~ ^"${tls_directory##*/}"-[0-9a-f]{16}$ ]]; then
    printf '%s/%s\n' "${tls_directory%/*}" "${target}"
  fi
}

# Stops where this script, rendered with another tls_directory, has configured
# dockerd: a key would stay there, and whichever CA comes would be the first.
need_no_other_directory() {
  local other pattern='--tlscacert=([^[:space:]]+)/[^/[:space:]]+'
  if [[ ! -f ${drop_in} || ! $(<"${drop_in}") =~ ${pattern} ]]; then return; fi
  other=${BASH_REMATCH[1]}
  [[ ${other} == "${tls_directory}" ||
    ! $(readlink -- "${other}") =~ ^"${other##*/}"-[0-9a-f]{16}$ ]] ||
    die 2 "dockerd uses ${other}, which an earlier rendering of this script has" \
      'installed: run that one with --undo first, or set tls_directory in the' \
      "site file; ${leaves}"
}

check_tls_directory() {
  need_no_other_directory
  if [[ -n $(installed_generation) ]]; then
    # A killed run may have been about to put a damaged one anew.
    [[ -e ${tls_directory}/${ca_certificate_file} ||
      -e $(installed_generation).new/${ca_certificate_file} ]] ||
      die 2 "${tls_directory}/${ca_certificate_file} is gone, and nothing else" \
        "tells which CA is trusted here: put it back, or run this with --undo" \
        "first; ${leaves}"
    return
  elif [[ ! -e ${tls_directory} && ! -L ${tls_directory} ]]; then
    return
  fi
  die 2 \
    "${tls_directory} is there and not made by this script; move it away," \
    "or set tls_directory in the site file; ${leaves}"
}

# Below a folder with the set-group-ID bit, a new folder has it too.
is_generation_whole() { # is_generation_whole FOLDER
  local modes=$'0:0 444\n0:0 444\n0:0 400'
  local -a files=("$1/${ca_certificate_file}" "$1/${certificate_file}"
    "$1/${key_file}")
  is_same_file "${ca}" "${files[0]}" &&
    is_same_file "${certificate}" "${files[1]}" &&
    is_same_file "${key}" "${files[2]}" &&
    [[ $(stat --format '%u:%g %a' -- "${files[@]}") == "${modes}" ]] &&
    [[ $(stat --format '%u %a' -- "$1") =~ ^0\ 2?700$ ]]
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
    is_as_shown "$1.new" ||
      die 2 \
        "the files of ${folder} were changed while they were installed; find" \
        "out by whom, and run this again; ${leaves}"
  fi
  run sync -- "$1.new/${ca_certificate_file}" "$1.new/${certificate_file}" \
    "$1.new/${key_file}"
  remove "$1"
  run mv -T -- "$1.new" "$1"
}

# Whoever brought the files may have them open still: what was copied must be
# good, what the folder is named after, and of the CAs that were shown.
is_as_shown() { # is_as_shown FOLDER
  local generation certificate=$1/${certificate_file} key=$1/${key_file}
  local ca=$1/${ca_certificate_file}
  judge_pair
  [[ ${generation}.new == "$1" && $(ca_digests_of "${ca}") == "${shown}" ]]
}

holds_pair_alone() { # holds_pair_alone FOLDER
  local entry names=" ${ca_certificate_file} ${certificate_file} ${key_file} "
  while IFS= read -r entry; do
    if [[ ${names} != *" ${entry} "* ]]; then return 1; fi
  done < <(ls -A -- "$1")
}

remove_generations() { # remove_generations KEEP: all folders but KEEP
  local generation
  for generation in "${tls_directory}"-*; do
    if [[ ! -d ${generation} || -L ${generation} ]]; then continue; fi
    if [[ ${generation} == "$1" ]]; then continue; fi
    if [[ ! ${generation} =~ -[0-9a-f]{16}(\.new)?$ ]]; then continue; fi
    if ! holds_pair_alone "${generation}"; then
      note "kept: ${generation}, which holds what this script did not make"
      continue
    fi
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

# ---- Switching TLS on and off -----------------------------------------------

is_pair_installed() {
  [[ ! -e ${previous} && $(installed_generation) == "${generation}" ]] &&
    is_text_of "$(drop_in_text)" "${drop_in}" &&
    is_generation_whole "${generation}" && is_running_as_told &&
    is_certificate_shown
}

# dockerd reads its files at its start alone.
is_certificate_shown() {
  local shown
  shown=$(certificate_shown "${probe_address}" "${listen_port}" \
    "${probe_name}")
  [[ ${shown} == "$(openssl x509 -in "${certificate}")" ]]
}

# Stops unless the pair is good. Sets generation to the folder that it is to be
# installed in, whose name comes from the public files: the same pair has the
# same folder.
choose_generation() {
  choose_pair
  generation=${tls_directory}-DIGEST
  if [[ ${verb} == check ]] && is_renewal_awaited; then
    note 'a renewed certificate is not here yet'
    return
  elif [[ ${verb} == check && ! -e ${certificate} ]]; then
    note "${certificate} is not here yet"
    return
  fi
  judge_pair
}

# The same of the pair as it stands.
judge_pair() {
  local digest problem
  check_certificate
  # Whoever has a CA's key is root here. Its digest is compared by voice.
  problem=$(why_not_trusted "${ca}" "${tls_directory}/${ca_certificate_file}" \
    "${certificate}")
  [[ -z ${problem} ]] ||
    refuse_pair \
      "${ca} is not installed: ${problem}; bring that file from the CA again," \
      "and compare its sha256; ${leaves}"
  digest=$(cat -- "${ca}" "${certificate}" | sha256sum)
  generation=${tls_directory}-${digest:0:16}
}

roll_back_tls() { # roll_back_tls PROBLEM
  put_back "$1"
  remove_generations "$(installed_generation)"
  remove_made_folders
  give_up "$1"
}

# What is not needed any more once the pair is in use.
remove_what_was_before() {
  finish_renewal
  remove_generations "${generation}"
  remove_request
}

# What may not be: found before anything is changed.
look_before_switch() {
  read_stock_command
  need_system_folder "${dockerd%/*}"
  look_for_conflicts
  check_tls_directory
  check_previous
  choose_generation
  find_made_folders
}

# The switch to it is one rename of a link.
use_generation() {
  run ln -sfnT -- "${generation##*/}" "${tls_directory}.new"
  run mv -T -- "${tls_directory}.new" "${tls_directory}"
}

switch_tls_on() {
  local problem='' shown=''
  look_before_switch
  if is_pair_installed; then
    remove_what_was_before
    finish
  fi
  if [[ -f ${ca} ]]; then
    shown=$(ca_digests_of "${ca}")
    show_digests "${shown}"
  fi
  note_kept
  confirm_restart "${userns_remap}" "${warning}"
  save_replaced
  if ! is_generation_whole "${generation}"; then
    install_generation "${generation}"
  fi
  use_generation
  install_drop_in
  restart_docker || roll_back_tls 'docker.service did not start'
  if [[ ${verb} != check ]]; then wait_for_daemon "${proof}"; fi
  [[ -z ${problem} ]] || roll_back_tls "${problem}"
  remove_previous
  remove_what_was_before
  if [[ ${verb} == check ]]; then finish; fi
  note_hidden
  note "${what_holds[@]}"
  finish
}

# True when a text names a file that this script has installed.
names_installed() { # names_installed TEXT
  [[ $1 =~ "${tls_directory}"(-[0-9a-f]{16})?/ ]]
}

# Stops where dockerd is told to use what this script has installed by another
# file than our drop-in: it would not start. A drop-in may not be loaded yet.
check_unused() {
  local file
  while IFS= read -r file; do
    if [[ ! -f ${file} ]] ||
      { [[ ${file} -ef ${drop_in} ]] && is_drop_in_ours; }; then
      continue
    fi
    if names_installed "$(cat -- "${file}")"; then
      die 2 \
        "${file} names files of ${tls_directory}, and dockerd would not start" \
        "without them; take those lines out and run this again; ${leaves}"
    fi
  done < <(
    daemon_property FragmentPath
    files_of_service
    options_file
    printf '%s\n' "${drop_in}" "${drop_in%/*}"/*.conf
  )
}

remove_tls_directory() {
  if [[ -n $(installed_generation) ]]; then
    run rm -f -- "${tls_directory}"
  elif [[ -e ${tls_directory} || -L ${tls_directory} ]]; then
    note "kept: ${tls_directory}, which this script did not make"
  fi
}

switch_tls_off() {
  local restart=0
  check_writer
  check_unused
  find_made_folders
  if is_drop_in_ours; then
    confirm_restart '' ''
    keep_made_folders
    run rm -f -- "${drop_in}"
    restart=1
  fi
  if ((restart)) || is_running_as_told ||
    names_installed "$(running_arguments)"; then
    restart_docker
  fi
  if names_installed "$(running_arguments)"; then
    die 1 "dockerd still runs with files of ${tls_directory}; state: ${leaves}"
  fi
  remove_tls_directory
  remove_generations ''
  remove_unfinished
  remove_made_folders
  remove_previous
  remove_made_folders
  note_hidden
  finish
}

configure_daemon() {
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
  if [[ ${verb} == undo ]]; then switch_tls_off; else switch_tls_on; fi
}
