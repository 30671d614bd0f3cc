# ---- Ways in which this user falls back to plain text -----------------------

readonly docker_variable='DOCKER_(HOST|CONTEXT|TLS|TLS_VERIFY|CERT_PATH)'

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

# A profile is read, not run: of its lines these and comments alone are
# understood, and of variables in a value HOME.
readonly value_form="([$]HOME|[$]\{HOME\})?[A-Za-z0-9_:/.@%+,-]*"
readonly setting_form=" +${docker_variable}=(${value_form}|\"${value_form}\")"
readonly export_form="^ *export(${setting_form})+ *( #.*)?\$"

# What bash and zsh read, and pam_env before them.
readonly -a profiles_of_all=(/etc/environment /etc/profile /etc/profile.d/*.sh
  /etc/bash.bashrc /etc/bashrc /etc/{,zsh/}{zshenv,zprofile,zshrc,zlogin})
readonly -a own_profiles=(.pam_environment .profile .bash_profile .bash_login
  .bashrc .bash_aliases .zshenv .zprofile .zshrc .zlogin "${shell_profile}")

# Prints the docker variables of such a line, one a line.
variables_in() { # variables_in LINE
  local word
  local -a words
  read -r -a words <<<"${1%%#*}"
  for word in "${words[@]:1}"; do
    word=${word//\"/}
    word=${word//\$\{HOME\}/"${HOME}"}
    printf '%s\n' "${word//\$HOME/"${HOME}"}"
  done
}

# Judges a profile that is understood as a whole: one line that is not, such as
# an alias, a condition or another file that is read, can change what the others
# say. Of such a file its first line is named, and what speaks of docker. Adds
# to problem, evidence and unclear of its caller.
judge_profile() { # judge_profile FILE
  local line number=0 strange='' about=''
  local -a lines settings=()
  # The shells read over a NUL byte too.
  mapfile -t lines < <(tr -d '\0' <"$1")
  for line in "${lines[@]}"; do
    number=$((number + 1))
    if [[ ${line} =~ ^\ *(#|$) ]]; then continue; fi
    if [[ ${line} =~ ${export_form} ]]; then
      mapfile -t -O "${#settings[@]}" settings < <(variables_in "${line}")
    elif [[ -z ${strange} ]]; then
      strange=$'\n'"$1:${number}: ${line}"
      continue
    fi
    if [[ ${line,,} == *docker* ]]; then about+=$'\n'"$1:${number}: ${line}"; fi
  done
  if [[ -n ${strange} ]]; then
    unclear+=${strange}${about}
  elif ((${#settings[@]})); then
    try_variables "$1" "${settings[@]}"
  fi
}

verify_profiles() {
  local path problem='' evidence='' unclear='' places=' '
  local what='no profile of bash or zsh lets docker send plain text'
  asked='env'
  for path in "${profiles_of_all[@]}" "${own_profiles[@]/#/"${HOME}/"}"; do
    if [[ ! -e ${path} || ${path} -ef ${HOME} ||
      ${places} == *" ${path} "* ]]; then
      continue
    fi
    places+="${path} "
    if [[ -f ${path} && -r ${path} ]]; then
      judge_profile "${path}"
    else
      unclear+=$'\n'"${path}: it cannot be read"
    fi
  done
  if [[ -z ${problem} && -n ${unclear} ]]; then
    report PLAIN-2 SKIP "${what}" \
      "not judged; in a new shell, run type -a docker, and env:${unclear}" ''
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
