# ---- Working folders --------------------------------------------------------

# Prints why a folder is not safe to work in, or nothing.
why_unsafe() { # why_unsafe FOLDER
  if [[ ! -O $1 ]]; then
    printf '%s belongs to another user; give another --dir\n' "$1"
  elif (((8#$(stat --format '%a' -- "$1") & 8#022) != 0)); then
    printf 'others can write to %s; run: chmod go-w %s\n' "$1" "$1"
  fi
}

# Makes a working folder; refuses one that somebody else could write to.
open_folder() { # open_folder FOLDER
  local problem
  if [[ ! -d $1 ]]; then
    run mkdir -p -m 0700 -- "$1"
    [[ ${verb} != check ]] || return 0
  fi
  problem=$(why_unsafe "$1")
  [[ -z ${problem} ]] || die 2 "${problem}"
}
