# ---- User namespaces: what must be right, what vanishes from view -----------

remap_switched=0 # 1 once this run is to switch user namespaces on

# Prints the first of 65536 ids from 100000 on that are in no range. Reads lines
# of the first and the last id of a range.
first_gap() {
  local from to gap=100000
  while read -r from to; do
    if ((from <= gap + 65535 && to >= gap)); then gap=$((to + 1)); fi
  done < <(sort --numeric-sort)
  printf '%d\n' "${gap}"
}

# Prints the first and the last id of each range in a file.
taken_ranges() { # taken_ranges FILE
  local line
  while IFS= read -r line || [[ -n ${line} ]]; do
    if is_range "${line}"; then printf '%d %d\n' "${first}" "${last}"; fi
  done <"$1"
}

# Prints 65536 ids that nobody has, as usermod takes them.
free_ids() {
  local file gap
  gap=$(
    for file in /etc/subuid /etc/subgid; do
      taken_ranges "${file}"
      host_ids "${file}" | while IFS=: read -r _ id; do
        printf '%d %d\n' "${id}" "${id}"
      done
    done | first_gap
  )
  printf '%d-%d\n' "${gap}" $((gap + 65535))
}

# Sets own to the range that dockerd gives dockremap when it makes that user.
# From 28.0 on it looks at no other user's ranges.
predict_range() { # predict_range FILE
  local gap=100000 version
  version=$(dockerd --version)
  if [[ ! ${version} =~ version\ ([0-9]+) ]] || ((BASH_REMATCH[1] < 28)); then
    gap=$(taken_ranges "$1" | first_gap)
  fi
  own=("dockremap:${gap}:65536")
}

# dockerd makes the user of --userns-remap=default, and ranges with it. It does
# not mend one that has none.
check_subordinate_ids() {
  local user file
  [[ -n ${userns_remap} ]] || return 0
  if is_remap_switched "${userns_remap}"; then remap_switched=1; fi
  user=$(remap_user)
  if [[ ${userns_remap} != default ]]; then check_remap_user "${user}"; fi
  for file in /etc/subuid /etc/subgid; do
    [[ -e ${file} ]] ||
      die 2 \
        "there is no ${file}, which dockerd needs for --userns-remap; run:" \
        "touch /etc/subuid /etc/subgid; ${leaves}"
  done
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
  local fault
  if ! has_range "$1" "$2"; then
    if [[ ${userns_remap} == default ]] && ! has_user "$2"; then
      check_predicted_range "$1"
      return
    fi
    die 2 \
      "$1 has no range for $2, and dockerd adds none; run: usermod $3" \
      "$(free_ids) $2; ${leaves}"
  fi
  # Where dockerd has these ids already, verification says it.
  if ((! remap_switched)); then return; fi
  fault=$(range_fault "$1")
  [[ -z ${fault} ]] ||
    die 2 \
      "in $1 ${fault}; take the range of $2 out and run: usermod $3" \
      "$(free_ids) $2; ${leaves}"
}

# Before dockerd makes dockremap with ids that are not its own.
check_predicted_range() { # check_predicted_range FILE
  local fault ids
  predict_range "$1"
  fault=$(range_fault "$1")
  if [[ -z ${fault} ]]; then return; fi
  ids=$(free_ids)
  die 2 \
    "dockerd would give its user dockremap a range in $1 that is not free:" \
    "${fault}; make that user with another one: useradd --system" \
    "--user-group --shell /usr/sbin/nologin dockremap, then usermod" \
    "--add-subuids ${ids} --add-subgids ${ids} dockremap; ${leaves}"
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
  if images=$(docker -H unix:///var/run/docker.sock image ls --all --quiet \
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
  local name reasons=''
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
    [[ -z ${name} ]] || reasons+=", ${name#/}"
  done < <(docker -H unix:///var/run/docker.sock inspect --format "${format}" \
    "${ids[@]}" | sort)
  printf '%s\n' "${reasons#, }"
}

# With live-restore containers outlive dockerd. They would go on as the user
# that they have now, in no list, and their addresses would be given out again.
refuse_lost_containers() {
  local names live
  if names=$(docker -H unix:///var/run/docker.sock ps --format '{{.Names}}' \
    2>/dev/null); then
    live=$(docker -H unix:///var/run/docker.sock info \
      --format '{{.LiveRestoreEnabled}}')
    [[ ${live} == true && -n ${names} ]] || return 0
    die 2 \
      "with live-restore these containers would go on running where dockerd" \
      "finds them no more: ${names//$'\n'/, }; stop them, and run this again:" \
      "docker stop ${names//$'\n'/ }; ${leaves}"
  fi
  [[ -z $(held_containers) ]] ||
    die 2 \
      'dockerd does not answer, and containers run that it would not find;' \
      "start it (systemctl start docker), stop them (docker stop), and run" \
      "this again; ${leaves}"
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
  local file fault
  [[ -n ${userns_remap} ]] || return 0
  is_remapped || printf 'dockerd does not use user namespaces\n'
  if ((! remap_switched)); then return; fi
  # From 28.0 on dockerd gives dockremap ids that others may have.
  for file in /etc/subuid /etc/subgid; do
    read_ranges "${file}" "$(remap_user)"
    fault=$(range_fault "${file}")
    [[ -z ${fault} ]] || printf 'in %s %s\n' "${file}" "${fault}"
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
