# ---- Who listens where: the kernel's own tables -----------------------------

# The kernel lists addresses in groups of four octets, each group reversed.
reverse_octets() { # reverse_octets HEX
  local group text=''
  for ((group = 0; group < ${#1}; group += 8)); do
    text+=${1:group+6:2}${1:group+4:2}${1:group+2:2}${1:group:2}
  done
  printf '%s\n' "${text}"
}

# True for 0.0.0.0 and ::, which stand for every address.
is_any() { # is_any HEX
  [[ ! $1 =~ [^0] ]]
}

# Prints ADDRESS:PORT in hexadecimal and the inode of each listening socket.
listening_sockets() {
  local place state inode
  while read -r _ place _ state _ _ _ _ _ inode _; do
    [[ ${state} != 0A ]] || printf '%s %s\n' "${place}" "${inode}"
  done < <(cat /proc/net/tcp /proc/net/tcp6 2>/dev/null)
}

is_listen_address() { # is_listen_address HEX: the site's, as the kernel has it
  local own
  own=$(reverse_octets "${listen_hex}")
  [[ $1 == "${own}" ]] || { is_any "$1" && is_any "${own}"; }
}
