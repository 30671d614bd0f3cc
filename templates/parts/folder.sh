#% include "parts/safe.sh"

# Makes a working folder; refuses one that somebody else could change.
open_folder() { # open_folder FOLDER
  if [[ $1 == "${dir}"/* ]]; then need_no_links "$1"; fi
  if [[ ! -d $1 ]]; then
    need_safe_parent "$1"
    # Another first run may have made it by now: -p finds no fault with that.
    run mkdir -p -m 0700 -- "$1"
    [[ ${verb} != check ]] || return 0
  fi
  need_safe "$1"
}
