# ---- What would make dockerd refuse -----------------------------------------

# True when the file that dockerd reads has a key. VALUE is a pattern.
has_key() { # has_key KEY [VALUE]
  [[ ${settings} =~ \"$1\"[[:space:]]*:[[:space:]]*${2:-} ]]
}

# Sets settings to the text of the file that dockerd reads.
read_settings() {
  settings=''
  if [[ -e ${config_file} ]]; then settings=$(cat -- "${config_file}"); fi
}

# Stops when that file sets any of these keys, and names all that it sets.
refuse_keys() { # refuse_keys REASON KEY...
  local key keys='' them='that key'
  for key in "${@:2}"; do
    if has_key "${key}"; then
      if [[ -n ${keys} ]]; then them='those keys'; fi
      keys+=", \"${key}\""
    fi
  done
  [[ -z ${keys} ]] ||
    die 2 \
      "${config_file} sets ${keys#, } too, $1; remove ${them} and run this" \
      "again; ${leaves}"
}

# Prints where dockerd gets this setting from, or nothing. VALUE is as in JSON.
setting_at() { # setting_at NAME VALUE
  local word
  for word in "${kept[@]}"; do
    if [[ $(unquoted "${word}") == "--$1=${2//\"/}" ]]; then
      printf ', %s in the unit of docker.service' "${word}"
    fi
  done
  if has_key "$1" "$2"; then
    printf ', "%s": %s in %s' "$1" "$2" "${config_file}"
  fi
}

# What the site says must not be made void by what is said elsewhere.
check_settings() {
  local found=''
  if [[ " ${dockerd_words[*]} " == *' --icc=false '* ]]; then
    found=$(setting_at iptables false)$(setting_at bridge '"none"')
  fi
  [[ -z ${found} ]] ||
    die 2 \
      "the site has icc: false, and dockerd cannot keep containers apart with" \
      "${found#, }; remove that key and run this again; ${leaves}"
}

# From 23.0 on dockerd itself says what is wrong with its file. It is not given
# the flags: the certificates that they name are not installed yet.
check_config_file() {
  local text
  if [[ ! -e ${config_file} ]]; then return; fi
  text=$(dockerd --validate --config-file "${config_file}" 2>&1) && return 0
  if [[ ${text} == *'unknown flag: --validate'* ]]; then return; fi
  # The user of userns-remap it makes at its start, and cannot make here.
  if [[ ${text} == *'" user creation: '* ]]; then return; fi
  die 2 \
    "dockerd would not start with ${config_file}: ${text##*$'\n'}; correct" \
    "that file and run this again; ${leaves}"
}

check_drop_ins() {
  local file text
  local -a files
  check_writer
  if [[ -e ${drop_in} || -L ${drop_in} ]] && ! is_drop_in_ours; then
    die 2 \
      "${drop_in} is there and not made by this script; rename it, or set" \
      "drop_in in the site file; ${leaves}"
  fi
  read -r -a files < <(daemon_property DropInPaths)
  for file in "${files[@]}"; do
    [[ -e ${file} ]] ||
      die 2 \
        "a drop-in of docker.service has a blank in its name: ${files[*]};" \
        "give it another name; ${leaves}"
    if [[ ${file} -ef ${drop_in} ]]; then continue; fi
    text=$'\n'$(cat -- "${file}")
    [[ ! ${text} =~ $'\n'[[:space:]]*ExecStart[[:space:]]*= ]] ||
      die 2 \
        "${file} sets ExecStart too; remove that line and run this again;" \
        "${leaves}"
  done
}

# ---- Variables that the unit passes on --------------------------------------

# Prints the names of the variables in the words that stay.
passed_variables() {
  local text=${kept[*]} pattern='\$\{?([A-Za-z_][A-Za-z0-9_]*)(.*)$'
  while [[ ${text} =~ ${pattern} ]]; do
    printf '%s\n' "${BASH_REMATCH[1]}"
    text=${BASH_REMATCH[2]}
  done
}

# Prints what a file gives a variable, as EnvironmentFile= reads it: a line that
# ends with a backslash goes on, and so does a quoted value.
value_in_file() { # value_in_file VARIABLE FILE
  local line name='' goes_on=0
  while IFS= read -r line || [[ -n ${line} ]]; do
    if ((! goes_on)); then
      if [[ ${line} =~ ^[[:space:]]*[#\;] ]]; then continue; fi
      if [[ ${line} =~ ^[[:space:]]*([A-Za-z_][A-Za-z0-9_]*)=(.*)$ ]]; then
        name=${BASH_REMATCH[1]}
        line=${BASH_REMATCH[2]}
      fi
    fi
    goes_on=0
    if [[ ${line} == *\\ ]]; then goes_on=1; fi
    if [[ ${name} != "$1" ]]; then continue; fi
    printf '%s' "${line%\\}"
    if ((! goes_on)); then printf '\n'; fi
  done <"$2"
}

# Prints what Environment= lines give a variable.
value_in_unit() { # value_in_unit VARIABLE
  local word
  local -a words
  split_words "$(daemon_property Environment)"
  for word in "${words[@]}"; do
    word=$(unquoted "${word#\$}")
    if [[ ${word} == "$1="* ]]; then printf '%s\n' "${word#*=}"; fi
  done
}

# Prints the first word of TEXT that is an option of the drop-in's own.
own_option_in() { # own_option_in TEXT
  local word
  for word in $(unquoted "$1"); do
    if [[ ${word} =~ ^(${own_flags})(=|$) ]]; then
      printf '%s\n' "${BASH_REMATCH[1]}"
      return
    fi
  done
}

# Only a variable that the unit passes on can bring an option, from a file such
# as /etc/default/docker or from an Environment= line.
check_environment() {
  local name file found
  for name in $(passed_variables); do
    while IFS= read -r file; do
      file=${file% (ignore_errors=*}
      if [[ ! -f ${file} ]]; then continue; fi
      found=$(own_option_in "$(value_in_file "${name}" "${file}")")
      [[ -z ${found} ]] ||
        die 2 \
          "${file} passes ${found} to dockerd too; remove it" \
          "there; ${leaves}"
    done < <(daemon_property EnvironmentFiles)
    found=$(own_option_in "$(value_in_unit "${name}")")
    [[ -z ${found} ]] ||
      die 2 "an Environment= line of docker.service passes" \
        "${found} to dockerd too; systemctl cat docker.service shows" \
        "it; ${leaves}"
  done
}

# ---- Who may use the local socket -------------------------------------------

socket_property() { # socket_property PROPERTY
  unit_property docker.socket "$1"
}

# Prints the group that dockerd gives the socket when it makes it.
group_of_dockerd() {
  local word group=docker last=''
  local pattern='"group"[[:space:]]*:[[:space:]]*"([^"]*)"'
  if [[ ${settings} =~ ${pattern} ]]; then group=${BASH_REMATCH[1]}; fi
  for word in "${kept[@]}"; do
    word=$(unquoted "${word}")
    case ${last}=${word} in
      -G=* | --group=*) group=${word} ;;
      *=--group=*) group=${word#*=} ;;
      *) ;;
    esac
    last=${word}
  done
  printf '%s\n' "${group:-root}"
}

# With -H fd:// docker.socket says who may use it; with the site's flags dockerd
# makes it, for its own group and with mode 0660. Nobody may lose or win by it.
check_local_socket() {
  local now later
  if [[ $(stock_command) != *fd://* ]]; then return; fi
  if [[ $(socket_property LoadState) != loaded ]]; then return; fi
  now=$(socket_property SocketUser)
  now=${now:-root}:$(socket_property SocketGroup)
  if [[ ${now} == *: ]]; then now+=root; fi
  now+=" $(socket_property SocketMode)"
  later="root:$(group_of_dockerd) 0660"
  [[ ${now} == "${later}" ]] ||
    die 2 \
      "docker.socket makes /run/docker.sock ${now}, and dockerd without -H" \
      "fd:// would make it ${later}; set SocketUser=, SocketGroup= and" \
      'SocketMode= (systemctl edit docker.socket) and "group" in' \
      "${config_file} to the same; ${leaves}"
}

# ---- The place to listen ----------------------------------------------------

# 0.0.0.0 and :: are on every machine.
check_address() {
  local text pattern
  if is_any "${listen_hex}"; then return; fi
  case ${probe_address} in
    127.*) return ;;
    *:*)
      text=$(</proc/net/if_inet6)
      if [[ ${text} == *"${listen_hex,,}"* ]]; then return; fi
      ;;
    *)
      text=$(</proc/net/fib_trie)
      pattern="[|]-- ${probe_address//./[.]}"$'\n *'/32\ host\ LOCAL
      if [[ ${text} =~ ${pattern} ]]; then return; fi
      ;;
  esac
  die 2 \
    "this machine does not have the address ${probe_address} to listen on;" \
    'correct listen in the site file, or give the address to an interface;' \
    "${leaves}"
}

# Prints the inodes of the sockets that listen where dockerd is to listen.
sockets_in_the_way() {
  local port place inode
  printf -v port '%04X' "${listen_port}"
  while read -r place inode; do
    if [[ ${place##*:} != "${port}" ]]; then continue; fi
    is_listen_address "${place%:*}" || is_any "${place%:*}" ||
      is_any "${listen_hex}" || continue
    printf '%s\n' "${inode}"
  done < <(listening_sockets)
}

# Prints the socket units with which systemd itself listens on the port.
socket_units_on_port() {
  local place unit units=''
  while read -r place unit _; do
    if [[ :${place} == *":${listen_port}" ]]; then
      units+=", ${unit}"
    fi
  done <"${facts}/sockets"
  printf '%s\n' "${units#, }"
}

# Prints the process that has a socket open, or 0.
process_with() { # process_with INODE
  local text pattern
  text=$(<"${facts}/descriptors")
  pattern="/proc/([0-9]+)/fd/[0-9]+' -> 'socket:.$1.'"
  if [[ ${text} =~ ${pattern} ]]; then
    printf '%s\n' "${BASH_REMATCH[1]}"
  else
    printf '0\n'
  fi
}

check_port() {
  local inode pid daemon name unit
  daemon=$(daemon_property MainPID)
  for inode in $(sockets_in_the_way); do
    pid=$(process_with "${inode}")
    ((pid)) ||
      die 2 \
        "something listens on port ${listen_port} already; ${leaves}"
    if ((pid == daemon)); then continue; fi
    unit=$(socket_units_on_port)
    if ((pid == 1)) && [[ -n ${unit} ]]; then
      die 2 \
        "systemd listens on port ${listen_port} for ${unit}; take its" \
        "ListenStream= out (systemctl cat ${unit%%,*} shows it), or set" \
        "another port in the site file; ${leaves}"
    fi
    name=$(cat -- "/proc/${pid}/comm" 2>/dev/null) || name='a process'
    die 2 \
      "port ${listen_port} is in use by ${name} (process" \
      "${pid}); stop it, or set another port in the site file; ${leaves}"
  done
}

# The site's icc: true sets nothing, so that a machine may be stricter. It is
# told all the same: verification holds the machine against the site.
note_stricter_icc() {
  local where=''
  if [[ " ${dockerd_words[*]} " != *' --icc=false '* ]]; then
    where=$(where_in_file icc false)
  fi
  [[ -z ${where} ]] ||
    note \
      "${where} keeps containers of the default bridge apart, and the site" \
      'has icc: true; set icc: false for this host in the site file and' \
      'remove that key, or verification fails'
}

# A service that the next start of the machine leaves out would be set up, shown
# to work, and gone.
check_enabled() {
  [[ $(daemon_property UnitFileState) != disabled ]] ||
    die 2 \
      'docker.service is disabled: after the next start of this machine' \
      "nothing would listen on ${listen}; run: systemctl enable" \
      "docker.service; ${leaves}"
}

# What every mode checks; each names the keys of daemon.json itself.
check_machine() {
  check_enabled
  check_drop_ins
  check_environment
  check_settings
  check_config_file
  check_local_socket
  check_address
  check_port
  if [[ -n ${userns_remap} ]]; then check_subordinate_ids; fi
  note_stricter_icc
}

check_tls_conflicts() { # check_tls_conflicts ARGUMENT...
  parse_options "$@"
  read_stock_command
  read_settings
  refuse_keys 'and dockerd refuses both' \
    tls tlsverify tlscacert tlscert tlskey "${own_keys[@]}"
  check_machine
  exit "${came_to_its_end}"
}

check_plain_conflicts() { # check_plain_conflicts ARGUMENT...
  parse_options "$@"
  read_stock_command
  read_settings
  refuse_keys 'and dockerd refuses both' "${own_keys[@]}"
  refuse_keys 'and the site has mode: plain' \
    tls tlsverify tlscacert tlscert tlskey
  check_machine
  exit "${came_to_its_end}"
}
