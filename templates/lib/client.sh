# ---- Before the first change ------------------------------------------------

# Stops where this user could not write, or where others could.
check_home() {
  local owner
  [[ -d ${HOME} ]] ||
    die 2 "HOME is ${HOME}, and there is no such folder; ${leaves}"
  if [[ -e ${docker_config}.new || -L ${docker_config}.new ]]; then
    is_leftover "${docker_config}.new" ||
      die 2 "${docker_config}.new is somebody's; move it away; ${leaves}"
  fi
  if [[ ! -e ${docker_config} && ! -L ${docker_config} ]]; then
    need_safe "${HOME}"
    return
  fi
  [[ -d ${docker_config} ]] ||
    die 2 "${docker_config} is no folder; move it away; ${leaves}"
  owner=$(stat --dereference --format '%U' -- "${docker_config}")
  [[ -O ${docker_config} ]] ||
    die 2 \
      "${docker_config} belongs to ${owner}, and $(id -un) runs this; run as" \
      "${owner}: chown -R $(id -un) ${docker_config}; ${leaves}"
  need_safe "${docker_config}"
}

# Whoever has the key of a CA that docker trusts can be each of its hosts.
judge_files() {
  local problem now=${trusted}
  check_certificate
  # A killed run may have installed the CA, and not kept its copy. What was
  # there before has no say.
  if [[ ! -e ${now} && -f ${previous}/digests && -f ${docker_config}/ca.pem ]] &&
    is_our_file "${docker_config}/ca.pem" &&
    ! is_same_file "${docker_config}/ca.pem" "${previous}/ca.pem"; then
    now=${docker_config}/ca.pem
  fi
  problem=$(why_not_trusted "${ca}" "${now}" "${certificate}")
  [[ -z ${problem} ]] ||
    refuse_pair \
      "${ca} is refused: ${problem}. Bring it from the CA again, and compare" \
      "its sha256 with the one that the CA shows; ${leaves}"
}

# docker reads one certificate in ~/.docker: a user is one client.
refuse_second_client() { # refuse_second_client SCRIPT_OF_THE_FIRST
  die 2 \
    "$(id -un) is ${1%/*} already, and docker reads one certificate in" \
    "${docker_config}. Let the user who will be ${script%/*} run setup.sh" \
    "--as ${script%/*}, here or on another machine, and run yours with --as" \
    "${1%/*} (and --as for what else this machine is); or take the first" \
    "one away: bash $1 --undo; ${leaves}"
}

# Stops where ~/.docker is not as this script left it.
check_owner() {
  local other file
  other=$(configured_by)
  if [[ -n ${other} && ${other} != "${script}" ]]; then
    if [[ ${verb} == undo ]]; then
      note "${docker_config} is that of ${other%/*}: bash ${other} --undo, of the" \
        'folder that configured it, puts it back'
      finish
    fi
    refuse_second_client "${other}"
  fi
  for file in "${installed[@]/#/"${docker_config}/"}"; do
    if [[ ! -e ${file} ]]; then continue; fi
    [[ -f ${file} && -r ${file} ]] ||
      die 2 "${file} is not a file that can be read; move it away; ${leaves}"
    if [[ ! -d ${previous} ]] || is_our_file "${file}"; then continue; fi
    die 2 \
      "${file} is not what this script installed: somebody has changed it." \
      "Move it away and run this again; ${leaves}"
  done
}

check_contexts() {
  local row name meta
  for ((row = 0; row < ${#contexts[@]}; row += 2)); do
    name=${contexts[row]}
    meta=$(meta_of "${name}")
    if [[ -z ${meta} ]] || is_our_context "${name}"; then continue; fi
    if [[ ${meta} =~ \"Description\":\"dockseal\ (clients/[^\"]+)\" ]]; then
      refuse_second_client "${BASH_REMATCH[1]}"
    fi
    die 2 \
      "there is a docker context ${name} that this script did not make. Give" \
      "it another name: docker context export ${name} - | docker context" \
      "import OTHER-NAME -; docker context rm ${name}; ${leaves}"
  done
}

# ---- Configuring and putting back -------------------------------------------

# docker context rm leaves empty folders behind. ~/.docker goes as a whole, as
# it came: a killed run leaves none of which nobody knows whose it is.
remove_folders() {
  local name folder mode found
  if [[ ! -d ${previous} ]]; then return; fi
  mode=$(mode_before .)
  for name in contexts/meta contexts/tls contexts; do
    folder=${docker_config}/${name}
    if [[ ! -d ${folder} || -n $(mode_before "${name}") ]]; then continue; fi
    found=$(ls -A -- "${folder}")
    if [[ -z ${found} ]]; then run rmdir -- "${folder}"; fi
  done
  found=$(ls -A -- "${docker_config}")
  if [[ -z ${mode} && ${found} == "${previous##*/}" ]]; then
    run mv -T -- "${docker_config}" "${docker_config}.new"
    run rm -rf -- "${docker_config}.new"
    return
  fi
  found=$(stat --dereference --format '%a' -- "${docker_config}")
  if [[ -n ${mode} && ${mode} != "${found}" ]]; then
    run chmod "${mode}" -- "${docker_config}"
  fi
  run rm -rf -- "${previous}"
}

undo_client() {
  check_owner
  if [[ -e ${previous}/key.pem ]] && ((! remove_keys)); then
    need_key_elsewhere
  fi
  leaves='a part of it is undone; run this again to finish'
  remove_leftovers
  remove_known_files
  remove_contexts
  if [[ -n ${shell_profile} ]]; then clean_profile; fi
  restore_files
  remove_folders
  finish
}

# The files of this client, in DIR and in ~/.docker.
name_files() {
  folder=${dir}/${script%/*}
  key=${folder}/${key_file}
  certificate=${folder}/${certificate_file}
  ca=${folder}/${ca_certificate_file}
  docker_config=${HOME}/.docker
  previous=${docker_config}/before-dockseal
  trusted=${previous}/trusted.pem
  # The file itself, where the profile is a symbolic link.
  profile=$(realpath --canonicalize-missing -- "${HOME}/${shell_profile}")
}

open_working_folder() {
  if [[ ! -d ${folder} ]]; then return; fi
  need_no_links "${folder}"
  need_safe "${folder}"
  if [[ ${verb} != check ]]; then lock "${folder}/.lock"; fi
}

judge_what_is_here() {
  choose_pair
  if [[ ${verb} == check ]] && is_renewal_awaited; then
    note 'a renewed certificate is not here yet'
  elif [[ ${verb} == check && ! -e ${certificate} ]]; then
    note "${certificate} is not here yet"
  else
    judge_files
  fi
}

configure_client() {
  parse_options "$@"
  need_openssl
  # docker asks the current context first, whatever it is told to do: one that
  # is gone would stop it.
  export DOCKER_CONTEXT=default
  name_files
  check_home
  if [[ -n ${shell_profile} ]]; then check_profile; fi
  open_working_folder
  if [[ ${verb} == undo ]]; then undo_client; fi
  need_own_config
  check_owner
  check_contexts
  judge_what_is_here
  need_key_elsewhere
  install_files
  create_contexts
  if [[ -n ${shell_profile} ]]; then write_profile; fi
  finish_renewal
  remove_request
  finish
}
