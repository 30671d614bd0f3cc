# Prints the process whose open file has the lock. The kernel's own list names
# the flock command, which has ended.
holder_of() { # holder_of FILE
  local file pid info holder=''
  for file in /proc/[0-9]*/fd/*; do
    pid=${file#/proc/}
    pid=${pid%%/*}
    [[ ${file} -ef $1 ]] || continue
    info=$(cat -- "/proc/${pid}/fdinfo/${file##*/}" 2>/dev/null) || continue
    # Commands that the holder runs have the same open file, and larger numbers.
    if [[ ${info} == *lock:* ]] && ((pid < ${holder:-pid + 1})); then
      holder=${pid}
    fi
  done
  printf '%s\n' "${holder:-unknown}"
}

# One run at a time. The lock ends with the process, however it ends. Whoever
# can open a file can lock it: this one is its owner's alone.
lock() { # lock FILE
  local lock_fd
  # One that was carried here may be anything.
  [[ ! -L $1 && (! -e $1 || -f $1) ]] ||
    die 2 "$1 is not a regular file; remove it and run this again"
  exec {lock_fd}>>"$1"
  if [[ $(stat --format '%a' -- "$1") != 600 ]]; then chmod 0600 -- "$1"; fi
  if ! flock --nonblock "${lock_fd}"; then
    note "another run holds $1 (process $(holder_of "$1")); waiting for it"
    flock "${lock_fd}"
  fi
  # A run that was waited for may have removed the file, as --undo does.
  if [[ ! $1 -ef /proc/self/fd/${lock_fd} ]]; then lock "$1"; fi
}
