# Copies a file, or a link as it is, and has it on the disk before it counts.
keep_copy() { # keep_copy FILE COPY
  run cp -PpT -- "$1" "$2"
  if [[ ! -L $1 ]]; then run sync -- "$2"; fi
}
