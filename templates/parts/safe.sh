# ---- Folders that nobody else can change ------------------------------------

# Prints why another user could change what is in a folder, or nothing.
why_unsafe() { # why_unsafe FOLDER
  local owner mode
  read -r owner mode < <(stat --dereference --format '%u %a' -- "$1")
  if ((owner != EUID && owner != 0)); then
    printf '%s belongs to another user; give another --dir\n' "$1"
  elif (((8#${mode} & 8#022) != 0)); then
    printf 'others can write to %s; run: chmod go-w %s\n' "$1" "$1"
  else
    why_replaceable "$1"
  fi
}

# Who can write to a folder above can put another one in its place, and who owns
# a link on the way can turn it; in a sticky folder only an entry's owner can.
why_replaceable() { # why_replaceable FOLDER
  local mode owner part user
  user=$(id -un)
  while read -r mode owner _ part; do
    if [[ ${owner} != root && ${owner} != "${user}" ]]; then
      printf '%s could replace %s: %s on its path is theirs\n' "${owner}" \
        "$1" "${part}"
    elif [[ ${mode} =~ ^d....w...[^tT]|^d.......w[^tT] ]]; then
      printf 'others could replace %s: they can write to %s on its path\n' \
        "$1" "${part}"
    else
      continue
    fi
    return
  done < <(namei --long -- "$1" | tail --lines=+2)
}

# Below DIR no link is followed: a folder that was carried here may hold one.
need_no_links() { # need_no_links PATH
  local path=${dir} part
  local -a parts
  IFS=/ read -r -a parts <<<"${1#"${dir}"/}"
  for part in "${parts[@]}"; do
    path+=/${part}
    [[ ! -L ${path} ]] ||
      die 2 "${path} is a link; put what it leads to in its place"
  done
}

need_safe() { # need_safe FOLDER
  local problem
  problem=$(why_unsafe "$1")
  [[ -z ${problem} ]] || die 2 "${problem}"
}

# What is made in a sticky folder, such as /tmp, is its owner's alone.
need_safe_parent() { # need_safe_parent FOLDER
  local parent=${1%/*}/ problem=''
  if [[ -d ${parent} ]]; then
    problem=$(why_replaceable "${parent}")
  elif [[ ${verb} != check ]]; then
    problem="there is no folder ${parent}; make it, or give another --dir"
  fi
  [[ -z ${problem} ]] || die 2 "${problem}"
}
