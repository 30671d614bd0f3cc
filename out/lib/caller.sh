# Prints the value of a variable of whoever runs this script, or nothing.
caller_value() { # caller_value VARIABLE
  local setting
  for setting in "${caller_variables[@]}"; do
    if [[ ${setting} == "$1="* ]]; then printf '%s\n' "${setting#*=}"; fi
  done
}

# Stops where the user's docker does not look into ~/.docker.
need_own_config() {
  local config
  config=$(caller_value DOCKER_CONFIG)
  if [[ -z ${config} || ${config} -ef ${docker_config} ||
    ${config} == "${docker_config}" ]]; then
    return
  fi
  die 2 \
    "DOCKER_CONFIG is ${config}: there docker looks for certificates and" \
    "contexts, and this script is about ${docker_config}; run: unset" \
    "DOCKER_CONFIG, and take it out of your shell profile; ${leaves}"
}
