# ---- Throwaway containers ---------------------------------------------------

readonly docker_socket=unix:///var/run/docker.sock
readonly probe_label=dockseal.probe
# A container ends by itself after about this time, whatever became of the
# script that started it; --rm then removes it.
readonly probe_seconds=120
readonly -a probe_commands=(
  arping cat grep hostname httpd id ip ls mkdir nc ping ps sh sleep touch
  traceroute
)

probe_image_id=''
probe_image_made=0 # 1 once this run has imported it
image_tar=''       # what it is imported from: a tar that is there,
busybox=''         # or one that is made of this busybox
no_image_reason='' # why there is no image
probe_folder=''    # for the image's files, and what containers say
probe_run=RUN      # the label's value
probe_count=0      # each container sleeps a second longer than the last one
left_over=0        # 1 once something of a killed run was found
show_commands=0    # 1: print what starts and removes something
probe_error=''     # what docker said when a container did not start
started=''         # the id of the container that start_probe started
started_name=''    # its name
started_pid=''     # its first process, as this machine numbers it

# Runs a command that changes files; --check prints it and no more.
run_here() { # run_here WORD...
  local words
  if [[ ${verb} == check ]]; then
    printf -v words ' %q' "$@"
    printf '%s\n' "${words# }"
    return
  fi
  "$@"
}

# Runs docker on this machine. timeout puts it into a process group of its own,
# which Ctrl-C does not reach: docker cut short would leave what the daemon goes
# on to make. For the same reason its output goes to a file and not to $(...).
run_docker() { # run_docker WORD...
  local words
  printf -v words ' %q' docker -H "${docker_socket}" "$@"
  if [[ ${verb} == check ]]; then
    printf '%s\n' "${words# }"
    return
  fi
  if ((show_commands)); then printf '+%s\n' "${words}" >&2; fi
  timeout 60 docker -H "${docker_socket}" "$@" \
    >"${probe_folder}/output" 2>"${probe_folder}/error"
}

ask_docker() { # ask_docker WORD...
  timeout 60 docker -H "${docker_socket}" "$@" 2>/dev/null
}

is_answering() {
  ask_docker version --format '{{.Server.Version}}' >/dev/null
}

# Whether dockerd was told to make no default bridge: "bridge": "none".
lacks_default_bridge() {
  local listed
  listed=$(ask_docker network ls --format '{{.Name}}') || return
  [[ $'\n'${listed}$'\n' != *$'\n'bridge$'\n'* ]]
}

# Runs a command in a container, for what it prints.
in_probe() { # in_probe ID COMMAND...
  timeout 30 docker -H "${docker_socket}" exec "$@"
}

# ---- What is left is removed ------------------------------------------------

# Without --all docker lists no container that has stopped, and docker 29 no
# image without a name.
list_labelled() { # list_labelled container|network|image LABEL
  local -a all=(--all)
  if [[ $1 == network ]]; then all=(); fi
  ask_docker "$1" ls "${all[@]}" --quiet --no-trunc --filter "label=$2"
}

# Removes containers, networks and images that carry LABEL, each by its id, and
# waits until they are gone: --rm may be at it already. Fails when some stay. In
# the EXIT trap a return without a status has that of before the trap.
remove_labelled() { # remove_labelled LABEL
  local tries kind text
  local -a ids force=(--force --volumes)
  for ((tries = 0; tries < 50; tries++)); do
    for kind in container network image; do
      text=$(list_labelled "${kind}" "$1") || return 1
      if [[ -n ${text} ]]; then break; fi
    done
    if [[ -z ${text} ]]; then return 0; fi
    left_over=1
    mapfile -t ids <<<"${text}"
    if [[ ${kind} != container ]]; then force=(); fi
    run_docker "${kind}" rm "${force[@]}" "${ids[@]}" || sleep 0.2
  done
  return 1
}

# For the EXIT trap. A second Ctrl-C does not stop it.
remove_probes() {
  trap '' HUP INT TERM
  if [[ -z ${probe_folder} ]]; then return 0; fi
  remove_labelled "${probe_label}=${probe_run}" ||
    note "containers with the label ${probe_label}=${probe_run} may be left;" \
      'they end by themselves, and the next run removes what is left'
  rm -rf -- "${probe_folder}"
  probe_folder=''
}

# What a killed run left. One run at a time: nobody else is using it.
remove_stale_probes() {
  local folder
  left_over=0
  remove_labelled "${probe_label}" ||
    note "containers or images with the label ${probe_label} cannot be removed"
  for folder in /run/dockseal-probe.*; do
    if [[ ! -d ${folder} || ${folder} == "${probe_folder}" ]]; then continue; fi
    rm -rf -- "${folder}"
    left_over=1
  done
}

# Removes what is left of a killed run, where dockerd can be asked.
undo_probes() {
  if ! command -v docker >/dev/null || ! is_answering; then
    note 'dockerd does not answer: what a killed run left there stays'
    exit 0
  fi
  trap remove_probes EXIT
  open_probe_folder
  ((left_over)) || note 'nothing to do'
  exit 0
}

# ---- The image --------------------------------------------------------------

# A root file system with busybox, and a link for each of its commands.
make_probe_files() { # make_probe_files BUSYBOX
  local name
  run_here mkdir -m 0755 -- "${probe_folder}/image" "${probe_folder}/image/bin"
  run_here install -m 0755 -T -- "$1" "${probe_folder}/image/bin/busybox"
  for name in "${probe_commands[@]}"; do
    run_here ln -s -- busybox "${probe_folder}/image/bin/${name}"
  done
  run_here tar --create --directory "${probe_folder}/image" \
    --file "${probe_folder}/image.tar" .
}

no_image() { # no_image REASON...
  no_image_reason=$*
  return 1
}

import_probe_image() { # import_probe_image TAR
  run_docker import --change "LABEL ${probe_label}=${probe_run}" "$1" || {
    no_image "docker import $1: $(<"${probe_folder}/error")"
    return
  }
  probe_image_made=1
  probe_image_id=IMAGE
  [[ ${verb} == check ]] || probe_image_id=$(<"${probe_folder}/output")
}

# A named image, else the tar that came with the scripts, else the busybox of
# this machine. Nothing is pulled.
choose_probe_image() {
  if [[ -n ${probe_image} ]]; then
    probe_image_id=$(ask_docker image inspect --format '{{.Id}}' \
      "${probe_image}") ||
      no_image "the image ${probe_image} is not on this host; load it (docker" \
        'load), or take probe_image out of the site file. Images from before' \
        'user namespaces were switched on have to be loaded again'
  elif [[ -e ${dir}/probe-image.tar ]]; then
    image_tar=${dir}/probe-image.tar
  elif ! busybox=$(type -P busybox); then
    no_image 'there is no image for the throwaway containers: install the' \
      'package busybox-static, or carry the files of a container with busybox' \
      "here (docker export) as ${dir}/probe-image.tar, or set probe_image in" \
      'the site file'
  fi
}

get_probe_image() {
  if [[ -n ${busybox} ]]; then
    make_probe_files "${busybox}"
    image_tar=${probe_folder}/image.tar
  fi
  [[ -z ${image_tar} ]] || import_probe_image "${image_tar}"
}

# Runs the image once, by its id. A busybox that is not static, or a tar made by
# docker save, does not start.
try_probe_image() {
  local text found
  text="id -u; for name in ${probe_commands[*]}; do"
  text+=" command -v \$name >/dev/null || echo \$name; done"
  run_docker run --rm --label "${probe_label}=${probe_run}" --network none \
    "${probe_image_id}" sh -c "${text}" || {
    no_image 'no command runs in the image for the throwaway containers:' \
      "$(<"${probe_folder}/error") It has to be a root file system with a" \
      'static busybox: install the package busybox-static, or make the tar' \
      'with docker export'
    return
  }
  if [[ ${verb} == check ]]; then return; fi
  found=$(<"${probe_folder}/output")
  [[ ${found} == 0 ]] ||
    no_image 'in the image for the throwaway containers commands have to run' \
      "as user 0, and none may be missing; found user ${found//$'\n'/, no }"
}

# Takes the lock, removes what killed runs left, and sets probe_image_id; fails
# with no_image_reason where there is no image. Needs root.
find_probe_image() {
  if [[ -n ${no_image_reason} ]]; then return 1; fi
  if [[ -n ${probe_image_id} ]]; then return; fi
  if ! command -v docker >/dev/null; then
    no_image 'docker is not installed; run this on the Docker host'
    return
  elif ! is_answering; then
    no_image "dockerd does not answer on ${docker_socket}; start it:" \
      'systemctl start docker.service'
    return
  fi
  # Images are named by id, and built for the daemon's own machine.
  unset DOCKER_DEFAULT_PLATFORM DOCKER_CONTENT_TRUST
  choose_probe_image || return
  open_probe_folder
  get_probe_image && try_probe_image && return
  probe_image_id=''
  return 1
}

# Root alone can write to /run: no name there is somebody else's. Containers
# with another user's rights read below it.
open_probe_folder() {
  if [[ ${verb} == check ]]; then
    run_here mktemp -d /run/dockseal-probe.XXXXXXXX
    probe_folder=/run/dockseal-probe.${probe_run}
    run_here chmod -- 0755 "${probe_folder}"
    return
  fi
  lock /run/dockseal.lock
  trap 'exit 129' HUP
  trap 'exit 130' INT
  trap 'exit 143' TERM
  probe_folder=$(mktemp -d /run/dockseal-probe.XXXXXXXX)
  chmod -- 0755 "${probe_folder}"
  probe_run=${probe_folder##*.}
  remove_stale_probes
}

# ---- Containers -------------------------------------------------------------

# Starts a container of this name, or NAME-RUN where the name is taken. It
# sleeps; a COMMAND runs beside that. Fails with probe_error.
start_probe() { # start_probe NAME OPTION... -- [COMMAND...]
  local name=$1
  local -a options=() command
  shift
  while [[ $1 != -- ]]; do
    options+=("$1")
    shift
  done
  probe_count=$((probe_count + 1))
  command=(sleep "$((probe_seconds + probe_count))")
  if (($# > 1)); then
    command=(sh -c "\"\$@\" & ${command[*]} & wait \$!" sh "${@:2}")
  fi
  if ask_docker container inspect "${name}" >/dev/null; then
    name+=-${probe_run}
  fi
  run_docker run --detach --rm --label "${probe_label}=${probe_run}" \
    "${options[@]}" --name "${name}" "${probe_image_id}" "${command[@]}" || {
    probe_error=$(<"${probe_folder}/error")
    return 1
  }
  read_started "${name}"
}

# Sets started, started_name and started_pid; with --check there is a name only.
read_started() { # read_started NAME
  started=$1
  started_name=$1
  if [[ ${verb} == check ]]; then return; fi
  started=$(<"${probe_folder}/output")
  started_pid=$(ask_docker inspect --format '{{.State.Pid}}' "${started}") || {
    probe_error='it ended at once'
    return 1
  }
}
