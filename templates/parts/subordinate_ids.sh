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
  [[ $1 =~ ^([^:]+):([0-9]+):([1-9][0-9]*)$ ]] || return 1
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

# Prints a line of USER and another user's with the same ids in it, or nothing.
# Who has ids in common can reach the files of the other's containers.
overlap_in() { # overlap_in FILE USER
  local mine other own_first own_last
  read_ranges "$1" "$2"
  for mine in "${own[@]}"; do
    is_range "${mine}"
    own_first=${first} own_last=${last}
    for other in "${others[@]}"; do
      is_range "${other}"
      ((first <= own_last && own_first <= last)) || continue
      printf '%s and %s\n' "${mine}" "${other}"
      return
    done
  done
}

has_range() { # has_range FILE USER
  read_ranges "$1" "$2"
  ((${#own[@]}))
}
