# ---- Subordinate ids: what containers get in place of the host's ------------

# Prints the user whose ranges dockerd takes; dockremap it makes itself.
remap_user() {
  if [[ ${userns_remap} == default ]]; then
    printf 'dockremap\n'
  else
    printf '%s\n' "${userns_remap}"
  fi
}

has_user() { # has_user NAME
  id -u -- "$1" &>/dev/null
}

# Sets owner, first and last from a line; false for what is no range.
is_range() { # is_range LINE
  if [[ ! $1 =~ ^([^:]+):([0-9]+):([1-9][0-9]*)$ ]]; then return 1; fi
  owner=${BASH_REMATCH[1]}
  first=${BASH_REMATCH[2]}
  last=$((first + BASH_REMATCH[3] - 1))
}

# Sets own and others to the lines of a file that are USER's, by name or number,
# and to all other users'.
read_ranges() { # read_ranges FILE USER
  local line uid
  own=()
  others=()
  uid=$(id -u -- "$2" 2>/dev/null) || uid=$2
  while IFS= read -r line || [[ -n ${line} ]]; do
    is_range "${line}" || continue
    if [[ ${owner} == "$2" || ${owner} == "${uid}" ]]; then
      own+=("${line}")
    else
      others+=("${line}")
    fi
  done < <(cat -- "$1" 2>/dev/null || true)
}

has_range() { # has_range FILE USER
  read_ranges "$1" "$2"
  ((${#own[@]}))
}

# ---- What is wrong with the ids of a user -----------------------------------

# Each of these reads own and others, as read_ranges sets them.

# Prints a line of the user and another user's with the same ids in it. Who has
# ids in common can reach the files of the other's containers.
shared_range() {
  local mine other own_first own_last
  for mine in "${own[@]}"; do
    is_range "${mine}"
    own_first=${first} own_last=${last}
    for other in "${others[@]}"; do
      is_range "${other}"
      if ((first > own_last || own_first > last)); then continue; fi
      printf 'these have ids in common: %s and %s' "${mine}" "${other}"
      return
    done
  done
}

# Prints a range that is too short: images have files of all users up to nobody,
# 65534.
short_range() {
  local mine count=0
  for mine in "${own[@]}"; do count=$((count + ${mine##*:})); done
  if ((count && count < 65536)); then
    printf '%s has %d ids, and containers need 65536' "${own[*]}" "${count}"
  fi
}

# Prints the names and ids of this machine's accounts: users for /etc/subuid;
# groups for /etc/subgid, and those that have no name but a user's.
host_ids() { # host_ids FILE
  if [[ $1 == /etc/subuid ]]; then
    accounts passwd | cut -d : -f 1,3
  else
    accounts group | cut -d : -f 1,3
    accounts passwd | cut -d : -f 1,4
  fi
}

# Prints an account whose id is a container's too: whoever has that id in a
# container has the account's files.
account_in_range() { # account_in_range FILE
  local ids name id mine
  # All of them first: who writes to a reader that is gone fails.
  ids=$(host_ids "$1")
  while IFS=: read -r name id; do
    if [[ ! ${id} =~ ^[0-9]+$ ]]; then continue; fi
    for mine in "${own[@]}"; do
      is_range "${mine}"
      if ((id < first || last < id)); then continue; fi
      printf '%s holds %d, the id of the account %s' "${mine}" "${id}" "${name}"
      return
    done
  done <<<"${ids}"
}

# Prints what is wrong with the ranges in own, or nothing.
range_fault() { # range_fault FILE
  local fault
  fault=$(shared_range)
  if [[ -z ${fault} ]]; then fault=$(account_in_range "$1"); fi
  if [[ -z ${fault} ]]; then fault=$(short_range); fi
  printf '%s' "${fault}"
}
