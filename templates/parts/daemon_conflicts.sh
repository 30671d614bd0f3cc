# ---- What would make dockerd refuse -----------------------------------------

# Options that the drop-in sets: in daemon.json, and on the command line.
own_keys=(hosts)
own_flags='-H|--host|--tls'
if [[ ${icc} == false ]]; then
  own_keys+=(icc)
  own_flags+='|--icc'
fi
if [[ -n ${userns_remap} ]]; then
  own_keys+=(userns-remap)
  own_flags+='|--userns-remap'
fi
readonly -a own_keys
readonly own_flags

# Stops when daemon.json sets one of these keys.
refuse_keys() { # refuse_keys REASON KEY...
  local file=/etc/docker/daemon.json word key text
  for word in "${kept[@]}"; do
    if [[ ${word} == --config-file=* ]]; then file=${word#*=}; fi
  done
  [[ -e ${file} ]] || return 0
  text=$(<"${file}")
  for key in "${@:2}"; do
    [[ ! ${text} =~ \"${key}\"[[:space:]]*: ]] ||
      die 2 \
        "${file} sets \"${key}\" too, $1; remove that key and run this" \
        "again; ${leaves}"
  done
}

check_drop_ins() {
  local file text
  local -a files
  if [[ -e ${drop_in} && $(<"${drop_in}") != "${marker}"* ]]; then
    die 2 \
      "${drop_in} is there and not made by this script; rename it, or set" \
      "drop_in in the site file; ${leaves}"
  fi
  read -r -a files < <(daemon_property DropInPaths)
  for file in "${files[@]}"; do
    [[ ${file} != "${drop_in}" ]] || continue
    text=$'\n'$(<"${file}")
    [[ ! ${text} =~ $'\n'[[:space:]]*ExecStart[[:space:]]*= ]] ||
      die 2 \
        "${file} sets ExecStart too; remove that line and run this again;" \
        "${leaves}"
  done
}

# Where $DOCKER_OPTS comes from, which the unit passes on: files such as
# /etc/default/docker, and Environment= lines.
check_environment() {
  local file line
  while read -r file _; do
    [[ -r ${file#-} ]] || continue
    while IFS= read -r line; do
      [[ ! ${line} =~ ^[A-Z_]+=.*(${own_flags}) ]] ||
        die 2 \
          "${file#-} passes ${BASH_REMATCH[1]} to dockerd too; remove it" \
          "there; ${leaves}"
    done <"${file#-}"
  done < <(daemon_property EnvironmentFiles)
  [[ ! $(daemon_property Environment) =~ [A-Z_]+=.*(${own_flags}) ]] ||
    die 2 "an Environment= line of docker.service passes" \
      "${BASH_REMATCH[1]} to dockerd too; systemctl cat docker.service shows" \
      "it; ${leaves}"
}

# 0.0.0.0 and :: are on every machine.
check_address() {
  local text pattern
  case ${listen_address} in
    0.0.0.0 | :: | 127.*) return ;;
    *:*)
      text=$(</proc/net/if_inet6)
      [[ ${text} != *"${listen_hex,,}"* ]] || return 0
      ;;
    *)
      text=$(</proc/net/fib_trie)
      pattern="[|]-- ${listen_address//./[.]}"$'\n *'/32\ host\ LOCAL
      [[ ! ${text} =~ ${pattern} ]] || return 0
      ;;
  esac
  die 2 \
    "this machine does not have the address ${listen_address} to listen on;" \
    'correct listen in the site file, or give the address to an interface;' \
    "${leaves}"
}

# Prints the inodes of the sockets that listen where dockerd is to listen.
sockets_in_the_way() {
  local port place inode
  printf -v port '%04X' "${listen_port}"
  while read -r place inode; do
    [[ ${place##*:} == "${port}" ]] || continue
    is_listen_address "${place%:*}" || is_any "${place%:*}" ||
      is_any "${listen_hex}" || continue
    printf '%s\n' "${inode}"
  done < <(listening_sockets)
}

check_port() {
  local inode text pid daemon pattern
  daemon=$(daemon_property MainPID)
  for inode in $(sockets_in_the_way); do
    text=$(stat --format '%N' /proc/[0-9]*/fd/* 2>/dev/null) || true
    pid=0
    pattern="/proc/([0-9]+)/fd/[0-9]+' -> 'socket:.${inode}.'"
    if [[ ${text} =~ ${pattern} ]]; then
      pid=${BASH_REMATCH[1]}
    fi
    ((pid)) ||
      die 2 \
        "something listens on port ${listen_port} already; ${leaves}"
    if ((pid == daemon)); then continue; fi
    die 2 \
      "port ${listen_port} is in use by $(<"/proc/${pid}/comm") (process" \
      "${pid}); stop it, or set another port in the site file; ${leaves}"
  done
}

# The site's icc: true sets nothing, so that a machine may be stricter. It is
# told all the same: verification holds the machine against the site.
note_stricter_icc() {
  local where=''
  if [[ ${icc} == true ]]; then where=$(where_in_file icc false); fi
  [[ -z ${where} ]] ||
    note \
      "${where} keeps containers of the default bridge apart, and the site" \
      'has icc: true; set icc: false for this host in the site file and' \
      'remove that key, or verification fails'
}

# dockerd does not start with icc off where it may not filter.
check_filter() {
  local where=''
  if [[ ${icc} == false ]]; then where=$(where_in_file iptables false); fi
  [[ -z ${where} ]] ||
    die 2 \
      "the site has icc: false, and dockerd cannot keep containers apart with" \
      "${where}; remove that key and run this again; ${leaves}"
}

# What every mode checks; each names the keys of daemon.json itself.
check_machine() {
  check_drop_ins
  check_environment
  check_address
  check_port
  check_subordinate_ids
  check_filter
  note_stricter_icc
}
