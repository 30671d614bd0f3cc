# ---- The files in ~/.docker -------------------------------------------------

readonly purpose=sslclient signer=ca/30-sign-clients.sh
readonly accepts=' --dir --yes --check --undo --remove-keys --help '
readonly description="dockseal ${script}"
readonly block_start="# >>> dockseal ${script} >>>"
readonly block_end="# <<< dockseal ${script} <<<"
# What docker reads, and no other name.
readonly -a installed=(key.pem cert.pem ca.pem)

# What was in ~/.docker before is kept in before-dockseal, as long as this
# client is configured, with three files of this script's own:
#   record       this script, and the mode of each folder that was there before
#   digests      of all that this script has installed in ~/.docker
#   trusted.pem  the CAs that docker trusts because of an earlier run, whoever
#                has changed ca.pem since

# Prints the script that has configured ~/.docker, or nothing.
configured_by() {
  local name=''
  if [[ -f ${previous}/record ]]; then read -r name <"${previous}/record"; fi
  printf '%s\n' "${name}"
}

# Prints the mode that a folder had before, or nothing where there was none.
mode_before() { # mode_before FOLDER, below ~/.docker
  local mode name
  if [[ ! -f ${previous}/record ]]; then return; fi
  while read -r mode name; do
    if [[ ${name} == "$1" ]]; then printf '%s\n' "${mode}"; fi
  done <"${previous}/record"
}

text_of_record() {
  local name
  printf '%s\n' "${script}"
  for name in . contexts contexts/meta contexts/tls; do
    if [[ -d ${docker_config}/${name} ]]; then
      stat --dereference --printf "%a ${name}\n" -- "${docker_config}/${name}"
    fi
  done
}

# Copies a file, or a link as the link that it is: it goes back to the folder
# from which it leads.
keep_entry() { # keep_entry FILE COPY
  if [[ -L $1 ]]; then
    run cp --no-dereference --remove-destination -T -- "$1" "$2"
  else
    keep_copy "$1" "$2"
  fi
}

# A folder ~/.docker that was not there comes whole, with its record: a killed
# run leaves none of which nobody knows whose it is.
keep_previous() {
  local name new=${previous}.new whole=${previous}
  if [[ -d ${previous} ]]; then return; fi
  remove_leftovers
  if [[ ! -d ${docker_config} ]]; then
    whole=${docker_config}
    new=${docker_config}.new/${previous##*/}
    run mkdir -m 0700 -- "${docker_config}.new"
  fi
  run mkdir -m 0700 -- "${new}"
  for name in "${installed[@]}"; do
    if [[ -e ${docker_config}/${name} || -L ${docker_config}/${name} ]]; then
      keep_entry "${docker_config}/${name}" "${new}/${name}"
    fi
  done
  if [[ -n ${shell_profile} && -e ${profile} ]]; then
    keep_copy "${profile}" "${new}/profile"
  fi
  write_file "${new}/record" 0600 "$(text_of_record)"
  run mv -T -- "${whole}.new" "${whole}"
}

# What a killed run was about to put in place. It may hold a key.
remove_leftovers() {
  local name
  if [[ -d ${previous} ]]; then
    for name in "${installed[@]/#/"${docker_config}/"}"; do
      if [[ -e ${name}.new || -L ${name}.new ]]; then
        run rm -f -- "${name}.new"
      fi
    done
  fi
  for name in "${previous}.new" "${docker_config}.new"; do
    if [[ -e ${name} || -L ${name} ]]; then run rm -rf -- "${name}"; fi
  done
}

# A killed run leaves a new folder with nothing in it but before-dockseal.
is_leftover() { # is_leftover FOLDER
  [[ -d $1 && ! -L $1 && $(ls -A -- "$1") =~ ^("${previous##*/}")?$ ]]
}

# From now on these files are this script's own: those that come, and those that
# are in place, of which keep_previous has copies.
record_digests() {
  local text name
  local -a files=("${key}" "${certificate}" "${ca}")
  if [[ ! -e ${certificate} || ! -e ${key} || ! -e ${ca} ]]; then return; fi
  for name in "${installed[@]/#/"${docker_config}/"}"; do
    if [[ -e ${name} ]]; then files+=("${name}"); fi
  done
  text=$(sha256sum -- "${files[@]}" | cut --bytes=1-64)
  if [[ -f ${previous}/digests ]]; then
    text+=$'\n'$(cat -- "${previous}/digests")
  fi
  write_file "${previous}/digests" 0600 "$(sort --unique <<<"${text}")"
}

# True when this script has installed a file; an earlier version took no note.
is_our_file() { # is_our_file FILE
  local digest
  if [[ ! -f ${previous}/digests ]]; then return; fi
  digest=$(sha256sum -- "$1")
  [[ $(<"${previous}/digests") == *"${digest%% *}"* ]]
}

# True when all of it is in place.
are_files_installed() {
  local modes=$'600\n644\n644'
  local -a files=("${installed[@]/#/"${docker_config}/"}")
  is_same_file "${key}" "${files[0]}" &&
    is_same_file "${certificate}" "${files[1]}" &&
    is_same_file "${ca}" "${files[2]}" &&
    [[ $(stat --format '%a' -- "${files[@]}") == "${modes}" ]]
}

# True when the installed key stands elsewhere too: in DIR, or as what was there
# before.
is_key_elsewhere() {
  local copy
  for copy in "${key}" "${folder}"/{,previous/}"${key_file}" \
    "${previous}/key.pem"; do
    if is_same_file "${docker_config}/key.pem" "${copy}"; then return; fi
  done
  return 1
}

# Stops where the only copy of a key would be replaced: DIR was lost, say, and
# made anew.
need_key_elsewhere() {
  local file=${docker_config}/key.pem
  [[ ! -e ${file} || ! -d ${previous} ]] || is_key_elsewhere ||
    die 2 \
      "${file} is the only copy of its key, and ${key} is another one; move" \
      "it away, with cert.pem, and run this again; ${leaves}"
}

# Whoever brought the files may have them open still: what was copied is judged,
# and then put in place.
put_files_in_place() {
  local name key=${key} certificate=${certificate} ca=${ca}
  run install -m 600 -T -- "${key}" "${docker_config}/key.pem.new"
  run install -m 644 -T -- "${certificate}" "${docker_config}/cert.pem.new"
  run install -m 644 -T -- "${ca}" "${docker_config}/ca.pem.new"
  if [[ ${verb} != check ]]; then
    key=${docker_config}/key.pem.new
    certificate=${docker_config}/cert.pem.new
    ca=${docker_config}/ca.pem.new
  fi
  record_digests
  if [[ ${verb} != check ]]; then judge_files; fi
  if ! is_same_file "${ca}" "${docker_config}/ca.pem"; then
    show_authorities "${ca}"
  fi
  for name in "${installed[@]}"; do put_in_place "${docker_config}/${name}"; done
}

# D15, D18: docker reads exactly ca.pem, cert.pem and key.pem.
install_files() {
  leaves="some files of ${docker_config} may be new; run this again to finish,"
  leaves+=' or with --undo to put back what was there'
  keep_previous
  if [[ -d ${docker_config} &&
    $(stat --dereference --format '%a' -- "${docker_config}") != 700 ]]; then
    run chmod 0700 -- "${docker_config}"
  fi
  if are_files_installed; then
    remove_leftovers
    record_digests
  else
    put_files_in_place
  fi
  if ! is_same_file "${ca}" "${trusted}"; then
    keep_copy "${docker_config}/ca.pem" "${trusted}.new"
    run mv -fT -- "${trusted}.new" "${trusted}"
  fi
}

# Keeps a key that is nowhere else.
remove_installed() { # remove_installed FILE
  if [[ $1 == */key.pem && -e $1 ]] && ((! remove_keys)) &&
    ! is_key_elsewhere; then
    note "kept: $1, the only copy of this key"
  elif [[ -e $1 ]]; then
    run rm -f -- "$1"
  fi
}

# Without before-dockseal nothing tells what was here before. What a context of
# this script has a copy of is the script's own.
remove_known_files() {
  local name names file copies
  names=$(our_contexts)
  if [[ -d ${previous} || -z ${names} ]]; then return; fi
  note "${previous} is gone: what it kept of ${docker_config}, and the modes" \
    'of folders, cannot be put back; empty folders stay'
  copies=$(context_folder "${names%%$'\n'*}")
  copies=${docker_config}/contexts/tls/${copies}/docker
  for name in "${installed[@]}"; do
    file=${docker_config}/${name}
    if is_same_file "${file}" "${copies}/${name}"; then
      remove_installed "${file}"
    elif [[ -e ${file} || -L ${file} ]]; then
      note "kept: ${file}, which is not what this script installed last"
    fi
  done
}

restore_files() {
  local name file
  if [[ ! -d ${previous} ]]; then return; fi
  for name in "${installed[@]}"; do
    file=${docker_config}/${name}
    if [[ -e ${previous}/${name} || -L ${previous}/${name} ]]; then
      keep_entry "${previous}/${name}" "${file}.new"
      run mv -fT -- "${file}.new" "${file}"
    else
      remove_installed "${file}"
    fi
  done
}
