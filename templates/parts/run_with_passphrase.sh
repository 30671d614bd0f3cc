# Runs openssl with the passphrase on file descriptor 3 (-passin fd:3).
run_with_passphrase() { # run_with_passphrase COMMAND...
  print_command "$@"
  if [[ ${verb} != check ]]; then
    "$@" 3< <(printf '%s\n' "${passphrase}")
  fi
}
