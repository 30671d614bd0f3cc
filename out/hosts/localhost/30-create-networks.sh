#!/usr/bin/env bash
# Creates the docker networks of one host. Between two containers of a network
# with icc false no packet passes; 90-verify.sh shows it.
#
# Reads:      /etc/docker/daemon.json
# Writes:     /run/dockseal.lock; network isolated
# Restarts:   nothing
# Needs root: yes
# Undo:       removes the networks that this script made, except those that
#             containers are attached to: it names them, and ends with 1
# Options:    --dir DIR (~/docker-tls)  --yes  --check
#             --undo [--remove-keys]  --help
# Status:     0 done, 1 failed, 2 wrong use, 3 --check found changes to make
case ${BASH_VERSION:-} in
  '')
    printf 'error: this script needs bash; run: bash %s\n' "$0" >&2
    exit 2
    ;;
  *) ;;
esac
# A clean start: the script runs again with nothing of the caller's environment
# but what is named here. exec keeps the process, so that its number tells the
# second start from the first; in POSIX mode it is no exported function. A
# proxy's user and password stay behind: everybody can see arguments.
if [[ ${clean_start:-} != "$$" ]]; then
  POSIXLY_CORRECT=1
  set +k
  http_proxy=${http_proxy:-} HTTP_PROXY=${HTTP_PROXY:-}
  https_proxy=${https_proxy:-} HTTPS_PROXY=${HTTPS_PROXY:-}
  exec /usr/bin/env -i clean_start="$$" HOME="${HOME:-}" \
    DOCKER_HOST="${DOCKER_HOST:-}" DOCKER_CONTEXT="${DOCKER_CONTEXT:-}" \
    DOCKER_TLS="${DOCKER_TLS:-}" DOCKER_TLS_VERIFY="${DOCKER_TLS_VERIFY:-}" \
    DOCKER_CERT_PATH="${DOCKER_CERT_PATH:-}" \
    DOCKER_CONFIG="${DOCKER_CONFIG:-}" \
    DOCKER_API_VERSION="${DOCKER_API_VERSION:-}" \
    http_proxy="${http_proxy##*@}" HTTP_PROXY="${HTTP_PROXY##*@}" \
    https_proxy="${https_proxy##*@}" HTTPS_PROXY="${HTTPS_PROXY##*@}" \
    no_proxy="${no_proxy:-}" NO_PROXY="${NO_PROXY:-}" \
    /bin/bash -p -- "${BASH_SOURCE[0]}" "$@"
fi
unset clean_start
if ((BASH_VERSINFO[0] * 100 + BASH_VERSINFO[1] < 404)); then
  printf 'error: bash 4.4 or newer is needed, found %s\n' "${BASH_VERSION}" >&2
  exit 2
fi
set -Eeuo pipefail
shopt -s inherit_errexit
umask 077
ulimit -c 0
# Fixed, so that nobody's environment decides which programs run, which
# certificates openssl trusts and which of its settings are the machine's own,
# or which daemon docker talks to.
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export LC_ALL=C SSL_CERT_FILE=/dev/null SSL_CERT_DIR=/dev/null
export OPENSSL_CONF=/dev/null
# Kept for the scripts that judge them.
caller_variables=()
for variable in DOCKER_{HOST,CONTEXT,TLS,TLS_VERIFY,CERT_PATH} \
  DOCKER_{CONFIG,API_VERSION} {http,https,no}_proxy {HTTP,HTTPS,NO}_PROXY; do
  if [[ -n ${!variable} ]]; then
    caller_variables+=("${variable}=${!variable}")
  fi
  unset -v "${variable}"
done
readonly -a caller_variables

readonly script='hosts/localhost/30-create-networks.sh'
# Each row: name, icc, internal, subnet, IPv6 subnet (an empty subnet is one of
# docker's choice, an empty IPv6 subnet is no IPv6).
readonly -a networks=(
  'isolated' 'false' 'false' '' ''
)

# ==== Below this line every site has the same bytes ==========================

# ---- Shared by every script -------------------------------------------------

verb=apply # apply, check or undo
dir=''     # working folder; docker-tls in the home folder without --dir
yes=0
remove_keys=0
renew=0
new_key=0
now=0    # 1: --now
stage='' # begin, switch or finish
passphrase_file=''
passphrase='' # of the CA key: in this variable alone, which is not exported
json=0
junit=''                     # the file for --junit
to=''                        # the file for --to
restore_from=''              # the file for --restore
containers=1                 # 0: --no-containers
leaves='nothing was changed' # the state to report when a command fails

# Names and logs may be a stranger's: bytes that a terminal would obey become
# blanks. Line ends stay.
plain_text() { # plain_text TEXT
  printf '%s' "${1//[^[:print:]$'\n']/ }"
}

die() { # die STATUS MESSAGE...
  printf 'error: %s: %s\n' "${script}" "$(plain_text "${*:2}")" >&2
  exit "$1"
}

note() { # note MESSAGE...
  printf '%s: %s\n' "${script}" "$(plain_text "$*")" >&2
}

doing='' # the printed command that runs now

on_error() { # on_error LINE COMMAND
  die 1 "line $1 failed: ${doing:-$2}; state: ${leaves}"
}
trap 'on_error "${LINENO}" "${BASH_COMMAND}"' ERR

# The comment at the top of the script is its manual.
print_help() {
  local line
  while IFS= read -r line; do
    [[ ${line} == '#'* ]] || break
    [[ ${line} == '#!'* ]] || printf '%s\n' "${line#'#'}"
  done <"${BASH_SOURCE[0]}"
}

# The home folder of the user who runs this: where the caller names none, that
# of passwd(5). Another user's would get files that are not theirs.
find_home() {
  if [[ -z ${HOME} ]]; then
    IFS=: read -r _ _ _ _ _ HOME _ < <(getent passwd "${EUID}") ||
      die 2 "user ${EUID} has no home folder; set HOME to one"
  fi
  [[ ! -e ${HOME} || -O ${HOME} ]] ||
    die 2 "HOME is ${HOME}, another user's folder; with sudo, give it -H too"
}

# What may not be looked at is not what is not there.
need_access() { # need_access FOLDER
  local path=$1
  while [[ ! -e ${path} && ${path} == /*/* ]]; do path=${path%/*}; done
  [[ ! -d ${path} || -x ${path} ]] ||
    die 2 "$(id -un) may not look into ${path}; run this as its owner does," \
      'with sudo where that is root, or give another --dir'
}

# setup.sh hands the passphrase over on a descriptor. It is read and closed
# here, before a program is started that would inherit it.
take_passphrase() { # take_passphrase FILE
  local descriptor
  passphrase_file=$1
  if [[ ! $1 =~ ^/dev/fd/([0-9]+)$ ]]; then return; fi
  descriptor=${BASH_REMATCH[1]}
  IFS= read -r passphrase <&"${descriptor}" || [[ -n ${passphrase} ]] ||
    die 2 "$1 holds no passphrase"
  exec {descriptor}<&-
}

parse_options() { # parse_options ARGUMENT...
  local option
  while (($# > 0)); do
    option=$1
    shift
    [[ ${accepts} == *" ${option} "* ]] ||
      die 2 "unknown option ${option}; --help lists them"
    case ${option} in
      --check | --undo)
        [[ ${verb} == apply ]] || die 2 'give one of --check and --undo'
        verb=${option#--}
        ;;
      --yes) yes=1 ;;
      --remove-keys) remove_keys=1 ;;
      --json) json=1 ;;
      --no-containers) containers=0 ;;
      --renew) renew=1 ;;
      --new-key) new_key=1 ;;
      --now) now=1 ;;
      --begin | --switch | --finish)
        [[ -z ${stage} ]] || die 2 'give one of --begin, --switch and --finish'
        stage=${option#--}
        ;;
      --help)
        print_help
        exit 0
        ;;
      --dir | --passphrase-file | --junit | --to | --restore)
        [[ -n ${1:-} ]] || die 2 "${option} needs a value"
        case ${option} in
          --dir) dir=$1 ;;
          --junit) junit=$1 ;;
          --to) to=$1 ;;
          --restore) restore_from=$1 ;;
          *) take_passphrase "$1" ;;
        esac
        shift
        ;;
      *) die 2 "option ${option} is not handled" ;;
    esac
  done
  ((! remove_keys)) || [[ ${verb} == undo ]] ||
    die 2 '--remove-keys goes with --undo'
  ((! new_key || renew)) || die 2 '--new-key goes with --renew'
  ((! renew)) || [[ ${verb} != undo ]] ||
    die 2 '--renew does not go with --undo'
  find_home
  dir=$(realpath --canonicalize-missing -- "${dir:-${HOME}/docker-tls}")
  need_access "${dir}"
}

need_openssl() {
  local found
  command -v openssl >/dev/null ||
    die 2 'openssl is not installed; install the package openssl'
  found=$(openssl version)
  [[ ${found} =~ ^OpenSSL\ ([0-9]+)\.([0-9]+)\.([0-9]+) ]] ||
    die 2 "OpenSSL 1.1.1 or newer is needed, found ${found}"
  ((BASH_REMATCH[1] * 10000 + BASH_REMATCH[2] * 100 + BASH_REMATCH[3] >= \
  10101)) || die 2 "OpenSSL 1.1.1 or newer is needed, found ${found}"
}

# ---- Changes ----------------------------------------------------------------

changed=0 # 1 once something was changed, or would be

# Whoever changes something says so first. What was printed is what was done:
# the state to report when a command fails.
begin_change() {
  changed=1
  if [[ ${verb} != check && ${leaves} == 'nothing was changed' ]]; then
    leaves='the lines above that begin with + were run, the last one perhaps in'
    leaves+=' part; run this again to finish'
  fi
}

# Commands that change something are printed so that they can be typed again:
# --check prints them on standard output and does no more.
print_line() { # print_line TEXT
  begin_change
  if [[ ${verb} == check ]]; then
    printf '%s\n' "$1"
  else
    printf '+ %s\n' "$1" >&2
  fi
}

print_command() { # print_command WORD...
  local words
  printf -v words ' %q' "$@"
  print_line "${words# }"
}

run() { # run COMMAND...
  print_command "$@"
  [[ ${verb} != check ]] || return 0
  doing=$*
  "$@" || return
  doing=''
}

waits=0 # 1: a file has to be carried here before there is more to do

# Ends the script with the status of its verb.
finish() {
  if [[ ${verb} == check ]] && ((changed)); then exit 3; fi
  if ((waits)); then exit 5; fi
  ((changed)) || note 'nothing to do'
  exit 0
}

# Prints the process whose open file has the lock. The kernel's own list names
# the flock command, which has ended.
holder_of() { # holder_of FILE
  local file pid info holder=''
  for file in /proc/[0-9]*/fd/*; do
    pid=${file#/proc/}
    pid=${pid%%/*}
    [[ ${file} -ef $1 ]] || continue
    info=$(cat -- "/proc/${pid}/fdinfo/${file##*/}" 2>/dev/null) || continue
    # Commands that the holder runs have the same open file, and larger numbers.
    if [[ ${info} == *lock:* ]] && ((pid < ${holder:-pid + 1})); then
      holder=${pid}
    fi
  done
  printf '%s\n' "${holder:-unknown}"
}

# One run at a time. The lock ends with the process, however it ends. Whoever
# can open a file can lock it: this one is its owner's alone.
lock() { # lock FILE
  local lock_fd
  # One that was carried here may be anything.
  [[ ! -L $1 && (! -e $1 || -f $1) ]] ||
    die 2 "$1 is not a regular file; remove it and run this again"
  exec {lock_fd}>>"$1"
  if [[ $(stat --format '%a' -- "$1") != 600 ]]; then chmod 0600 -- "$1"; fi
  if ! flock --nonblock "${lock_fd}"; then
    note "another run holds $1 (process $(holder_of "$1")); waiting for it"
    flock "${lock_fd}"
  fi
  # A run that was waited for may have removed the file, as --undo does.
  if [[ ! $1 -ef /proc/self/fd/${lock_fd} ]]; then lock "$1"; fi
}

# ---- What dockerd is told, on its command line and in its file --------------

daemon_property() { # daemon_property PROPERTY
  systemctl show --property "$1" --value docker.service
}

# Prints the command line of the running dockerd, one word a line.
running_arguments() {
  local pid
  pid=$(daemon_property MainPID)
  if [[ -r /proc/${pid}/cmdline ]] && ((pid)); then
    cat -- "/proc/${pid}/cmdline" 2>/dev/null | tr '\0' '\n' || true
  fi
}

# Prints the file that dockerd reads its options from.
options_file() {
  local word file=/etc/docker/daemon.json is_next=0
  while IFS= read -r word; do
    if ((is_next)); then file=${word}; fi
    is_next=0
    case ${word} in
      --config-file=*) file=${word#*=} ;;
      --config-file) is_next=1 ;;
      *) ;;
    esac
  done < <(running_arguments)
  printf '%s\n' "${file}"
}

# Prints where the file says that an option is true, or false, or nothing.
where_in_file() { # where_in_file OPTION true|false
  local file pattern="\"$1\"[[:space:]]*:[[:space:]]*$2"
  file=$(options_file)
  if [[ -e ${file} && $(<"${file}") =~ ${pattern} ]]; then
    printf '"%s": %s in %s\n' "$1" "$2" "${file}"
  fi
}

# The same of the command line and the file.
where_option_is() { # where_option_is OPTION true|false
  local words values='1|t|T|TRUE|true|True'
  if [[ $2 == false ]]; then values='0|f|F|FALSE|false|False'; fi
  words=$'\n'$(running_arguments)$'\n'
  if [[ ${words} =~ $'\n'--$1=(${values})$'\n' ]] ||
    [[ $2 == true && ${words} == *$'\n'"--$1"$'\n'* ]]; then
    printf "%s=%s on dockerd's command line\n" "--$1" "$2"
  else
    where_in_file "$1" "$2"
  fi
}

# ---- The networks of this host ----------------------------------------------

readonly network_columns=5
readonly icc_option=com.docker.network.bridge.enable_icc

# Sets the row_ variables to the row that starts at word FIRST of the table.
read_row() { # read_row FIRST
  row_name=${networks[$1]}
  row_icc=${networks[$1 + 1]}
  row_internal=${networks[$1 + 2]}
  row_subnet=${networks[$1 + 3]}
  row_ipv6_subnet=${networks[$1 + 4]}
}

# Sets row_id, which is empty where there is no such network. docker itself
# would also take the beginning of an id for a name.
find_network() { # find_network NAME
  local id name text
  row_id=''
  text=$(docker -H unix:///var/run/docker.sock network ls --no-trunc \
    --format '{{.ID}} {{.Name}}')
  while read -r id name; do
    if [[ ${name} == "$1" ]]; then row_id=${id}; fi
  done < <(printf '%s\n' "${text}")
}

# Prints what docker says of a network: an option and its value a line. As JSON,
# because docker 29 has words of its own for an address that is not there.
network_facts() { # network_facts ID
  docker -H unix:///var/run/docker.sock network inspect --format \
    'driver {{json .Driver}}
internal {{json .Internal}}
ipv6 {{json .EnableIPv6}}
script {{json (index .Labels "dockseal.script")}}
{{range .IPAM.Config}}subnet {{json .Subnet}}
ip-range {{json .IPRange}}
{{end}}{{range $option, $value := .Options}}{{$option}} {{json $value}}
{{end}}' "$1"
}

# Adds a line to differences, unless FOUND is what is EXPECTED.
expect_option() { # expect_option OPTION FOUND EXPECTED
  if [[ $2 != "$3" ]]; then
    differences+="${row_name}: $1: found ${2:-none}, expected ${3:-none}"$'\n'
  fi
}

# Sets properties: what the network row_id has. docker may add whether it does
# IPv4 and IPv6 at all.
read_options() {
  local option value
  properties=(["${icc_option}"]=true [subnet]='' [ipv6_subnet]='')
  while read -r option value; do
    value=${value#\"}
    value=${value%\"}
    case ${option} in
      subnet)
        if [[ ${value} == *:* ]]; then option=ipv6_subnet; fi
        properties[${option}]+="${properties[${option}]:+ }${value}"
        ;;
      ip-range)
        if [[ -n ${value} ]]; then properties[${option}]=${value}; fi
        ;;
      '' | com.docker.network.enable_ipv[46]) ;;
      *) properties[${option}]=${value} ;;
    esac
  done < <(network_facts "${row_id}")
}

# Adds to differences how the network row_id is not as its row says. docker
# chooses a subnet itself where the row has none. What else a network of this
# product has comes from dockerd's default-network-opts.
compare_network() {
  local option subnet ipv6=false
  local -A properties
  read_options
  subnet=${row_subnet:-${properties[subnet]}}
  if [[ -n ${row_ipv6_subnet} ]]; then ipv6=true; fi
  expect_option driver "${properties[driver]:-}" bridge
  expect_option icc "${properties[${icc_option}]}" "${row_icc}"
  expect_option internal "${properties[internal]:-}" "${row_internal}"
  expect_option ipv6 "${properties[ipv6]:-}" "${ipv6}"
  expect_option subnet "${properties[subnet]}" "${subnet}"
  expect_option ipv6_subnet "${properties[ipv6_subnet]}" "${row_ipv6_subnet}"
  if [[ -n ${properties[script]:-} ]]; then return; fi
  for option in "${!properties[@]}"; do
    case ${option} in
      driver | internal | ipv6 | script | subnet | ipv6_subnet) ;;
      "${icc_option}") ;;
      *) expect_option "${option}" "${properties[${option}]}" '' ;;
    esac
  done
}

# ---- What isolation depends on ----------------------------------------------

# Whether dockerd has this version or a newer one.
is_dockerd_from() { # is_dockerd_from MAJOR MINOR PATCH
  local text
  text=$(docker -H unix:///var/run/docker.sock version \
    --format '{{.Server.Version}}')
  [[ ${text} =~ ^([0-9]+)\.([0-9]+)\.([0-9]+) ]] &&
    ((BASH_REMATCH[1] * 1000000 + BASH_REMATCH[2] * 1000 + BASH_REMATCH[3] >= \
    $1 * 1000000 + $2 * 1000 + $3))
}

# Without br_netfilter the packets between two containers never meet iptables,
# and dockerd 20.10 does no more than warn. From 27.3.1 on dockerd loads it and
# sets this to 1 when it makes the first isolated network.
bridge_filter_problem() { # bridge_filter_problem iptables|ip6tables
  local file=/proc/sys/net/bridge/bridge-nf-call-$1 setting=missing
  if [[ -r ${file} ]]; then setting=$(<"${file}"); fi
  if [[ ${setting} != 1 ]]; then
    printf '%s is %s, expected 1\n' "${file}" "${setting}"
  fi
}

# Prints why dockerd does not filter the packets of an isolated network, or
# nothing. Before 27.0 it leaves IPv6 alone unless it is told to filter it.
filter_problem() { # filter_problem iptables|ip6tables
  local where
  where=$(where_option_is "$1" false)
  if [[ $1 == ip6tables && -z $(where_option_is ip6tables true) ]] &&
    ! is_dockerd_from 27 0 0; then
    printf '%s %s\n' 'this dockerd does not filter IPv6; set "ip6tables":' \
      "true and \"experimental\": true in $(options_file) and restart docker"
  elif [[ -n ${where} ]]; then
    printf 'dockerd has %s; take it out and restart docker\n' "${where}"
  fi
}

# ---- Routes: what this machine reaches through its interfaces ---------------

# Prints the routes of IPv4 a line each: interface, destination in hexadecimal,
# how many of its bits count, flags. The kernel lists the bytes of a number from
# the last to the first.
ipv4_routes() {
  local interface to flags mask bits
  while read -r interface to _ flags _ _ _ mask _; do
    [[ ${flags} != Flags ]] || continue
    mask=$((16#${mask:6:2}${mask:4:2}${mask:2:2}${mask:0:2}))
    bits=0
    while ((bits < 32 && mask >> (31 - bits) & 1)); do bits=$((bits + 1)); done
    printf '%s %s %d %s\n' "${interface}" \
      "${to:6:2}${to:4:2}${to:2:2}${to:0:2}" "${bits}" "${flags}"
  done </proc/net/route
}

# The same of IPv6, where the kernel has it.
ipv6_routes() {
  local interface to bits flags
  [[ -r /proc/net/ipv6_route ]] || return 0
  while read -r to bits _ _ _ _ _ _ flags interface; do
    printf '%s %s %d %s\n' "${interface}" "${to}" "$((16#${bits}))" "${flags}"
  done </proc/net/ipv6_route
}

# Prints an address in hexadecimal, as the kernel lists it.
digits_of() { # digits_of ADDRESS
  local text=$1 at
  local -a groups
  if [[ ${text} != *:* ]]; then
    IFS=. read -r -a groups <<<"${text}"
    printf '%02X%02X%02X%02X\n' "${groups[@]}"
    return
  fi
  # The double colon stands for the zeros that are missing.
  while [[ ${text} != *:*:*:*:*:*:*:* ]]; do text=${text/::/::0:}; done
  IFS=: read -r -a groups <<<"${text}"
  for at in {0..7}; do printf '%04x' "0x${groups[at]:-0}"; done
}

# Whether two prefixes have addresses in common: the bits that count in both are
# the same.
is_overlap() { # is_overlap DIGITS BITS DIGITS BITS
  local bits=$(($2 < $4 ? $2 : $4)) whole rest
  whole=$((bits / 4))
  rest=$((4 - bits % 4))
  [[ ${1:0:whole} == "${3:0:whole}" ]] &&
    ((16#0${1:whole:1} >> rest == 16#0${3:whole:1} >> rest))
}

# Prints the interface through which this machine reaches addresses of a subnet
# by a route of their own, or nothing. A default route is none, also in parts
# (0.0.0.0/1, 2000::/3), nor is one that refuses (RTF_REJECT, 0x200).
interface_into() { # interface_into SUBNET
  local interface to bits flags digits routes few=1
  if [[ $1 == *:* ]]; then
    few=3
    routes=$(ipv6_routes)
  else
    routes=$(ipv4_routes)
  fi
  digits=$(digits_of "${1%/*}")
  while read -r interface to bits flags; do
    if [[ -n ${interface} && ${interface} != lo ]] &&
      ((bits > few && ! (16#${flags} & 0x200))) &&
      is_overlap "${to}" "${bits}" "${digits}" "${1#*/}"; then
      printf '%s\n' "${interface}"
      return
    fi
  done <<<"${routes}"
}

# ---- Before the first change ------------------------------------------------

readonly accepts=' --dir --yes --check --undo --remove-keys --help '
readonly label=dockseal.script=${script}

need_docker() {
  command -v docker >/dev/null ||
    die 2 'docker is not installed; install docker.io (Debian) or docker-ce-cli'
  docker -H unix:///var/run/docker.sock version >/dev/null 2>&1 ||
    die 2 \
      'dockerd does not answer at unix:///var/run/docker.sock; start it:' \
      'systemctl start docker'
}

# Stops where dockerd is told not to filter what this network isolates.
need_filter() { # need_filter iptables|ip6tables
  local problem
  problem=$(filter_problem "$1")
  [[ -z ${problem} ]] ||
    die 2 "${row_name} would not be isolated: ${problem}; ${leaves}"
}

# A new network's bridge is looked at again when it is there: dockerd may load
# br_netfilter itself.
need_bridge_filter() { # need_bridge_filter iptables|ip6tables
  local problem
  if [[ -z ${row_id} ]] && is_dockerd_from 27 3 1; then return; fi
  problem=$(bridge_filter_problem "$1")
  [[ -z ${problem} ]] ||
    die 2 \
      "${row_name} would not be isolated: ${problem}; run modprobe" \
      "br_netfilter and sysctl net.bridge.bridge-nf-call-$1=1; ${leaves}"
}

# What an isolated network needs from the kernel and from dockerd.
check_filters() {
  local filter
  local -a filters=(iptables)
  if [[ ${row_icc} == true ]]; then return; fi
  if [[ -n ${row_ipv6_subnet} ]]; then filters+=(ip6tables); fi
  for filter in "${filters[@]}"; do
    need_filter "${filter}"
    need_bridge_filter "${filter}"
  done
}

# docker looks for a free subnet where it chooses one itself, and takes one that
# it is given: all packets to these addresses would then go to the new bridge.
check_subnet() { # check_subnet SUBNET
  local interface
  interface=$(interface_into "$1")
  [[ -z ${interface} ]] ||
    die 2 \
      "the subnet $1 of ${row_name} holds addresses that this machine reaches" \
      "through ${interface}; choose a subnet that ip route does not list;" \
      "${leaves}"
}

check_subnets() {
  local subnet
  for subnet in "${row_subnet}" "${row_ipv6_subnet}"; do
    if [[ -n ${subnet} ]]; then check_subnet "${subnet}"; fi
  done
}

# All networks, before the first one is made.
check_networks() {
  local at differences=''
  for ((at = 0; at < ${#networks[@]}; at += network_columns)); do
    read_row "${at}"
    find_network "${row_name}"
    check_filters
    if [[ -n ${row_id} ]]; then compare_network; else check_subnets; fi
  done
  [[ -z ${differences} ]] ||
    die 2 \
      'networks of these names are there with other options. Correct the site' \
      'file, or remove them (--undo where this script made them, else docker' \
      "network rm NAME), and run this again; ${leaves}:"$'\n'"${differences%?}"
}

# ---- The verbs --------------------------------------------------------------

create_network() {
  local -a more=()
  if [[ ${row_internal} == true ]]; then more+=(--internal); fi
  if [[ -n ${row_subnet} ]]; then more+=(--subnet "${row_subnet}"); fi
  if [[ -n ${row_ipv6_subnet} ]]; then
    more+=(--ipv6 --subnet "${row_ipv6_subnet}")
  fi
  # D27: docker network create --driver bridge -o
  # "com.docker.network.bridge.enable_icc"="false" <network-name>
  run docker -H unix:///var/run/docker.sock network create --driver bridge \
    -o "com.docker.network.bridge.enable_icc"="${row_icc}" \
    --label "${label}" "${more[@]}" "${row_name}" ||
    die 1 \
      "docker refuses the network ${row_name}, for the reason above; state:" \
      "${leaves}; correct the site file and run this again"
}

# dockerd goes on where it could not load br_netfilter, if it is told to.
judge_created() {
  local problem=''
  if [[ ${row_icc} == true || ${verb} == check ]]; then return; fi
  problem=$(bridge_filter_problem iptables)
  if [[ -n ${row_ipv6_subnet} ]]; then
    problem+=${problem:+; }$(bridge_filter_problem ip6tables)
  fi
  if [[ -z ${problem} ]]; then return; fi
  run docker -H unix:///var/run/docker.sock network rm "${row_name}"
  die 1 \
    "${row_name} was not isolated: ${problem%; }; it is removed again; state:" \
    "${leaves}; run modprobe br_netfilter, then run this again"
}

apply() {
  local at made=''
  check_networks
  leaves='made in this run: nothing'
  for ((at = 0; at < ${#networks[@]}; at += network_columns)); do
    read_row "${at}"
    find_network "${row_name}"
    if [[ -n ${row_id} ]]; then continue; fi
    create_network
    judge_created
    made+=" ${row_name}"
    leaves="made in this run:${made}"
  done
  finish
}

# Prints the containers of a network, also those that are stopped.
attached() { # attached ID
  docker -H unix:///var/run/docker.sock ps --all --filter "network=$1" \
    --format '{{.Names}}'
}

undo() {
  local id name containers text kept=''
  text=$(docker -H unix:///var/run/docker.sock network ls --no-trunc \
    --filter "label=${label}" --format '{{.ID}} {{.Name}}')
  while read -r id name; do
    [[ -n ${id} ]] || continue
    containers=$(attached "${id}")
    if [[ -n ${containers} ]]; then
      kept+="${name} (attached: ${containers//$'\n'/, }) "
      continue
    fi
    run docker -H unix:///var/run/docker.sock network rm "${name}"
    leaves='some networks are removed; run this again to finish'
  done < <(printf '%s\n' "${text}")
  [[ -z ${kept} ]] ||
    die 1 \
      "kept: ${kept% }; disconnect or remove these containers and run this" \
      'again'
  finish
}

main() {
  parse_options "$@"
  ((EUID == 0)) || die 2 'this needs root: run it with sudo'
  need_docker
  # One run at a time, and none while 20-configure-daemon.sh restarts dockerd.
  if [[ ${verb} != check ]]; then lock /run/dockseal.lock; fi
  if [[ ${verb} == undo ]]; then undo; else apply; fi
}

main "$@"
