# ---- User namespaces: what must be right, what vanishes from view -----------

# Prints 65536 ids that nobody has, as usermod takes them.
free_ids() {
  local line free=100000
  while IFS= read -r line; do
    if is_range "${line}" && ((last >= free)); then free=$((last + 1)); fi
  done < <(cat /etc/subuid /etc/subgid 2>/dev/null || true)
  printf '%d-%d\n' "${free}" $((free + 65535))
}

# dockerd makes the user of --userns-remap=default, and ranges with it. It does
# not mend one that has none.
check_subordinate_ids() {
  local user
  [[ -n ${userns_remap} ]] || return 0
  user=$(remap_user)
  if [[ ${userns_remap} != default ]]; then check_remap_user "${user}"; fi
  check_ranges /etc/subuid "${user}" --add-subuids
  check_ranges /etc/subgid "${user}" --add-subgids
}

check_remap_user() { # check_remap_user USER
  has_user "$1" ||
    die 2 \
      "there is no user $1 for userns_remap; run: useradd --system" \
      "--user-group --shell /usr/sbin/nologin $1, or set userns_remap:" \
      "default; ${leaves}"
  getent group "$1" >/dev/null ||
    die 2 \
      "there is no group $1, which dockerd takes too; run: groupadd $1;" \
      "${leaves}"
}

check_ranges() { # check_ranges FILE USER OPTION
  local overlap
  if ! has_range "$1" "$2"; then
    if [[ ${userns_remap} == default ]] && ! has_user "$2"; then return; fi
    die 2 \
      "$1 has no range for $2, and dockerd adds none; run: usermod $3" \
      "$(free_ids) $2; ${leaves}"
  fi
  overlap=$(overlap_in "$1" "$2")
  [[ -z ${overlap} ]] ||
    die 2 \
      "in $1 these have ids in common: ${overlap}; take the range of $2 out" \
      "and run: usermod $3 $(free_ids) $2; ${leaves}"
}

# Prints the value of the last --userns-remap in TEXT, or nothing.
remap_in() { # remap_in TEXT
  local text=$1
  [[ ${text} == *--userns-remap=* ]] || return 0
  text=${text##*--userns-remap=}
  printf '%s\n' "${text%%[[:space:]]*}"
}

# Whether a restart takes dockerd to another data folder. What somebody else
# gives it stays: only the drop-in from before this run counts.
is_remap_switched() { # is_remap_switched USERNS_REMAP
  local text='' before=${drop_in}
  if [[ -e ${previous} ]]; then before=${previous}/${drop_in##*/}; fi
  if [[ -e ${before} ]]; then text=$(<"${before}"); fi
  [[ $(remap_in "${text}") != "$1" ]] &&
    [[ $(remap_in "$(running_arguments)") != "$1" ]]
}

# Prints what dockerd has now.
things_in_view() {
  local images containers volumes
  if images=$(docker -H unix:///var/run/docker.sock image ls --quiet \
    2>/dev/null | sort --unique | wc -l) &&
    containers=$(docker -H unix:///var/run/docker.sock ps --all --quiet \
      2>/dev/null | wc -l) &&
    volumes=$(docker -H unix:///var/run/docker.sock volume ls --quiet \
      2>/dev/null | wc -l); then
    printf '%d image(s), %d container(s) and %d volume(s)\n' "${images}" \
      "${containers}" "${volumes}"
  else
    printf 'all images, containers and volumes (docker gives no number)\n'
  fi
}

# Prints the running containers that dockerd starts no more with user
# namespaces, each with its reason.
refused_containers() {
  local name names=''
  local -a ids
  local format='{{with .HostConfig}}{{if ne .UsernsMode "host"}}'
  format+='{{if .Privileged}}{{$.Name}} (--privileged)'
  format+='{{else if eq .NetworkMode "host"}}{{$.Name}} (--network=host)'
  format+='{{else if eq .PidMode "host"}}{{$.Name}} (--pid=host)'
  format+='{{end}}{{end}}{{end}}'
  mapfile -t ids < <(docker -H unix:///var/run/docker.sock ps --quiet \
    2>/dev/null || true)
  ((${#ids[@]})) || return 0
  while IFS= read -r name; do
    [[ -z ${name} ]] || names+=", ${name#/}"
  done < <(docker -H unix:///var/run/docker.sock inspect --format "${format}" \
    "${ids[@]}" | sort)
  printf '%s\n' "${names#, }"
}

announce_remap() { # announce_remap USERNS_REMAP
  local refused
  if [[ -z $1 ]]; then
    note \
      'dockerd goes back to the data folder without user namespaces: what was' \
      "hidden there comes back. Out of view until they are on again:" \
      "$(things_in_view)"
    return
  fi
  note \
    "with --userns-remap=$1 dockerd has another data folder. Out of view" \
    "until --undo, and not lost: $(things_in_view)"
  refused=$(refused_containers)
  [[ -z ${refused} ]] ||
    note \
      "with user namespaces dockerd refuses containers like ${refused};" \
      '--userns=host exempts one'
}

# Prints what does not hold of the user namespaces, or nothing.
userns_problem() {
  local file overlap
  [[ -n ${userns_remap} ]] || return 0
  is_remapped || printf 'dockerd does not use user namespaces\n'
  # From 28.0 on dockerd gives dockremap ids that others may have.
  for file in /etc/subuid /etc/subgid; do
    overlap=$(overlap_in "${file}" "$(remap_user)")
    [[ -z ${overlap} ]] ||
      printf 'in %s these have ids in common: %s\n' "${file}" "${overlap}"
  done
}

is_remapped() {
  local text
  text=$(docker -H unix:///var/run/docker.sock info \
    --format '{{.SecurityOptions}}' 2>/dev/null) || return 1
  [[ ${text} == *name=userns* ]]
}

# Sets left to what --userns-remap has made, before it is switched off.
find_remap_data() { # find_remap_data USERNS_REMAP: the one that is to be
  left=''
  [[ -z $1 ]] && is_remap_switched "$1" && is_remapped || return 0
  left=$(docker -H unix:///var/run/docker.sock info \
    --format '{{.DockerRootDir}}' 2>/dev/null) || left=''
}

note_remap_data() {
  [[ -z ${left} ]] ||
    note \
      "kept: ${left}, with what was made in user namespaces, and the user" \
      'whose ids it has'
}
