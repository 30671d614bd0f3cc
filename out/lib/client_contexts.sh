# ---- docker contexts --------------------------------------------------------

has_docker() {
  command -v docker >/dev/null
}

# Prints where docker keeps a context, below meta and tls.
context_folder() { # context_folder NAME
  local digest
  digest=$(printf '%s' "$1" | sha256sum)
  printf '%s\n' "${digest%% *}"
}

# Prints docker's own file about a context, or nothing. docker itself reads no
# context where the current one is gone, or where it is not installed any more.
meta_of() { # meta_of NAME
  local file
  file=${docker_config}/contexts/meta/$(context_folder "$1")/meta.json
  if [[ -s ${file} ]]; then cat -- "${file}"; fi
}

# A kill or a power cut inside docker leaves a context without a description:
# then docker reads no other context either, or leaves a key there.
remove_half_made() { # remove_half_made NAME
  if [[ -z $(meta_of "$1") ]]; then remove_context_files "$1"; fi
}

remove_context_files() { # remove_context_files NAME
  local folder part
  folder=$(context_folder "$1")
  for part in tls meta; do
    if [[ -d ${docker_config}/contexts/${part}/${folder} ]]; then
      run rm -rf -- "${docker_config}/contexts/${part}/${folder}"
    fi
  done
}

is_our_context() { # is_our_context NAME
  [[ $(meta_of "$1") == *"\"Description\":\"${description}\""* ]]
}

# A context holds copies of the files: they must be the present ones.
is_present_context() { # is_present_context NAME DOCKER_HOST
  local copies
  copies=${docker_config}/contexts/tls/$(context_folder "$1")/docker
  is_our_context "$1" && [[ $(meta_of "$1") == *"\"Host\":\"$2\""* ]] &&
    is_same_file "${ca}" "${copies}/ca.pem" &&
    is_same_file "${certificate}" "${copies}/cert.pem" &&
    is_same_file "${key}" "${copies}/key.pem"
}

create_contexts() {
  local row name host action files
  files=ca=${docker_config}/ca.pem,cert=${docker_config}/cert.pem
  files+=,key=${docker_config}/key.pem
  if ! has_docker; then
    note 'there is no docker client on this machine: contexts are left out'
    return
  fi
  for ((row = 0; row < ${#contexts[@]}; row += 2)); do
    name=${contexts[row]}
    host=${contexts[row + 1]}
    remove_half_made "${name}"
    if is_present_context "${name}" "${host}"; then continue; fi
    action=create
    if is_our_context "${name}"; then action=update; fi
    run docker context "${action}" "${name}" --description "${description}" \
      --docker "host=${host},${files}" || {
      # On a full disk docker leaves halves of files.
      remove_context_files "${name}"
      die 1 \
        "docker context ${action} ${name} failed, for the reason above; what" \
        "it left was removed; state: ${leaves}"
    }
  done
}

# Prints the contexts that this script made, for earlier hosts of the site too.
our_contexts() {
  local file text
  for file in "${docker_config}"/contexts/meta/*/meta.json; do
    if [[ ! -s ${file} ]]; then continue; fi
    text=$(cat -- "${file}")
    if [[ ${text} == *"\"Description\":\"${description}\""* &&
      ${text} =~ \"Name\":\"([^\"]+)\" ]]; then
      printf '%s\n' "${BASH_REMATCH[1]}"
    fi
  done
}

# docker forgets its current context only where it is not told to use another.
remove_context() { # remove_context NAME
  local text='' current=0
  if [[ -r ${docker_config}/config.json ]]; then
    text=$(cat -- "${docker_config}/config.json")
  fi
  if [[ ${text} =~ \"currentContext\":[[:space:]]*\""$1"\" ]]; then
    current=1
  fi
  if ! has_docker; then
    remove_context_files "$1"
  elif ((current)); then
    run env --unset=DOCKER_CONTEXT docker context rm --force "$1" ||
      remove_context_files "$1"
  else
    run docker context rm --force "$1" || remove_context_files "$1"
  fi
}

remove_contexts() {
  local row name
  for ((row = 0; row < ${#contexts[@]}; row += 2)); do
    remove_half_made "${contexts[row]}"
  done
  while IFS= read -r name; do
    if [[ -n ${name} ]]; then remove_context "${name}"; fi
  done <<<"$(our_contexts)"
}
