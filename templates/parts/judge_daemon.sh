# ---- The daemon's own files and flags ---------------------------------------

# The widest modes that the CIS Docker Benchmark allows.
verify_daemon_files() {
  judge_file FILE-4 /etc/docker root:root 755 '3.5 and 3.6'
  judge_file FILE-5 "${drop_in}" root:root 644 '3.1 and 3.2'
  judge_file FILE-6 "$(daemon_property FragmentPath)" root:root 644 \
    '3.1 and 3.2'
  judge_file FILE-7 /var/run/docker.sock root:docker 660 '3.15 and 3.16'
}

verify_flags() { # verify_flags [CIS_ITEM]
  local problem='' flag what="dockerd runs with -H tcp://${listen}"
  for flag in "${flags[@]}"; do what+=" ${flag%%=/*}"; done
  asked='tr "\0" "\n" </proc/MAINPID/cmdline'
  is_running_with_flags || problem='dockerd runs without them'
  judge DAEMON-1 "${what}" "${problem}" "$(running_arguments)" \
    'run 20-configure-daemon.sh' "${1:-}"
}

# ---- User namespaces --------------------------------------------------------

# Prints what does not hold: the option, and the folder of the remapped ids.
remap_problem() { # remap_problem INFO
  local root=${1##*/} file id
  [[ $1 == *name=userns* ]] || printf 'no name=userns; '
  for file in /etc/subuid:"${root%.*}" /etc/subgid:"${root#*.}"; do
    id=${file#*:}
    read_ranges "${file%:*}" "$(remap_user)"
    [[ " ${own[*]} " == *:"${id}":* ]] ||
      printf 'the data folder is not of a range of %s in %s; ' \
        "$(remap_user)" "${file%:*}"
  done
}

verify_remap() {
  local what='dockerd uses user namespaces' info problem lost
  local remedy='run 20-configure-daemon.sh'
  if [[ -z ${userns_remap} ]]; then
    report USERNS-1 SKIP "${what}" 'the site has no userns_remap' '' 2.9
    return
  fi
  asked="docker info --format '{{.SecurityOptions}} {{.DockerRootDir}}'"
  info=$(docker -H unix:///var/run/docker.sock info \
    --format '{{.SecurityOptions}} {{.DockerRootDir}}' 2>&1) || true
  problem=$(remap_problem "${info}")
  lost=$(lost_containers)
  if [[ -n ${lost} ]]; then
    problem+="containers run that dockerd does not list: ${lost}"
    remedy+=' --undo, stop them (docker stop), and run it again'
  fi
  judge USERNS-1 "${what} of $(remap_user)" "${problem%; }" "${info}" \
    "${remedy}" 2.9
}

verify_ranges() {
  local what='nobody else has the ids of containers' file problem=''
  local user evidence='' fault
  if [[ -z ${userns_remap} ]]; then
    report USERNS-2 SKIP "${what}" 'the site has no userns_remap' '' 2.9
    return
  fi
  asked='cat /etc/subuid /etc/subgid; getent passwd; getent group'
  user=$(remap_user)
  for file in /etc/subuid /etc/subgid; do
    has_range "${file}" "${user}" || problem+="no range of ${user} in ${file}; "
    fault=$(range_fault "${file}")
    [[ -z ${fault} ]] || problem+="in ${file} ${fault}; "
    evidence+="${file}: ${own[*]}; "
  done
  judge USERNS-2 "${what}" "${problem%; }" "${evidence%; }" \
    "give ${user} 65536 ids of its own in both files: usermod(8)" 2.9
}
