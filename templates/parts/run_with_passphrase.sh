# Runs openssl with the passphrase on file descriptor 3 (-passin fd:3).
run_with_passphrase() { # run_with_passphrase COMMAND...
  print_command "$@"
  [[ ${verb} != check ]] || return 0
  doing=$*
  "$@" 3< <(printf '%s\n' "${passphrase}") || return
  doing=''
}
