# ---- The unit's command, as systemd reads it --------------------------------

# Options that are the drop-in's alone, and the same as keys of daemon.json.
own_flags='-[Dv]*H.*|--host|--tls[a-z]*'
own_keys=(hosts)
for word in "${dockerd_words[@]}"; do
  if [[ ${word} =~ ^--([^=]+) && ${word} != --tls* ]]; then
    own_flags+="|--${BASH_REMATCH[1]}"
    own_keys+=("${BASH_REMATCH[1]}")
  fi
done
readonly own_flags own_keys

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

# Sets dockerd (its path), kept (what the stock unit passes besides -H) and
# config_file.
read_stock_command() {
  local word plain last='' unit
  local -a words
  unit=$(daemon_property FragmentPath)
  split_words "$(stock_command)"
  dockerd=${words[0]:-}
  [[ ${dockerd} == /*/dockerd && -x ${dockerd} ]] ||
    die 2 \
      "docker.service starts ${words[*]:0:2}, and not dockerd itself; correct" \
      "the ExecStart= of ${unit}; ${leaves}"
  kept=()
  config_file=/etc/docker/daemon.json
  for word in "${words[@]:1}"; do
    plain=$(unquoted "${word}")
    if [[ ${last} == -H || ${last} == --host ]]; then
      last=''
      continue
    elif [[ ${last} == --config-file ]]; then
      config_file=${plain}
    fi
    last=${plain}
    if [[ ${plain} =~ ^(-H|--host$|--host=) ]]; then continue; fi
    [[ ! ${plain} =~ ^((${own_flags})(=|$)|[#\;]) ]] ||
      die 2 \
        "the ExecStart= of ${unit} passes ${plain} itself; take it out there" \
        "(systemctl edit --full docker.service); ${leaves}"
    if [[ ${plain} == --config-file=* ]]; then config_file=${plain#*=}; fi
    kept+=("${word}")
  done
}

# Names what is taken over from the stock unit, before the restart, where there
# is more than Docker's own and Debian's packages have.
note_kept() {
  local word unusual=0
  for word in "${kept[@]}"; do
    case ${word} in
      --containerd=/run/containerd/containerd.sock | \$DOCKER_OPTS) ;;
      *) unusual=1 ;;
    esac
  done
  ((! unusual)) ||
    note \
      "taken over from $(daemon_property FragmentPath), after the site's own" \
      "words: ${kept[*]}"
}

# ---- The words that dockerd runs with ---------------------------------------

# Prints the words that dockerd runs with after those of the site, one a line.
# False where those of the site do not come first, in their order.
other_words() {
  local words own
  words=$(running_arguments)
  words=${words#*$'\n'}$'\n'
  printf -v own '%s\n' "${dockerd_words[@]}"
  [[ ${words} == "${own}"* ]] && printf '%s' "${words#"${own}"}"
}

is_running_as_told() {
  other_words >/dev/null
}

# Prints what is wrong with these words, or nothing. A file or a variable that
# is read only at its start may say anew what the site decides: of two words the
# last one counts.
words_problem() {
  local words word
  if ! words=$(other_words); then
    printf 'dockerd does not run with the new flags\n'
    return
  fi
  words=$'\n'${words}
  while IFS= read -r word; do
    if [[ ${word} =~ ^(${own_flags})(=|$) ]]; then
      printf 'dockerd was told more: %s\n' "${word}"
    fi
  done <<<"${words//$'\n-H\n'/$'\n-H '}"
}
