# ---- Undo -------------------------------------------------------------------

# Undo: certificates and keys are listed and kept, unless --remove-keys.
undo_working_files() { # undo_working_files FILE...
  local file
  for file in "$@"; do
    [[ -e ${file} ]] || continue
    if ((remove_keys)); then
      run rm -f -- "${file}"
    else
      note "kept: ${file} (--undo --remove-keys removes it)"
    fi
  done
}

# Undo: removes a working folder, and the folders above it, once they are empty.
undo_folder() { # undo_folder FOLDER
  if [[ -d $1 && -z $(ls -A -- "$1") ]]; then
    run rmdir --parents --ignore-fail-on-non-empty -- "$1"
  fi
}
