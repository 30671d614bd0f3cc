# True when both files are there and hold the same bytes: in a variable bash
# drops NUL bytes.
is_same_file() { # is_same_file FILE FILE
  [[ -f $1 && -f $2 ]] && cmp --quiet -- "$1" "$2"
}
