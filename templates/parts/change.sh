# ---- Changes ----------------------------------------------------------------

changed=0 # 1 once something was changed, or would be

# Commands that change something are printed so that they can be typed again:
# --check prints them on standard output and does no more.
print_command() { # print_command WORD...
  local words
  printf -v words ' %q' "$@"
  changed=1
  if [[ ${verb} == check ]]; then
    printf '%s\n' "${words# }"
  else
    printf '+%s\n' "${words}" >&2
  fi
}

run() { # run COMMAND...
  print_command "$@"
  [[ ${verb} != check ]] || return 0
  doing=$*
  "$@" || return
  doing=''
}
