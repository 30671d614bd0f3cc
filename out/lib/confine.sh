# ---- A sandbox of the kernel for what only looks ----------------------------

# What only looks runs here, as a user whom no file belongs to, with the right to
# read any file. It cannot write but to a /tmp of its own, reach docker.sock or
# another local socket, listen, look into other processes or send them signals,
# or get more rights. Home folders and --dir, where the keys of clients and of
# the CA are, are empty there, but for the scripts and the CA's certificate.
readonly -a sandbox=(
  --property=DynamicUser=yes
  --property=CapabilityBoundingSet=CAP_DAC_READ_SEARCH
  --property=AmbientCapabilities=CAP_DAC_READ_SEARCH
  --property=NoNewPrivileges=yes
  --property=ProtectSystem=strict
  --property='ReadOnlyPaths=/proc /sys /dev'
  --property=PrivateTmp=yes
  --property=PrivateDevices=yes
  --property='RestrictAddressFamilies=AF_INET AF_INET6'
  --property=RestrictNamespaces=yes
  --property=SystemCallArchitectures=native
  --property=SystemCallFilter=@system-service
  --property='SystemCallFilter=~listen io_uring_setup'
  --property=SystemCallErrorNumber=EPERM
  --property=IgnoreSIGPIPE=no
  --property=TimeoutStopSec=5
  --property=RuntimeMaxSec=600
)

# True where these hold. 4 is that right, as linux/capability.h counts.
is_confined() {
  local status
  status=$(cat /proc/self/status)
  ((EUID != 0)) &&
    [[ ${status} == *$'\nCapBnd:\t0000000000000004\n'* &&
      ${status} == *$'\nNoNewPrivs:\t1\n'* &&
      ${status} == *$'\nSeccomp:\t2\n'* ]]
}

# The status of what has come to its end there: systemd says 0 of what it stops.
readonly came_to_its_end=100

# Prints a path as systemd reads one in a list.
listed_path() { # listed_path PATH
  local text=${1//\\/\\\\}
  printf '"%s"\n' "${text//\"/\\\"}"
}

# Prints what every process has open; a command line holds so many names.
list_descriptors() {
  local -a files
  local first
  files=(/proc/[0-9]*/fd/*)
  for ((first = 0; first < ${#files[@]}; first += 5000)); do
    stat --format '%N' -- "${files[@]:first:5000}" 2>/dev/null || true
  done
}

# Keeps what systemd says of a unit: each property in a file of its own.
keep_properties() { # keep_properties UNIT
  local line
  while IFS= read -r line; do
    if [[ ${line} =~ ^[A-Za-z0-9]+= ]]; then
      printf '%s\n' "${line#*=}" >>"${facts}/$1.${line%%=*}"
    fi
  done < <(TZ=UTC systemctl show --all "$1")
}

# Asks, as root, what cannot be asked from the sandbox: who can ask systemd can
# also tell it what to do, and who sees what processes have open can take it.
ask_outside() {
  local unit pid
  local -a triggers
  keep_properties docker.service
  pid=$(daemon_property MainPID)
  # One that starts again and again may be gone.
  cat -- "/proc/${pid}/cmdline" >"${facts}/cmdline" 2>/dev/null || true
  cat -- "/proc/${pid}/stat" >"${facts}/stat" 2>/dev/null || true
  read -r -a triggers < <(daemon_property TriggeredBy)
  for unit in docker.socket "${triggers[@]}"; do
    if [[ ! -e ${facts}/${unit}.Id ]]; then keep_properties "${unit}"; fi
  done
  systemctl show --property=UnitPath --value >"${facts}/unit-path"
  systemctl list-sockets --all --full --no-legend >"${facts}/sockets"
  list_descriptors >"${facts}/descriptors"
  getent passwd >"${facts}/passwd"
  getent group >"${facts}/group"
  getent group docker >>"${facts}/group" || true
}

# Prints a folder, or those that a pattern matches. For a missing one, prints
# where it could be made: by its own name, and by that to which a link on the way
# leads.
folder_or_above() { # folder_or_above FOLDER
  local path
  if [[ -d $1 ]]; then
    printf '%s\n' "$1"
    return
  elif [[ $1 == *[*?[]* ]] && compgen -G "$1"; then
    return
  fi
  for path in "$1" "$(realpath --canonicalize-missing -- "${1:-/}")"; do
    while [[ ! -d ${path:-/} ]]; do path=${path%/*}; done
    printf '%s\n' "${path:-/}"
  done
}

# Prints the folder of a file, of each link on the way to it, and of what the
# last one leads to.
folders_on_the_way() { # folders_on_the_way FILE
  local path=$1 links=0
  folder_or_above "${path%/*}"
  while [[ -L ${path} ]] && ((links < 40)); do
    links=$((links + 1))
    path=$(cd -- "${path%/*}" && realpath --no-symlinks -- \
      "$(readlink -- "${path}")")
    folder_or_above "${path%/*}"
  done
}

# Prints a unit's name and the folders of its drop-ins, as systemd.unit(5) calls
# them: of its kind, of each of its names, and of what a name begins with.
places_of_unit() { # places_of_unit UNIT
  local name kind=${1##*.}
  local -a known
  read -r -a known < <(unit_property "$1" Names)
  printf '%s\n' "$1" "${kind}.d/"
  for name in "${known[@]}"; do
    printf '%s.d/\n' "${name}"
    name=${name%.*}
    while [[ ${name} == *-* ]]; do
      name=${name%-*}
      printf '%s-.%s.d/\n' "${name}" "${kind}"
    done
  done
}

# Prints where systemd would find files for docker.service and docker.socket,
# whether there is one or not.
places_of_units() {
  local place path
  local -a paths
  read -r -a paths <"${facts}/unit-path"
  while IFS= read -r place; do
    for path in "${paths[@]}"; do printf '%s/%s\n' "${path}" "${place}"; done
  done < <(
    places_of_unit docker.service
    places_of_unit docker.socket
  )
}

# Prints the folders in which dockerd finds what it is told and shown, and those
# in which another file could be put that it would find.
folders_of_daemon() {
  local file
  while IFS= read -r file; do
    if [[ ${file} == /* ]]; then folders_on_the_way "${file}"; fi
  done < <(
    if [[ -n ${tls_directory:-} ]]; then
      printf '%s\n' "${tls_directory}" "${tls_directory}"/*.pem
    fi
    printf '%s\n' "${drop_in}" "${config_file:-}"
    data_folder
    daemon_property FragmentPath
    programs_of_units
    files_of_service
    files_of_variables
    files_of_socket
    places_of_units
    options_file
  )
}

# True where a folder is none of those that dockerd reads from: it can be hidden.
can_be_hidden() { # can_be_hidden FOLDER USED
  if [[ $'\n'$2$'\n' == *$'\n'"$1"[/$'\n']* ]]; then
    note "dockerd reads files of $1: it is not hidden from what follows"
    return 1
  fi
}

# Sets mounts to what is hidden in the sandbox, and what can be read all the
# same.
choose_mounts() {
  local path used homes=tmpfs
  mounts=()
  used=$(folders_of_daemon)
  for path in /home /root /run/user; do
    can_be_hidden "${path}" "${used}" || homes=read-only
  done
  # systemd 257 cannot hide such a folder, nor show what is in one.
  if [[ ${dir} == *[:\\\"\']* ]]; then
    note "${dir} has a colon, a quote or a backslash in its name: nothing is" \
      'hidden from what follows'
    homes=read-only
  elif [[ -d ${dir} ]] && can_be_hidden "${dir}" "${used}"; then
    mounts+=(--property="TemporaryFileSystem=$(listed_path "${dir}"):ro")
  fi
  mounts+=(--property="ProtectHome=${homes}")
  path=$(realpath -- "${lib}/..")
  for path in "${path}" \
    "${dir}"/{ca/authorities,{ca,"${script%/*}"}/ca-public}.pem; do
    mounts+=(--property="BindReadOnlyPaths=-$(listed_path "${path}")")
  done
}

# Whatever ended this script, the sandbox ends with it.
close_facts() {
  systemctl --quiet stop "${facts##*/}" 2>/dev/null || true
  rm -rf -- "${facts}"
}

# A killed run leaves its folder, which has the number of its process.
remove_stale_facts() {
  local folder process
  for folder in /run/dockseal-confined.*; do
    process=${folder##*.}
    if [[ -d ${folder} && ! -e /proc/${process%_*} ]]; then
      rm -rf -- "${folder}"
    fi
  done
}

# Makes the folder for what is asked outside of the sandbox.
open_facts() {
  remove_stale_facts
  facts=$(mktemp -d "/run/dockseal-confined.$$_XXXXXXXX")
  trap close_facts EXIT
  trap 'exit 129' HUP
  trap 'exit 130' INT
  trap 'exit 143' TERM
  ask_outside
}

# Runs this script again in the sandbox, and ends where that does not end well.
run_confined() {
  local self status=0
  local -a mounts words
  self=$(realpath -- "$0")
  words=("${self}" --dir "${dir}" --confined "${facts}")
  if ((json)); then words+=(--json); fi
  choose_mounts
  # Whoever has the terminal could ask for a passphrase there: cat has it. For
  # systemd $$ is a $ that begins no variable.
  {
    systemd-run --quiet --pipe --wait --collect --unit "${facts##*/}" \
      --setenv=HOME=/nonexistent "${sandbox[@]}" "${mounts[@]}" \
      /bin/bash -p -- "${words[@]//'$'/'$$'}" </dev/null 2>&1 >&3 | cat >&2
  } 3>&1 | cat || status=$?
  # systemd.exec(5): from 200 on it could not be made; 255 is a signal.
  ((status != 0 && status < 200)) ||
    die 1 "systemd made no sandbox, or ended it (status ${status});" \
      "journalctl --unit ${facts##*/} says why; ${leaves}"
  # A time limit of systemd's ends with 1 too, and says nothing.
  ((status != 1)) || note "the sandbox has ended with status 1; ${leaves}"
  ((status == came_to_its_end)) || exit "${status}"
  close_facts
  facts=''
  trap - EXIT HUP INT TERM
}
