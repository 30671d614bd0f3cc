# ---- Switching user namespaces on -------------------------------------------

# Prints the running containers that dockerd starts no more with user
# namespaces, each with its reason.
refused_containers() {
  local name reasons=''
  local -a ids
  local format='{{with .HostConfig}}{{if ne .UsernsMode "host"}}'
  format+='{{if .Privileged}}{{$.Name}} (--privileged)'
  format+='{{else if eq .NetworkMode "host"}}{{$.Name}} (--network=host)'
  format+='{{else if eq .PidMode "host"}}{{$.Name}} (--pid=host)'
  format+='{{end}}{{end}}{{end}}'
  mapfile -t ids < <(ask_dockerd ps --quiet 2>/dev/null || true)
  if ((${#ids[@]} == 0)); then return; fi
  while IFS= read -r name; do
    [[ -z ${name} ]] || reasons+=", ${name#/}"
  done < <(ask_dockerd inspect --format "${format}" "${ids[@]}" | sort)
  printf '%s\n' "${reasons#, }"
}

# Says what vanishes from view, and what dockerd starts no more.
announce_userns() {
  local refused
  note \
    "with --userns-remap=${userns_remap} dockerd has another data folder. Out" \
    "of view until --undo, and not lost: $(things_in_view)"
  refused=$(refused_containers)
  [[ -z ${refused} ]] ||
    note \
      "with user namespaces dockerd refuses containers like ${refused};" \
      '--userns=host exempts one'
}

# Prints what does not hold of the user namespaces, or nothing.
userns_problem() {
  local file fault
  is_remapped || printf 'dockerd does not use user namespaces\n'
  if ((! remap_switched)); then return; fi
  # From 28.0 on dockerd gives dockremap ids that others may have.
  for file in /etc/subuid /etc/subgid; do
    read_ranges "${file}" "$(remap_user)"
    fault=$(range_fault "${file}")
    [[ -z ${fault} ]] || printf 'in %s %s\n' "${file}" "${fault}"
  done
}
