# One run at a time. The lock ends with the process, however it ends.
lock() { # lock FOLDER
  local lock_fd inode holder
  exec {lock_fd}<"$1"
  if flock --nonblock "${lock_fd}"; then return; fi
  inode=$(stat --format ':%i' -- "$1")
  holder=unknown
  while read -r _ _ _ _ pid place _; do
    [[ ${place} != *"${inode}" ]] || holder=${pid}
  done </proc/locks
  note "another run works in $1 (process ${holder}); waiting for it"
  flock "${lock_fd}"
}
