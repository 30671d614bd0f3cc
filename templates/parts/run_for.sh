# Runs a command in the background and ends it after SECONDS: a connection waits
# for minutes where the queue of who listens is full.
run_for() { # run_for SECONDS COMMAND [ARGUMENT]...
  local pid
  "${@:2}" &
  pid=$!
  timeout "$1" tail --pid="${pid}" --sleep-interval=0.05 --follow /dev/null ||
    kill "${pid}" 2>/dev/null || true
  wait "${pid}" 2>/dev/null
}
