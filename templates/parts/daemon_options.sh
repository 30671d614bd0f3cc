# ---- What dockerd is told, on its command line and in its file --------------

daemon_property() { # daemon_property PROPERTY
  systemctl show --property "$1" --value docker.service
}

# Prints the command line of the running dockerd, one word a line.
running_arguments() {
  local pid
  pid=$(daemon_property MainPID)
  if [[ -r /proc/${pid}/cmdline ]] && ((pid)); then
    cat -- "/proc/${pid}/cmdline" 2>/dev/null | tr '\0' '\n' || true
  fi
}

# Prints the file that dockerd reads its options from.
options_file() {
  local word file=/etc/docker/daemon.json is_next=0
  while IFS= read -r word; do
    if ((is_next)); then file=${word}; fi
    is_next=0
    case ${word} in
      --config-file=*) file=${word#*=} ;;
      --config-file) is_next=1 ;;
      *) ;;
    esac
  done < <(running_arguments)
  printf '%s\n' "${file}"
}

# Prints where the file says that an option is true, or false, or nothing.
where_in_file() { # where_in_file OPTION true|false
  local file pattern="\"$1\"[[:space:]]*:[[:space:]]*$2"
  file=$(options_file)
  if [[ -e ${file} && $(<"${file}") =~ ${pattern} ]]; then
    printf '"%s": %s in %s\n' "$1" "$2" "${file}"
  fi
}

# The same of the command line and the file.
where_option_is() { # where_option_is OPTION true|false
  local words values='1|t|T|TRUE|true|True'
  if [[ $2 == false ]]; then values='0|f|F|FALSE|false|False'; fi
  words=$'\n'$(running_arguments)$'\n'
  if [[ ${words} =~ $'\n'--$1=(${values})$'\n' ]] ||
    [[ $2 == true && ${words} == *$'\n'"--$1"$'\n'* ]]; then
    printf "%s=%s on dockerd's command line\n" "--$1" "$2"
  else
    where_in_file "$1" "$2"
  fi
}
