# ---- Undo -------------------------------------------------------------------

# What --undo removes, or would: --check prints what then becomes empty too.
declare -A removed=()

remove_file() { # remove_file FILE
  if [[ -e $1 || -L $1 ]]; then run rm -f -- "$1"; fi
  removed[$1]=1
}

# Certificates and keys are listed and kept, unless --remove-keys.
undo_working_files() { # undo_working_files FILE...
  local file
  for file in "$@"; do
    [[ -e ${file} || -L ${file} ]] || continue
    need_no_links "${file%/*}"
    if ((remove_keys)); then
      remove_file "${file}"
    else
      note "kept: ${file} (--undo --remove-keys removes it)"
    fi
  done
}

# True when a folder holds its lock and nothing else that stays.
is_left_empty() { # is_left_empty FOLDER
  local entry
  [[ -d $1 && ! -L $1 ]] || return 1
  while IFS= read -r entry; do
    [[ ${entry} == .lock || -n ${removed["$1/${entry}"]:-} ]] || return 1
  done < <(ls -A -- "$1")
}

# Removes a working folder once it is empty, and those above it up to DIR. A
# killed run may have removed some of them.
undo_folder() { # undo_folder FOLDER
  local path=$1
  need_no_links "$1"
  while [[ ${path}/ == "${dir}"/* ]]; do
    if [[ -e ${path} || -L ${path} ]]; then
      if ! is_left_empty "${path}"; then return; fi
      remove_file "${path}/.lock"
      run rmdir -- "${path}"
    fi
    removed[${path}]=1
    path=${path%/*}
  done
}
