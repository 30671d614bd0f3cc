# ---- What must be right for user namespaces ---------------------------------

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
