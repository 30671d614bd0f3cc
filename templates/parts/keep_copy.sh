# Copies a file, and has the copy on the disk before it counts.
keep_copy() { # keep_copy FILE COPY
  run cp -pT -- "$1" "$2"
  run sync -- "$2"
}
