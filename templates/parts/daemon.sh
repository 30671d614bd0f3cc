# ---- The docker daemon on this machine --------------------------------------

if [[ ${icc} == false ]]; then flags+=(--icc=false); fi
# D22: sudo dockerd --userns-remap=default &
if [[ -n ${userns_remap} ]]; then
  flags+=("--userns-remap=${userns_remap}")
fi
readonly -a flags

daemon_property() { # daemon_property PROPERTY
  systemctl show --property "$1" --value docker.service
}

# Prints the command line of the running dockerd, one word a line.
running_arguments() {
  local pid
  pid=$(daemon_property MainPID)
  if ((pid)); then tr '\0' '\n' <"/proc/${pid}/cmdline"; fi
}

is_running_with_flags() {
  local arguments flag
  arguments=$'\n'$(running_arguments)$'\n'
  for flag in "tcp://${listen}" "${flags[@]}"; do
    [[ ${arguments} == *$'\n'"${flag}"$'\n'* ]] || return 1
  done
}
