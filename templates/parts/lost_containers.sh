# ---- Containers that run, whether dockerd lists them or not -----------------

# Prints the ids of this machine's docker containers that run, by the processes
# that hold them. A dockerd in a container and a user's own one have namespaces
# of their own: theirs are not meant.
held_containers() {
  local folder name words
  for folder in /proc/[0-9]*; do
    { read -r name <"${folder}/comm"; } 2>/dev/null || continue
    [[ ${name} == containerd-shim ]] || continue
    [[ ${folder}/ns/pid -ef /proc/self/ns/pid ]] || continue
    [[ ${folder}/ns/user -ef /proc/self/ns/user ]] || continue
    words=$(tr '\0' ' ' <"${folder}/cmdline") || continue
    if [[ ${words} =~ ' -namespace moby'.*' -id '([0-9a-f]{64})' ' ]]; then
      printf '%s\n' "${BASH_REMATCH[1]}"
    fi
  done
}

# Prints those of them that dockerd does not list. With live-restore a change of
# its data folder leaves them running, as the user that they were started as.
lost_containers() {
  local listed id lost=''
  listed=$(docker -H unix:///var/run/docker.sock ps --all --quiet --no-trunc \
    2>/dev/null) || return 0
  for id in $(held_containers); do
    if [[ ${listed} != *"${id}"* ]]; then lost+=", ${id:0:12}"; fi
  done
  printf '%s' "${lost#, }"
}
