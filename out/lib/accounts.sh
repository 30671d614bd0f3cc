# ---- Users and groups -------------------------------------------------------

# The sandbox cannot ask a directory service: what it says was asked outside.
accounts() { # accounts passwd|group
  if [[ -n ${facts} ]]; then
    cat -- "${facts}/$1"
  else
    getent "$1"
  fi
}

# Prints the line of a group; false where there is none.
group_entry() { # group_entry NAME
  local line
  if [[ -z ${facts} ]]; then
    getent group "$1"
    return
  fi
  while IFS= read -r line; do
    if [[ ${line} == "$1":* ]]; then
      printf '%s\n' "${line}"
      return
    fi
  done <"${facts}/group"
  return 1
}
