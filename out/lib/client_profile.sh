# ---- The shell profile ------------------------------------------------------

check_profile() {
  if [[ ! -e ${profile} ]]; then
    [[ ${verb} == undo || -d ${profile%/*}/ ]] ||
      die 2 \
        "shell_profile is ~/${shell_profile}, and there is no folder" \
        "${profile%/*}; make it; ${leaves}"
    return
  fi
  need_safe "${profile%/*}/"
  [[ -f ${profile} && -O ${profile} && -r ${profile} ]] ||
    die 2 "${profile} is not a file of $(id -un)'s own; ${leaves}"
  if IFS= read -r -d '' _ <"${profile}"; then
    die 2 "${profile} holds a NUL byte: it is no shell profile; ${leaves}"
  fi
}

# Prints how many lines this script's block has, which begins with the first of
# LINEs. Where its end was deleted, what follows is somebody else's.
length_of_block() { # length_of_block LINE...
  local line length=0
  for line in "$@"; do
    if ((length)) && [[ ${line} == "${block_start}" ]]; then break; fi
    length=$((length + 1))
    if [[ ${line} == "${block_end}" ]]; then break; fi
  done
  if [[ ${line} != "${block_end}" ]]; then
    length=1
    for line in "${@:2:2}"; do
      if [[ ! ${line} =~ ^export\ DOCKER_(HOST|TLS_VERIFY)= ]]; then break; fi
      length=$((length + 1))
    done
  fi
  printf '%d\n' "${length}"
}

# Prints the profile without this script's block.
profile_without_block() {
  local number=0
  local -a lines
  mapfile -t lines <"${profile}"
  while ((number < ${#lines[@]})); do
    if [[ ${lines[number]} == "${block_start}" ]]; then
      number=$((number + $(length_of_block "${lines[@]:number}")))
    else
      printf '%s\n' "${lines[number]}"
      number=$((number + 1))
    fi
  done
}

write_profile() {
  local text='' mode=0644
  if [[ -e ${profile} ]]; then
    text=$(profile_without_block)
    mode=$(stat --format '%a' -- "${profile}")
  fi
  # D18: with a name from the certificate, not 0.0.0.0.
  write_file "${profile}" "${mode}" "${text:+${text}
}${block_start}
export DOCKER_HOST=${contexts[1]}
export DOCKER_TLS_VERIFY=1
${block_end}"
}

clean_profile() {
  local text
  # What a killed run was about to put in place.
  if [[ -f ${profile}.new &&
    $(<"${profile}.new") == *"${block_start}"* ]]; then
    run rm -f -- "${profile}.new"
  fi
  if [[ ! -e ${profile} ]]; then return; fi
  text=$(profile_without_block)
  if [[ $(<"${profile}") == "${text}" ]]; then return; fi
  # Byte for byte, where nobody has changed it since.
  if [[ -e ${previous}/profile &&
    $(<"${previous}/profile") == "${text}" ]]; then
    keep_copy "${previous}/profile" "${profile}.new"
    run mv -fT -- "${profile}.new" "${profile}"
  elif [[ -z ${text} ]]; then
    run rm -f -- "${profile}"
  else
    write_file "${profile}" "$(stat --format '%a' -- "${profile}")" "${text}"
  fi
}
