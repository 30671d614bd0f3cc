# ---- Ways in which this user falls back to plain text -----------------------

readonly docker_variable='DOCKER_(HOST|CONTEXT|TLS|TLS_VERIFY|CERT_PATH)'
# As in an alias.
readonly docker_option='docker .*(-H|--host)[ =]*tcp:'

readonly set_beside='export DOCKER_TLS_VERIFY=1 beside it, or use --context'

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

# Tries what docker does with these variables at the impostor: adds to problem
# and evidence of its caller.
try_variables() { # try_variables PLACE NAME=VALUE...
  local harmless setting wrong
  local -a with=()
  harmless=$(why_harmless "${@:2}")
  if [[ -n ${harmless} ]]; then
    evidence+="$1: ${harmless}"$'\n'
    return
  fi
  for setting in "${@:2}"; do
    [[ ${setting} =~ ^DOCKER_(HOST|CONTEXT)= ]] || with+=("${setting}")
  done
  measure DOCKER_HOST=HOST "${with[@]}"
  asked=$(typed "tcp://${impostor}" DOCKER_HOST=HOST "${with[@]}")
  wrong=$(problem_of "$@")
  problem+=${wrong:+${problem:+; }${wrong}}
  evidence+="$1: docker said: ${said}"$'\n'
}

# Prints what docker does wrong, after measure.
problem_of() { # problem_of PLACE NAME=VALUE...
  local settings="${*:2}"
  if ((! heard)); then
    printf '%s sets %s: %s' "$1" "${settings}" "${unheard}"
  elif [[ ${plain} == yes ]]; then
    printf '%s sets %s and no DOCKER_TLS_VERIFY: docker sends plain text' \
      "$1" "${settings}"
  elif [[ ${server} == no ]]; then
    printf '%s sets %s and no DOCKER_TLS_VERIFY: docker accepts any server' \
      "$1" "${settings}"
  fi
}

# Only such a line of a profile is taken for what it says. A profile is read,
# not run: of other variables only HOME is known.
readonly value_form="\"?([$]HOME|[$]\{HOME\})?[A-Za-z0-9_:/.@%+,-]*\"?"
readonly export_form="^ *export( +[A-Za-z_]+=${value_form})+ *(#.*)?\$"

# Prints the docker variables of such a line, one a line.
variables_in() { # variables_in LINE
  local word
  local -a words
  read -r -a words <<<"${1%%#*}"
  for word in "${words[@]}"; do
    if [[ ! ${word} =~ ^${docker_variable}= ]]; then continue; fi
    word=${word//\"/}
    word=${word//\$\{HOME\}/"${HOME}"}
    printf '%s\n' "${word//\$HOME/"${HOME}"}"
  done
}

# Tries the variables of lines that follow each other: a shell that reads one
# reads the others, whatever condition or function they stand in. Adds to
# problem, evidence and unclear of its caller.
judge_profile() { # judge_profile FILE
  local line last='' number=0
  local -a lines settings=()
  mapfile -t lines <"$1"
  for line in "${lines[@]}"; do
    number=$((number + 1))
    if [[ ${line} =~ ^\ *(#|$) && ${last} != *\\ ]]; then
      continue
    elif [[ ${line} =~ ${export_form} && ${last} != *\\ ]]; then
      mapfile -t -O "${#settings[@]}" settings < <(variables_in "${line}")
    else
      if ((${#settings[@]})); then try_variables "$1" "${settings[@]}"; fi
      settings=()
      if [[ ${line} =~ ${docker_variable}|${docker_option} ]]; then
        unclear+=$'\n'"$1:${number}: ${line}"
      fi
    fi
    last=${line}
  done
  if ((${#settings[@]})); then try_variables "$1" "${settings[@]}"; fi
}

verify_profiles() {
  local file path problem='' evidence='' unclear='' places=''
  local what='no shell profile lets docker send plain text'
  asked='env'
  for file in .profile .bash_profile .bash_login .bashrc .bash_aliases .zshenv \
    .zprofile .zshrc .zlogin "${shell_profile}"; do
    path=${HOME}/${file}
    if [[ ! -f ${path} || ${places} == *" ${path} "* ]]; then continue; fi
    places+=" ${path} "
    judge_profile "${path}"
  done
  if [[ -z ${problem} && -n ${unclear} ]]; then
    report PLAIN-2 SKIP "${what}" \
      "these lines are not judged; write export NAME=VALUE: ${unclear}" ''
    return
  fi
  judge PLAIN-2 "${what}" "${problem}" "${evidence:-nothing sets one}" \
    "${set_beside}"
}

is_current() { # is_current CONTEXT
  local text
  if [[ ! -r ${docker_config}/config.json ]]; then return 1; fi
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
  if ((! heard)); then
    printf 'the context %s (%s)%s: %s' "$1" "${host}" "${current}" "${unheard}"
  elif [[ ${plain} == yes ]]; then
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
  local setting problem='' evidence=''
  local -a settings=()
  for setting in "${caller_variables[@]}"; do
    if [[ ${setting} =~ ^${docker_variable}= ]]; then
      settings+=("${setting}")
    fi
  done
  asked='env'
  try_variables 'the environment' "${settings[@]}"
  judge PLAIN-1 'no variable lets docker send plain text' "${problem}" \
    "${evidence}" "${set_beside}"
  verify_profiles
  verify_contexts
}
