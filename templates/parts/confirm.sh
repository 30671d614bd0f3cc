# Goes on only after a y on the terminal, or with --yes.
confirm() { # confirm QUESTION
  local answer
  if ((yes)) || [[ ${verb} == check ]]; then return; fi
  has_terminal || die 2 "$1 There is no terminal to ask on: give --yes"
  printf '%s [y/N] ' "$1" >/dev/tty
  IFS= read -r answer </dev/tty || answer=''
  [[ ${answer} == [yY]* ]] || die 2 "not confirmed; ${leaves}"
}
