# ---- The words that dockerd runs with: the whole list -----------------------

# Prints what follows the last ExecStart= of the drop-in, on one line.
command_of_drop_in() {
  local text
  text=$(cat -- "${drop_in}" 2>/dev/null) || true
  text=$'\n'${text}$'\n'
  text=${text##*$'\nExecStart='}
  text=${text//\\$'\n'/ }
  printf '%s\n' "${text%%$'\n'*}"
}

# Prints the command that systemd has read, with its variables as they stand.
command_of_systemd() {
  local text
  text=$(daemon_property ExecStart)
  text=${text#*'argv[]='}
  printf '%s\n' "${text% ; ignore_errors=*}"
}

# Prints the first word of FOUND that is not that of WANTED, both on one line as
# systemd tells a command: quotes do not count, and a word with a blank is two.
# BUT is what WANTED has as it stands in a file: variables, in whose place any
# words may stand, or none; or escapes, a backslash or %, that systemd has read.
first_difference() { # first_difference WHO WANTED FOUND BUT
  local word rest goes_on=0
  local -a wanted found
  read -r -a wanted <<<"${2//[\"\']/}"
  read -r -a found <<<"${3//[\"\']/}"
  printf -v rest '%s ' "${found[@]}"
  for word in "${wanted[@]}"; do
    if [[ ${rest} == "${word} "* ]]; then
      rest=${rest#"${word} "}
      goes_on=0
    elif [[ $4 == variables && ${word} == *\$* ]]; then
      goes_on=1
    elif [[ $4 == escapes && ${word} == *[\\%]* && -n ${rest// /} ]]; then
      rest=${rest#* }
    elif ((goes_on)) && [[ ${rest} == *" ${word} "* ]]; then
      rest=${rest#*" ${word} "}
      goes_on=0
    else
      rest=${rest%% *}
      printf '%s %s, expected %s; ' "$1" "${rest:-nothing more}" "${word}"
      return
    fi
  done
  if ((! goes_on)) && [[ -n ${rest// /} ]]; then
    printf '%s %s, expected nothing more; ' "$1" "${rest%% *}"
  fi
}

# Prints the first word that is neither the site's nor, after those, what the
# drop-in hands on: another file may set ExecStart= too, and dockerd may run
# since before.
words_difference() {
  local systemd running difference
  local -a words
  read -r -a words < <(command_of_drop_in)
  systemd=$(command_of_systemd)
  words=("${words[0]:-${systemd%% *}}" "${dockerd_words[@]}"
    "${words[@]:${#dockerd_words[@]}+1}")
  running=$(running_arguments)
  running=${running//$'\n'/ }
  difference=$(first_difference 'systemd gives dockerd' "${words[*]}" \
    "${systemd}" escapes)
  if [[ -z ${difference} ]]; then
    difference=$(first_difference 'dockerd runs with' "${systemd#* }" \
      "${running#* }" variables)
  fi
  printf '%s' "${difference}"
}

# Prints where dockerd was told to listen besides the site's places: a file or a
# variable that is read only at its start may say so.
other_listeners() {
  local text place pattern=$'\n(-H[=\n]?|--host[=\n])([^\n]+)'
  text=$'\n'$(running_arguments)
  while [[ ${text} =~ ${pattern} ]]; do
    text=${text#*"${BASH_REMATCH[0]}"}
    place=${BASH_REMATCH[2]}
    if [[ ${place} != unix:///var/run/docker.sock &&
      ${place} != "tcp://${listen}" ]]; then
      printf 'it was told to listen on %s too; ' "${place}"
    fi
  done
}

# Prints what dockerd was told again, after the site's words, of what the site
# decides: the last word counts.
told_again() {
  local word own=' '
  for word in "${dockerd_words[@]}"; do own+="${word%%=*} "; done
  while IFS= read -r word; do
    if [[ ${word} =~ ^--tls[a-z]*(=|$) ]] ||
      [[ ${word} == --* && ${own} == *" ${word%%=*} "* ]]; then
      printf 'it was told %s too; ' "${word}"
    fi
  done < <(running_arguments | tail --lines=+$((${#dockerd_words[@]} + 2)))
}

# Prints which unit's files systemd has not read since they were changed: what
# is judged is not what it would start.
unread_units() {
  local unit
  for unit in docker.service docker.socket; do
    if [[ $(unit_property "${unit}" NeedDaemonReload) == yes ]]; then
      printf 'the files of %s were changed since systemd read them: run' \
        "${unit}"
      printf ' systemctl daemon-reload and verify again; '
    fi
  done
}

# What it was started with, and what the kernel says of where it listens: flags
# come from variables, from daemon.json and from socket units too.
verify_flags() { # verify_flags [CIS_ITEM]
  local evidence problem what
  local -a words=("${dockerd_words[@]:2}")
  what="dockerd runs with ${words[*]%%=/*}, then its drop-in's other words"
  evidence=$(running_arguments)
  evidence+=$'\n'"of systemd's command: $(command_of_systemd)"
  problem=$(unread_units)$(words_difference)$(told_again)$(other_listeners)
  problem+=$(listener_problem)
  asked='tr "\0" "\n" </proc/MAINPID/cmdline; systemctl show --property'
  asked+=" ExecStart docker.service; cat ${drop_in} /proc/net/{tcp,tcp6,unix}"
  judge DAEMON-1 "${what} alone, and listens nowhere else" "${problem%; }" \
    "${evidence}" "${remove_listener}" "${1:-}"
}
