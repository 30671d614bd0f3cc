# ---- Ways in which this user falls back to plain text -----------------------

readonly docker_variable='DOCKER_(HOST|CONTEXT|TLS|TLS_VERIFY|CERT_PATH)'

# Prints the value of a variable; a later one counts, as in the shell.
value_of() { # value_of VARIABLE NAME=VALUE...
  local setting value=''
  for setting in "${@:2}"; do
    if [[ ${setting} == "$1="* ]]; then value=${setting#*=}; fi
  done
  printf '%s\n' "${value}"
}

# Prints why no TCP comes of these variables, or nothing.
why_harmless() { # why_harmless NAME=VALUE...
  local host context
  host=$(value_of DOCKER_HOST "$@")
  context=$(value_of DOCKER_CONTEXT "$@")
  if (($# == 0)); then
    printf "none of docker's variables is set\n"
  elif [[ ${host} =~ ^(unix|fd|npipe|ssh):// ]]; then
    printf '%s is no TCP\n' "${host}"
  elif [[ -z ${host} && -n ${context} ]]; then
    printf 'the docker context %s: see PLAIN-3\n' "${context}"
  fi
}

# Judges variables by what docker does with them at the impostor.
judge_variables() { # judge_variables ID WHAT PLACE NAME=VALUE...
  local problem='' evidence setting
  local -a with=()
  asked='env'
  evidence=$(why_harmless "${@:4}")
  if [[ -z ${evidence} ]]; then
    for setting in "${@:4}"; do
      [[ ${setting} =~ ^DOCKER_(HOST|CONTEXT)= ]] || with+=("${setting}")
    done
    measure DOCKER_HOST=HOST "${with[@]}"
    asked=$(typed "tcp://${impostor}" DOCKER_HOST=HOST "${with[@]}")
    problem=$(problem_of "$3" "${@:4}")
    evidence="docker said: ${said}"
  fi
  judge "$1" "$2" "${problem}" "${evidence}" \
    'export DOCKER_TLS_VERIFY=1 beside it, or unset it and use --context'
}

# Prints what docker does wrong, after measure.
problem_of() { # problem_of PLACE NAME=VALUE...
  local settings="${*:2}"
  if [[ ${plain} == yes ]]; then
    printf '%s sets %s and no DOCKER_TLS_VERIFY: docker sends plain text' \
      "$1" "${settings}"
  elif [[ ${server} == no ]]; then
    printf '%s sets %s and no DOCKER_TLS_VERIFY: docker accepts any server' \
      "$1" "${settings}"
  fi
}

# Prints the docker variables that a shell profile sets, one a line. It is
# read, not run: of other variables only HOME is known.
variables_in() { # variables_in FILE
  local line word
  local -a line_words
  while IFS= read -r line || [[ -n ${line} ]]; do
    [[ ${line} =~ ^[[:space:]]*(export[[:space:]]+)?${docker_variable}= ]] ||
      continue
    read -r -a line_words <<<"${line%%[[:space:]]#*}"
    for word in "${line_words[@]}"; do
      [[ ${word} =~ ^${docker_variable}= ]] || continue
      word=${word%;}
      word=${word//[\"\']/}
      word=${word//\$\{HOME\}/"${HOME}"}
      printf '%s\n' "${word//\$HOME/"${HOME}"}"
    done
  done <"$1"
}

# All profiles of the user count together: one shell reads one, then another.
verify_profiles() {
  local file path found places=''
  local -a settings=() of_file
  for file in .profile .bash_profile .bashrc .zprofile .zshrc \
    "${shell_profile}"; do
    path=${HOME}/${file}
    if [[ ! -f ${path} || ${places} == *" ${path}"* ]]; then continue; fi
    found=$(variables_in "${path}")
    if [[ -z ${found} ]]; then continue; fi
    mapfile -t of_file <<<"${found}"
    settings+=("${of_file[@]}")
    places+=" ${path}"
  done
  judge_variables PLAIN-2 'no shell profile lets docker send plain text' \
    "${places# }" "${settings[@]}"
}

is_current() { # is_current CONTEXT
  local text
  [[ -r ${docker_config}/config.json ]] || return 1
  text=$(<"${docker_config}/config.json")
  [[ ${text} =~ \"currentContext\":[[:space:]]*\""$1"\" ]]
}

# Prints what is wrong with a docker context, or nothing.
problem_of_context() { # problem_of_context NAME
  local host current=''
  host=$(context_host "$1") || return 0
  if [[ ${host} =~ ^(unix|fd|npipe|ssh):// ]]; then return; fi
  link_context "$1" || {
    printf 'the context %s (%s) cannot be read: its file has another form' \
      "$1" "${host}"
    return
  }
  measure "--context=$1"
  if is_current "$1"; then
    current=", the current one in ${docker_config}/config.json,"
  fi
  if [[ ${plain} == yes ]]; then
    printf 'the context %s (%s)%s has no CA: docker sends plain text' \
      "$1" "${host}" "${current}"
  elif [[ ${server} == no ]]; then
    printf 'the context %s (%s)%s skips the check: docker accepts any server' \
      "$1" "${host}" "${current}"
  fi
}

verify_contexts() {
  local name names problem='' one
  asked='docker context ls --quiet; docker --context NAME ps'
  names=$(DOCKER_CONTEXT=default docker context ls --quiet 2>/dev/null) || {
    problem='docker context ls fails: run it, and mend what it names'
    names=''
  }
  while IFS= read -r name; do
    if [[ -z ${name} || ${name} == default ]]; then continue; fi
    one=$(problem_of_context "${name}")
    problem+=${one:+${problem:+; }${one}}
  done <<<"${names}"
  judge PLAIN-3 'no docker context lets docker send plain text' "${problem}" \
    "${names//$'\n'/ }" 'docker context rm it, or give it ca=, cert= and key='
}

verify_plain_text() {
  local setting
  local -a settings=()
  for setting in "${caller_variables[@]}"; do
    if [[ ${setting} =~ ^${docker_variable}= ]]; then
      settings+=("${setting}")
    fi
  done
  judge_variables PLAIN-1 'no variable lets docker send plain text' \
    'the environment' "${settings[@]}"
  verify_profiles
  verify_contexts
}
