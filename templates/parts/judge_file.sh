# Prints who is in a group, and whose own group it is, one a line.
members_of() { # members_of GROUP
  local entry gid members user own
  entry=$(getent group "$1") || return 1
  IFS=: read -r _ _ gid members <<<"${entry}"
  printf '%s\n' "${members//,/$'\n'}"
  while IFS=: read -r user _ _ own _; do
    if [[ ${own} == "${gid}" ]]; then printf '%s\n' "${user}"; fi
  done < <(getent passwd)
}

# True when everybody in a group is in the expected one too.
is_narrower_group() { # is_narrower_group GROUP EXPECTED
  local user found expected
  found=$(members_of "$1") || return 1
  expected=$(members_of "$2") || return 1
  while read -r user; do
    if [[ -n ${user} && ${user} != root &&
      $'\n'${expected}$'\n' != *$'\n'"${user}"$'\n'* ]]; then
      return 1
    fi
  done <<<"${found}"
}

# Prints how a file is wider than its owner and mode allow, or nothing. Which
# group it is does not matter where it may do nothing or adds nobody.
file_problem() { # file_problem FILE OWNER:GROUP WIDEST_MODE
  local found owner group mode
  found=$(stat --dereference --format '%U:%G %a' -- "$1" 2>&1) || {
    printf '%s\n' "${found}"
    return
  }
  mode=$((8#${found##* }))
  # The group's bits are then what any user of the list may have.
  if (((mode & 8#070) != 0)) && [[ $(ls -ldL -- "$1") == ??????????+* ]]; then
    printf '%s has an access control list: getfacl shows it, setfacl -b' "$1"
    printf ' removes it\n'
    return
  fi
  owner=${found%%:*}
  group=${found#*:}
  group=${group% *}
  if (((mode & 8#070) == 0)) || [[ ${group} == root ]] ||
    is_narrower_group "${group}" "${2#*:}"; then
    group=${2#*:}
  fi
  if [[ ${owner}:${group} != "$2" ]] || (((mode & ~8#$3) != 0)); then
    printf '%s is %s, expected %s %s or less\n' "$1" "${found}" "$2" "$3"
  fi
}

judge_file() { # judge_file ID FILE OWNER:GROUP WIDEST_MODE [CIS_ITEM]
  asked="stat --format '%U:%G %a' $2"
  judge "$1" "$2 is $3 $4 or less" "$(file_problem "$2" "$3" "$4")" \
    "$(stat --dereference --format '%U:%G %a' -- "$2" 2>&1 || true)" \
    "chown $3 $2; chmod $4 $2" "${5:-}"
}
