# ---- User namespaces: what a switch hides from view -------------------------

remap_switched=0 # 1 once this run is to switch user namespaces on
hidden_folder='' # dockerd's data, once a switch to none leaves it behind

# Prints the value of the last --userns-remap in TEXT, or nothing.
remap_in() { # remap_in TEXT
  if [[ $1 =~ .*--userns-remap=([^[:space:]]*) ]]; then
    printf '%s\n' "${BASH_REMATCH[1]}"
  fi
}

# Whether a restart takes dockerd to another data folder. What somebody else
# gives it stays: only the drop-in from before this run counts.
is_remap_switched() { # is_remap_switched USERNS_REMAP
  local text='' before=${drop_in}
  if [[ -e ${previous} ]]; then before=${previous}/${drop_in##*/}; fi
  if [[ -e ${before} ]]; then text=$(<"${before}"); fi
  [[ $(remap_in "${text}") != "$1" ]] &&
    [[ $(remap_in "$(running_arguments)") != "$1" ]]
}

# Prints what dockerd has now.
things_in_view() {
  local images containers volumes
  if images=$(ask_dockerd image ls --all --quiet \
    2>/dev/null | sort --unique | wc -l) &&
    containers=$(ask_dockerd ps --all --quiet 2>/dev/null | wc -l) &&
    volumes=$(ask_dockerd volume ls --quiet 2>/dev/null | wc -l); then
    printf '%d image(s), %d container(s) and %d volume(s)\n' "${images}" \
      "${containers}" "${volumes}"
  else
    printf 'all images, containers and volumes (docker gives no number)\n'
  fi
}

# With live-restore containers outlive dockerd. They would go on as the user
# that they have now, in no list, and their addresses would be given out again.
refuse_lost_containers() {
  local names live
  if names=$(ask_dockerd ps --format '{{.Names}}' 2>/dev/null); then
    live=$(ask_dockerd info --format '{{.LiveRestoreEnabled}}')
    [[ ${live} != true || -z ${names} ]] ||
      die 2 \
        "with live-restore these containers would go on running where dockerd" \
        "finds them no more: ${names//$'\n'/, }; stop them, and run this" \
        "again: docker stop ${names//$'\n'/ }; ${leaves}"
  elif [[ -n $(held_containers) ]]; then
    die 2 \
      'dockerd does not answer, and containers run that it would not find;' \
      "start it (systemctl start docker), stop them (docker stop), and run" \
      "this again; ${leaves}"
  fi
}

is_remapped() {
  local text
  text=$(ask_dockerd info --format '{{.SecurityOptions}}' 2>/dev/null) &&
    [[ ${text} == *name=userns* ]]
}

# Says what vanishes from view, before it does, and keeps where it is.
announce_remap() { # announce_remap USERNS_REMAP
  if [[ -n $1 ]]; then
    announce_userns
    return
  fi
  note \
    'dockerd goes back to the data folder without user namespaces: what was' \
    'hidden there comes back. Out of view until they are on again:' \
    "$(things_in_view)"
  if is_remapped; then
    hidden_folder=$(ask_dockerd info --format '{{.DockerRootDir}}' \
      2>/dev/null) || hidden_folder=''
  fi
}

note_hidden() {
  [[ -z ${hidden_folder} ]] ||
    note \
      "kept: ${hidden_folder}, with what was made in user namespaces, and the" \
      'user whose ids it has'
}
