# Prints how a file is wider than its owner and mode allow, or nothing. Where
# the group is root's or may do nothing, it does not matter which one it is.
file_problem() { # file_problem FILE OWNER:GROUP WIDEST_MODE
  local found owner group mode
  found=$(stat --dereference --format '%U:%G %a' -- "$1" 2>&1) || {
    printf '%s\n' "${found}"
    return
  }
  mode=$((8#${found##* }))
  owner=${found%%:*}
  group=${found#*:}
  group=${group% *}
  if (((mode & 8#070) == 0)) || [[ ${group} == root ]]; then group=${2#*:}; fi
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
