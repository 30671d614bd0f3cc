# Prints how a file differs from the owner and the widest mode, or nothing.
file_problem() { # file_problem FILE OWNER:GROUP WIDEST_MODE
  local found
  found=$(stat --dereference --format '%U:%G %a' -- "$1" 2>&1) || {
    printf '%s\n' "${found}"
    return
  }
  if [[ ${found% *} != "$2" ]] || (((8#${found#* } & ~8#$3) != 0)); then
    printf '%s is %s, expected %s %s or less\n' "$1" "${found}" "$2" "$3"
  fi
}

judge_file() { # judge_file ID FILE OWNER:GROUP WIDEST_MODE [CIS_ITEM]
  asked="stat --format '%U:%G %a' $2"
  judge "$1" "$2 is $3 $4 or less" "$(file_problem "$2" "$3" "$4")" \
    "$(stat --dereference --format '%U:%G %a' -- "$2" 2>&1 || true)" \
    "chown $3 $2; chmod $4 $2" "${5:-}"
}
