# ---- The unit's command, as systemd reads it --------------------------------

# Prints the value of the last ExecStart= of the unit file: continued lines are
# joined, and comments between them left out.
stock_command() {
  local line joined='' command='' unit
  local goes_on='(^|[^\])(\\\\)*\\$'
  unit=$(daemon_property FragmentPath)
  while IFS= read -r line || [[ -n ${line} ]]; do
    if [[ ${line} =~ ^[[:space:]]*[#\;] ]]; then continue; fi
    joined+=${line}
    if [[ ${joined} =~ ${goes_on} ]]; then
      joined="${joined%\\} "
      continue
    fi
    if [[ ${joined} =~ ^[[:space:]]*ExecStart[[:space:]]*=(.*)$ ]]; then
      command=${BASH_REMATCH[1]}
    fi
    joined=''
  done <"${unit}"
  printf '%s\n' "${command}"
}

# Splits what stands in a unit file into words. Each stays as it stands there,
# with its quotes: systemd reads it again.
split_words() { # split_words TEXT; sets words
  local rest=$1 plain=$'[^[:space:]"\'\\]|\\\\.' double='"([^"\]|\\.)*"'
  local single=$'\'([^\'\\]|\\\\.)*\''
  words=()
  while [[ ${rest} =~ ^[[:space:]]*((${plain}|${double}|${single})+)(.*)$ ]]; do
    words+=("${BASH_REMATCH[1]}")
    rest=${BASH_REMATCH[5]}
  done
  [[ -z ${rest//[[:space:]]/} ]] ||
    die 2 "a quote has no end in docker.service: ${rest}; ${leaves}"
}

unquoted() { # unquoted WORD
  printf '%s\n' "${1//[\"\']/}"
}

refuse_word() { # refuse_word WORD
  die 2 \
    "the ExecStart= of $(daemon_property FragmentPath) passes $1 itself; take" \
    "it out there (systemctl edit --full docker.service); ${leaves}"
}

# Sets dockerd (its path), kept (what the stock unit passes besides -H),
# config_file, and is_activated (1: with -H fd://).
read_stock_command() {
  local word plain last=''
  local -a words
  split_words "$(stock_command)"
  dockerd=${words[0]:-}
  [[ ${dockerd} == /*/dockerd && -x ${dockerd} ]] ||
    die 2 \
      "docker.service starts ${words[*]:0:2}, and not dockerd itself; correct" \
      "the ExecStart= of $(daemon_property FragmentPath); ${leaves}"
  kept=()
  config_file=/etc/docker/daemon.json
  is_activated=0
  for word in "${words[@]:1}"; do
    plain=$(unquoted "${word}")
    if [[ ${plain} == *fd://* ]]; then is_activated=1; fi
    case ${last} in
      -H | --host)
        last=''
        continue
        ;;
      --config-file) config_file=${plain} ;;
      *) ;;
    esac
    last=${plain}
    case ${plain} in
      -H* | --host | --host=*) continue ;;
      --config-file=*) config_file=${plain#*=} ;;
      \;* | \#*) refuse_word "${plain}" ;;
      *) [[ ! ${plain} =~ ^(${own_flags}) ]] || refuse_word "${plain}" ;;
    esac
    kept+=("${word}")
  done
}

# ---- What dockerd gets ------------------------------------------------------

readonly marker="# Written by dockseal ${script}; --undo removes it."
# Folders that were not there before: --undo removes them too.
readonly made_note='# Made with it: '

# D02: the empty ExecStart= clears the stock one.
drop_in_text() {
  local path
  printf '%s\n' "${marker}"
  for path in "${made[@]}"; do printf '%s%s\n' "${made_note}" "${path}"; done
  printf '%s\n' '[Service]' 'ExecStart='
  printf 'ExecStart=%s' "${dockerd}"
  printf ' \\\n  %s' '-H unix:///var/run/docker.sock' "-H tcp://${listen}" \
    "${flags[@]}" "${kept[@]}"
  printf '\n'
}

install_drop_in() {
  make_parents "${drop_in}"
  write_file "${drop_in}" 0644 "$(drop_in_text)"
}

is_drop_in_ours() {
  [[ -f ${drop_in} && ! -L ${drop_in} &&
    $(cat -- "${drop_in}") == "${marker}"* ]]
}
