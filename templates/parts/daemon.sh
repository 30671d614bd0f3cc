# ---- The docker daemon on this machine --------------------------------------

if [[ ${icc} == false ]]; then flags+=(--icc=false); fi
# D22: sudo dockerd --userns-remap=default &
if [[ -n ${userns_remap} ]]; then
  flags+=("--userns-remap=${userns_remap}")
fi
readonly -a flags

is_running_with_flags() {
  local arguments flag
  arguments=$'\n'$(running_arguments)$'\n'
  for flag in "tcp://${listen}" "${flags[@]}"; do
    [[ ${arguments} == *$'\n'"${flag}"$'\n'* ]] || return 1
  done
}
