has_terminal() {
  { : </dev/tty; } 2>/dev/null
}
