has_terminal() {
  : 2>/dev/null </dev/tty
}
