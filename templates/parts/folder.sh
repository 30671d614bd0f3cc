# ---- Working folders --------------------------------------------------------

# Makes a working folder; refuses one that somebody else could write to.
open_folder() { # open_folder FOLDER
  if [[ ! -d $1 ]]; then
    run mkdir -p -m 0700 -- "$1"
    [[ ${verb} != check ]] || return 0
  fi
  [[ -O $1 ]] || die 2 "$1 belongs to another user; give another --dir"
  (((8#$(stat --format '%a' -- "$1") & 8#022) == 0)) ||
    die 2 "others can write to $1; run: chmod go-w $1"
}
