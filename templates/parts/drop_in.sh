# ---- What dockerd gets ------------------------------------------------------

readonly marker="# Written by dockseal ${script}; --undo removes it."

# Prints the ExecStart= of the unit file itself, its continuation lines joined.
stock_command() {
  local line command='' unit
  unit=$(daemon_property FragmentPath)
  while IFS= read -r line; do
    if [[ ${command} == *\\ ]]; then
      command="${command%\\} ${line}"
    elif [[ ${line} == ExecStart=?* ]]; then
      command=${line#ExecStart=}
    fi
  done <"${unit}"
  printf '%s\n' "${command}"
}

# Sets dockerd (its path) and kept (what the stock unit passes besides -H).
read_stock_command() {
  local -a words
  local word skip=0
  read -r -a words < <(stock_command)
  dockerd=${words[0]:-}
  [[ -x ${dockerd} ]] ||
    die 2 "docker.service does not start a dockerd that is there: ${words[*]}"
  kept=()
  for word in "${words[@]:1}"; do
    if ((skip)); then
      skip=0
      continue
    fi
    case ${word} in
      -H | --host) skip=1 ;;
      -H* | --host=*) ;;
      *)
        [[ ! ${word} =~ ^(${own_flags}) ]] ||
          die 2 "the unit file of docker.service passes ${word} itself"
        kept+=("${word}")
        ;;
    esac
  done
}

# D02: the empty ExecStart= clears the stock one.
drop_in_text() {
  printf '%s\n' "${marker}" '[Service]' 'ExecStart='
  printf 'ExecStart=%s' "${dockerd}"
  printf ' \\\n  %s' '-H unix:///var/run/docker.sock' "-H tcp://${listen}" \
    "${flags[@]}" "${kept[@]}"
  printf '\n'
}

install_drop_in() {
  if [[ ! -d ${drop_in%/*} ]]; then run mkdir -p -m 0755 -- "${drop_in%/*}"; fi
  write_file "${drop_in}" 0644 "$(drop_in_text)"
}

is_drop_in_ours() {
  [[ -e ${drop_in} && $(<"${drop_in}") == "${marker}"* ]]
}
