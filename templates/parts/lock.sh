# Prints the process whose open file has the lock. The kernel's own list names
# the flock command, which has ended.
holder_of() { # holder_of FOLDER
  local file pid info holder=''
  for file in /proc/[0-9]*/fd/*; do
    pid=${file#/proc/}
    pid=${pid%%/*}
    [[ ${file} -ef $1 ]] || continue
    info=$(<"/proc/${pid}/fdinfo/${file##*/}") || continue
    # Commands that the holder runs have the same open file, and larger numbers.
    if [[ ${info} == *lock:* ]] && ((pid < ${holder:-pid + 1})); then
      holder=${pid}
    fi
  done
  printf '%s\n' "${holder:-unknown}"
} 2>/dev/null

# One run at a time. The lock ends with the process, however it ends.
lock() { # lock FOLDER
  local lock_fd
  exec {lock_fd}<"$1"
  if flock --nonblock "${lock_fd}"; then return; fi
  note "another run works in $1 (process $(holder_of "$1")); waiting for it"
  flock "${lock_fd}"
}
