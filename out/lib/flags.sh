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

# Prints where dockerd was told to listen besides the site's places: a file or a
# variable that is read only at its start may say so.
other_listeners() {
  local word last='' places='' socket=' unix:///var/run/docker.sock '
  while IFS= read -r word; do
    case ${last} in
      -H | --host) places+=" ${word}" ;;
      *)
        case ${word} in
          --host=*) places+=" ${word#*=}" ;;
          -H?*) places+=" ${word#-H}" ;;
          *) ;;
        esac
        ;;
    esac
    last=${word}
  done < <(running_arguments)
  places+=' '
  places=${places/"${socket}"/ }
  places=${places/" tcp://${listen} "/ }
  printf '%s\n' "${places}"
}
