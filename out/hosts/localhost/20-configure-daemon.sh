#!/usr/bin/env bash
# Configures dockerd for TLS. Mode mutual: only clients with a certificate of
# the site's CA are answered. Mode server-only: the server shows a certificate,
# everyone is answered. Then proves it, or puts back what was there.
#
# Reads:      DIR/hosts/localhost/: server-key.pem, certificate.pem,
#             ca-public.pem; /etc/docker/daemon.json
# Writes:     /etc/docker/tls; /etc/docker/tls-DIGEST/: ca-public.pem,
#             certificate.pem, server-key.pem; DIR/hosts/localhost/:
#             server-key.pem, certificate.pem; DIR/hosts/localhost/previous/:
#             server-key.pem, certificate.pem;
#             /etc/systemd/system/docker.service.d/override.conf;
#             /run/dockseal.lock
# Removes:    DIR/hosts/localhost/: request.csr, extfile.cnf;
#             DIR/hosts/localhost/renewal/: server-key.pem, certificate.pem,
#             request.csr, extfile.cnf
# Temporary:  /etc/docker/tls.previous/
# Restarts:   docker.service, docker.socket
# Needs root: yes
# Undo:       removes the drop-in, and what was installed, and restarts
# Options:    --dir DIR (~/docker-tls)  --yes  --check
#             --undo [--remove-keys]  --help
# Status:     0 done, 1 failed, 2 wrong use, 3 --check: changes, 5 waits
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

readonly script='hosts/localhost/20-configure-daemon.sh'
# mutual: TLS on both sides; server-only: without client certificates.
readonly daemon_mode='mutual'
readonly alternative_names='DNS:localhost,IP:127.0.0.1'
readonly listen='127.0.0.1:2376'
readonly listen_address='127.0.0.1'
readonly listen_port=2376
# The address in hexadecimal, in network byte order, as the kernel lists it.
readonly listen_hex='7F000001'
# Where this script itself connects to, and the name that it expects there.
readonly probe_address='127.0.0.1'
readonly probe_name='localhost'
readonly tls_directory='/etc/docker/tls'
readonly drop_in='/etc/systemd/system/docker.service.d/override.conf'
readonly key_file='server-key.pem'
readonly certificate_file='certificate.pem'
readonly ca_certificate_file='ca-public.pem'
readonly request_file='request.csr'
readonly extensions_file='extfile.cnf'
readonly -a client_folders=(
  'clients/client'
)
readonly client_key_file='client-key.pem'
readonly client_certificate_file='client-certificate.pem'
readonly userns_remap=''
readonly icc='true'

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

# Files are compared as they are: in a variable bash drops NUL bytes.
is_text_of() { # is_text_of TEXT FILE
  [[ -f $2 && ! -L $2 ]] && cmp --quiet -- "$2" <(printf '%s\n' "$1")
}

# Writes a file whole or not at all; does nothing when it is so already. Its
# temporary name is made anew: what has it already is not written through.
write_file() { # write_file FILE MODE TEXT
  local file=$1 mode=$2 text=$3
  if is_text_of "${text}" "${file}"; then return; fi
  begin_change
  if [[ ${verb} == check ]]; then
    printf "cat >%q <<'END'\n%s\nEND\n" "${file}" "${text}"
    return
  fi
  printf "+ cat >%q <<'END'\n%s\nEND\n" "${file}" "${text}" >&2
  rm -f -- "${file}.new"
  set -o noclobber
  printf '%s\n' "${text}" >"${file}.new"
  set +o noclobber
  is_text_of "${text}" "${file}.new" ||
    die 1 "${file}.new did not read back; is the disk full? ${leaves}"
  chmod -- "${mode}" "${file}.new"
  sync -- "${file}.new"
  mv -fT -- "${file}.new" "${file}"
}

waits=0 # 1: a file has to be carried here before there is more to do

# Ends the script with the status of its verb.
finish() {
  if [[ ${verb} == check ]] && ((changed)); then exit 3; fi
  if ((waits)); then exit 5; fi
  ((changed)) || note 'nothing to do'
  exit 0
}

# Copies a file, and has the copy on the disk before it counts. What has the
# copy's name already is removed, and not written through.
keep_copy() { # keep_copy FILE COPY
  run cp -p --remove-destination -T -- "$1" "$2"
  run sync -- "$2"
}

# True when both files are there and hold the same bytes: in a variable bash
# drops NUL bytes.
is_same_file() { # is_same_file FILE FILE
  [[ -f $1 && -f $2 ]] && cmp --quiet -- "$1" "$2"
}

# ---- Folders that nobody else can change ------------------------------------

# Prints why another user could change what is in a folder, or nothing.
why_unsafe() { # why_unsafe FOLDER
  local owner mode
  read -r owner mode < <(stat --dereference --format '%u %a' -- "$1")
  if ((owner != EUID && owner != 0)); then
    printf '%s belongs to another user; give another --dir\n' "$1"
  elif (((8#${mode} & 8#022) != 0)); then
    printf 'others can write to %s; run: chmod go-w %s\n' "$1" "$1"
  else
    why_replaceable "$1"
  fi
}

# Who can write to a folder above can put another one in its place, and who owns
# a link on the way can turn it; in a sticky folder only an entry's owner can.
why_replaceable() { # why_replaceable FOLDER
  local mode owner part user
  user=$(id -un)
  while read -r mode owner _ part; do
    if [[ ${owner} != root && ${owner} != "${user}" ]]; then
      printf '%s could replace %s: %s on its path is theirs\n' "${owner}" \
        "$1" "${part}"
    elif [[ ${mode} =~ ^d....w...[^tT]|^d.......w[^tT] ]]; then
      printf 'others could replace %s: they can write to %s on its path\n' \
        "$1" "${part}"
    else
      continue
    fi
    return
  done < <(namei --long -- "$1" | tail --lines=+2)
}

# Below DIR no link is followed: a folder that was carried here may hold one.
need_no_links() { # need_no_links PATH
  local path=${dir} part
  local -a parts
  IFS=/ read -r -a parts <<<"${1#"${dir}"/}"
  for part in "${parts[@]}"; do
    path+=/${part}
    [[ ! -L ${path} ]] ||
      die 2 "${path} is a link; put what it leads to in its place"
  done
}

need_safe() { # need_safe FOLDER
  local problem
  problem=$(why_unsafe "$1")
  [[ -z ${problem} ]] || die 2 "${problem}"
}

# What is made in a sticky folder, such as /tmp, is its owner's alone.
need_safe_parent() { # need_safe_parent FOLDER
  local parent=${1%/*}/ problem=''
  if [[ -d ${parent} ]]; then
    problem=$(why_replaceable "${parent}")
  elif [[ ${verb} != check ]]; then
    problem="there is no folder ${parent}; make it, or give another --dir"
  fi
  [[ -z ${problem} ]] || die 2 "${problem}"
}

# Stops where another user could change what is read here as root.
need_safe_folders() {
  local folder
  if [[ -d ${dir} ]]; then need_safe "${dir}"; fi
  for folder in "${script%/*}" "${client_folders[@]}"; do
    need_no_links "${dir}/${folder}"
    if [[ -d ${dir}/${folder} ]]; then need_safe "${dir}/${folder}"; fi
  done
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

has_terminal() {
  : 2>/dev/null </dev/tty
}

# Goes on only after a y on the terminal, or with --yes.
confirm() { # confirm QUESTION
  local answer
  if ((yes)) || [[ ${verb} == check ]]; then return; fi
  has_terminal || die 2 "$1 There is no terminal to ask on: give --yes"
  printf '%s [y/N] ' "$1" >/dev/tty
  IFS= read -r answer </dev/tty || answer=''
  [[ ${answer} == [yY]* ]] || die 2 "not confirmed; ${leaves}"
}

# ---- Keys, requests and certificates ----------------------------------------

# Prints the names of a certificate as in an extension file.
names_of() { # names_of CERTIFICATE
  local text
  text=$(openssl x509 -in "$1" -noout -ext subjectAltName 2>/dev/null) ||
    return 1
  text=${text#*$'\n'}
  text=${text//IP Address:/IP:}
  printf '%s\n' "${text//[[:space:]]/}"
}

public_key_of() { # public_key_of CERTIFICATE
  openssl x509 -in "$1" -noout -pubkey 2>/dev/null
}

has_same_key() { # has_same_key CERTIFICATE KEY
  local public_key
  public_key=$(openssl pkey -in "$2" -passin pass: -pubout 2>/dev/null) ||
    return 1
  [[ $(public_key_of "$1") == "${public_key}" ]]
}

# Prints why openssl does not accept a certificate, or nothing. A date is told
# beside this machine's clock: either of them may be the one that is wrong.
why_not_valid() { # why_not_valid CERTIFICATE CA PURPOSE
  local text file=$1
  if text=$(openssl verify -x509_strict -purpose "$3" -CAfile "$2" "$1" \
    2>&1); then
    return
  fi
  [[ ${text} == *' at 0 depth '* ]] || file=$2
  text=${text#*lookup: }
  text=${text%%$'\n'*}
  case ${text} in
    *'not yet valid')
      text+=": it begins $(date_of startdate "${file}"), and the clock here"
      text+=" says $(date --utc '+%F %T') UTC; set the clock, or wait"
      ;;
    *'has expired')
      text+=": it ended $(date_of enddate "${file}"), and the clock here says"
      text+=" $(date --utc '+%F %T') UTC; renew it, or set the clock"
      ;;
    *) ;;
  esac
  printf '%s\n' "${text}"
}

date_of() { # date_of startdate|enddate CERTIFICATE
  local date
  date=$(openssl x509 -in "$2" -noout "-$1")
  date --utc --date "${date#*=}" '+%F %T UTC'
}

# Stops unless key, certificate and CA are here and fit together.
check_certificate() {
  local problem file
  need_access "${folder}"
  [[ -e ${key} ]] ||
    die 2 \
      "${key} is not here: run ${script%/*}/10-request-certificate.sh, or run" \
      'this as the user who did (with sudo, where that was root), or give the' \
      "--dir of that run; ${leaves}"
  for file in "${certificate}" "${ca}"; do
    [[ -e ${file} ]] ||
      die 5 \
        "${file} is not here: carry ${folder}/${request_file} to the CA, run" \
        "${signer} there, and bring ${certificate_file} and" \
        "${ca_certificate_file} back; ${leaves}"
  done
  for file in "${key}" "${certificate}" "${ca}"; do
    [[ -f ${file} ]] || die 2 "${file} is not a regular file; ${leaves}"
  done
  problem=$(why_not_valid "${certificate}" "${ca}" "${purpose}")
  [[ -z ${problem} ]] ||
    die 2 "${certificate} is not valid here: ${problem}; ${leaves}"
  [[ $(names_of "${certificate}") == "${alternative_names}" ]] ||
    die 2 \
      "${certificate} is for $(names_of "${certificate}"), not for" \
      "${alternative_names}; make a new request and sign it; ${leaves}"
  has_same_key "${certificate}" "${key}" ||
    die 2 "${key} does not belong to ${certificate}; ${leaves}"
}

# ---- Which CA certificates are to be trusted --------------------------------

# A bundle is a file of CA certificates (ca-public.pem). It holds
#   one CA, or
#   while the CA is rolled over: the old CA, the new one, and the announcement,
#   which is a certificate for the new CA's key that the old CA has signed
#   ("NewWithOld" of RFC 4210, 4.4). Nobody else can make one.
# and nothing else: no text, no other PEM block, no third CA.
#
# why_not_trusted BUNDLE INSTALLED [CERTIFICATE] prints why a bundle is refused,
#   or nothing. INSTALLED is the bundle that is trusted here now: of two CAs the
#   one that announces must be in it. Where nothing is trusted yet (INSTALLED is
#   empty, or not there) it must have signed CERTIFICATE, the party's own. With
#   BUNDLE itself as INSTALLED a bundle is judged alone, as a verification does.
#   One CA is never refused for being new: people compare its digest. Dates are
#   not judged: why_not_valid does that.
# ca_digests_of BUNDLE prints the sha256 of each CA, one a line, as people
#   compare them by voice. The announcement is no CA of its own.

readonly ca_constraints='X509v3BasicConstraints:criticalCA:TRUE,pathlen:0'
readonly ca_key_usage='X509v3KeyUsage:criticalCertificateSign,CRLSign'

# Reads a file as certificates, PEM text each, into the array certificates of
# its caller; false when openssl would not write the very same file.
read_certificates() { # read_certificates FILE; sets certificates
  local line text='' written
  certificates=()
  while IFS= read -r line || [[ -n ${line} ]]; do
    text+=${line}$'\n'
    if [[ ${line} == '-----END CERTIFICATE-----' ]]; then
      written=$(printf '%s' "${text}" | openssl x509 2>/dev/null) || return 1
      [[ ${written}$'\n' == "${text}" ]] || return 1
      certificates+=("${written}")
      text=''
    fi
  done < <(tr -d '\0' <"$1")
  ((${#certificates[@]} > 0)) &&
    cmp --quiet -- "$1" <(printf '%s\n' "${certificates[@]}")
}

# True when each certificate has the extensions of this product's CAs.
are_of_ca_profile() { # are_of_ca_profile PEM...
  local certificate text
  for certificate in "$@"; do
    text=$(openssl x509 -noout -ext basicConstraints,keyUsage \
      <<<"${certificate}" 2>/dev/null) || return 1
    [[ ${text//[[:space:]]/} == "${ca_constraints}${ca_key_usage}" ||
      ${text//[[:space:]]/} == "${ca_key_usage}${ca_constraints}" ]] ||
      return 1
  done
}

# True when CA has signed the certificate PEM; a CA has signed itself.
is_signed_by() { # is_signed_by PEM CA
  openssl verify -x509_strict -check_ss_sig -no_check_time \
    -CAfile <(printf '%s\n' "$2") <<<"$1" &>/dev/null
}

# Prints what an announcement has in common with the CA that it announces.
key_and_name_of() { # key_and_name_of PEM
  openssl x509 -noout -pubkey -subject <<<"$1"
}

# Prints the sha256 of a certificate in DER.
digest_of_pem() { # digest_of_pem PEM
  local digest
  digest=$(openssl x509 -outform DER <<<"$1" | sha256sum)
  printf '%s\n' "${digest%% *}"
}

# Sorts the certificates of a file into CAs and announcements.
sort_certificates() { # sort_certificates FILE; sets roots, announcements
  local certificate
  local -a certificates=()
  roots=()
  announcements=()
  read_certificates "$1" || return 1
  for certificate in "${certificates[@]}"; do
    if is_signed_by "${certificate}" "${certificate}"; then
      roots+=("${certificate}")
    else
      announcements+=("${certificate}")
    fi
  done
}

# Prints the CA that has announced the other one, or nothing.
announcer_of() { # announcer_of CA CA ANNOUNCEMENT
  local announced
  announced=$(key_and_name_of "$3")
  if [[ ${announced} == "$(key_and_name_of "$2")" ]] &&
    is_signed_by "$3" "$1"; then
    printf '%s\n' "$1"
  elif [[ ${announced} == "$(key_and_name_of "$1")" ]] &&
    is_signed_by "$3" "$2"; then
    printf '%s\n' "$2"
  fi
}

# Prints why two CAs are refused of which one has announced the other.
why_not_announced() { # why_not_announced ANNOUNCER INSTALLED CERTIFICATE
  local authority
  local -a roots=() announcements=()
  if [[ -f $2 ]]; then
    sort_certificates "$2" || roots=()
    for authority in "${roots[@]}"; do
      if [[ ${authority} == "$1" ]]; then return; fi
    done
  elif [[ -f $3 ]] && is_signed_by "$(cat -- "$3")" "$1"; then
    return
  fi
  printf 'it holds two CAs, and the one that announces the other is not'
  printf ' trusted here: sha256 %s\n' "$(digest_of_pem "$1")"
}

why_not_trusted() { # why_not_trusted BUNDLE INSTALLED [CERTIFICATE]
  local announcer
  local -a roots=() announcements=()
  if [[ ! -f $1 ]] ||
    (($(stat --dereference --format '%s' -- "$1") > 65536)); then
    printf 'it is not a file of 64 KiB at most\n'
  elif ! sort_certificates "$1"; then
    printf 'it holds something else than certificates as openssl writes them\n'
  elif ! are_of_ca_profile "${roots[@]}" "${announcements[@]}"; then
    printf 'it holds a certificate that is not of a CA of this kind\n'
  elif ((${#roots[@]} == 2 && ${#announcements[@]} == 1)); then
    announcer=$(announcer_of "${roots[@]}" "${announcements[@]}")
    if [[ -z ${announcer} ]]; then
      printf 'it holds two CAs, and neither has announced the other\n'
    elif [[ ! $1 -ef $2 ]]; then
      why_not_announced "${announcer}" "$2" "${3:-}"
    fi
  elif ((${#roots[@]} != 1 || ${#announcements[@]} != 0)); then
    printf 'it holds %d CAs and %d announcements; expected is one CA, or,' \
      "${#roots[@]}" "${#announcements[@]}"
    printf ' while the CA is rolled over, two and the announcement of one\n'
  fi
}

ca_digests_of() { # ca_digests_of BUNDLE
  local certificate
  local -a roots=() announcements=()
  sort_certificates "$1" || return 1
  for certificate in "${roots[@]}"; do
    digest_of_pem "${certificate}"
  done
}

# What people compare by voice: the same on the CA's machine, on each host and
# on each client.
show_authorities() { # show_authorities BUNDLE
  local digest
  [[ -f $1 ]] || return 0
  while IFS= read -r digest; do
    note "CA certificate sha256: ${digest}"
  done < <(ca_digests_of "$1")
}

# D15: requests and extension files are not needed any more.
remove_request() {
  local file
  for file in "${folder}/${request_file}" "${folder}/${extensions_file}"; do
    if [[ -e ${file} ]]; then run rm -f -- "${file}"; fi
  done
}

# ---- A renewed pair ---------------------------------------------------------

# 10-request-certificate.sh --renew makes a request in the folder renewal, with
# the same key or with a new one in there. The certificate comes back to it.

# True when a certificate has been asked for and is not here yet.
is_renewal_awaited() {
  [[ -e ${folder}/renewal/${request_file} &&
    ! -e ${folder}/renewal/${certificate_file} ]]
}

# Sets key and certificate to the renewed pair once both halves are here. A
# killed run may have moved one of them already: then it is found at its place.
choose_pair() {
  local renewed_key=${folder}/renewal/${key_file}
  local renewed_certificate=${folder}/renewal/${certificate_file} file
  need_no_links "${folder}/renewal"
  for file in "${renewed_key}" "${renewed_certificate}" "${key}" \
    "${certificate}"; do
    [[ ! -e ${file} || -f ${file} ]] ||
      die 2 "${file} is not a regular file; ${leaves}"
  done
  [[ -e ${renewed_key} ]] || renewed_key=${key}
  [[ -e ${renewed_certificate} ]] || renewed_certificate=${certificate}
  [[ -e ${renewed_key} && -e ${renewed_certificate} ]] || return 0
  has_same_key "${renewed_certificate}" "${renewed_key}" || return 0
  key=${renewed_key}
  certificate=${renewed_certificate}
}

# The pair that was in use is kept in the folder previous.
keep_previous_pair() {
  local file
  if [[ -e ${folder}/previous.new || -L ${folder}/previous.new ]]; then
    run rm -rf -- "${folder}/previous.new"
  fi
  run mkdir -m 0700 -- "${folder}/previous.new"
  for file in "${key_file}" "${certificate_file}"; do
    keep_copy "${folder}/${file}" "${folder}/previous.new/${file}"
  done
  if [[ -e ${folder}/previous ]]; then run rm -rf -- "${folder}/previous"; fi
  run mv -T -- "${folder}/previous.new" "${folder}/previous"
}

# The renewed pair takes its place: the certificate first, then the key.
finish_renewal() {
  local renewal=${folder}/renewal file
  local -a gone=()
  if [[ ! -d ${renewal} ]]; then return; fi
  if [[ ${certificate} == "${renewal}"/* || ${key} == "${renewal}"/* ]]; then
    for file in "${request_file}" "${extensions_file}"; do
      if [[ -e ${renewal}/${file} ]]; then run rm -f -- "${renewal}/${file}"; fi
      gone+=("${file}")
    done
  fi
  if [[ ${certificate} == "${renewal}"/* ]]; then
    keep_previous_pair
    run mv -fT -- "${certificate}" "${folder}/${certificate_file}"
    certificate=${folder}/${certificate_file}
    gone+=("${certificate_file}")
  fi
  if [[ ${key} == "${renewal}"/* ]]; then
    run mv -fT -- "${key}" "${folder}/${key_file}"
    key=${folder}/${key_file}
    gone+=("${key_file}")
  fi
  # With --check all of it is still there.
  while IFS= read -r file; do
    [[ -z ${file} || " ${gone[*]} " == *" ${file} "* ]] || return 0
  done <<<"$(ls -A -- "${renewal}")"
  run rmdir -- "${renewal}"
}

# ---- Handshakes with the daemon ---------------------------------------------

# The name or address to find in the server certificate.
expect_name() { # expect_name NAME; sets name_options
  if [[ $1 == *:* || $1 =~ ^[0-9.]+$ ]]; then
    name_options=(-verify_ip "$1")
  else
    name_options=(-verify_hostname "$1" -servername "$1")
  fi
}

# Asks the Docker API for /_ping and prints all that came back. A client that
# is refused in TLS 1.3 learns it on its first read, so a request is made.
ask_once() { # ask_once ADDRESS PORT NAME CA S_CLIENT_OPTION...
  local address=$1
  local -a name_options
  if [[ ${address} == *:* ]]; then address="[${address}]"; fi
  expect_name "$3"
  printf 'GET /_ping HTTP/1.1\r\nHost: docker\r\nConnection: close\r\n\r\n' |
    timeout 10 openssl s_client -quiet -connect "${address}:$2" \
      -CAfile "$4" -verify_return_error "${name_options[@]}" "${@:5}" 2>&1 ||
    true
}

# Prints the certificate that a server shows, or nothing.
certificate_shown() { # certificate_shown ADDRESS PORT NAME
  local address=$1
  local -a name_options
  if [[ ${address} == *:* ]]; then address="[${address}]"; fi
  expect_name "$3"
  timeout 10 openssl s_client -connect "${address}:$2" "${name_options[@]}" \
    </dev/null 2>/dev/null | openssl x509 2>/dev/null || true
}

# Prints the names of the certificate that a server shows, as Go lists them.
names_shown() { # names_shown ADDRESS PORT NAME
  local text
  text=$(certificate_shown "$@" |
    openssl x509 -noout -ext subjectAltName 2>/dev/null) || true
  text=${text#*$'\n'}
  text=${text//DNS:/}
  text=${text//IP Address:/}
  printf '%s\n' "${text#"${text%%[![:space:]]*}"}"
}

# dockerd hangs up right after its alert. When that overtakes the request, the
# client fails to write it (a reset) and never reads the alert: it asks again.
ask_daemon() { # ask_daemon ADDRESS PORT NAME CA S_CLIENT_OPTION...
  local answer tries
  for tries in 1 2 3 4 5; do
    answer=$(ask_once "$@")
    if [[ ${answer} != *write:errno=* ]]; then break; fi
  done
  printf '%s\n' "${answer}"
  if [[ ${answer} =~ 'verify error'.*mismatch ]]; then
    printf 'x509: certificate is valid for %s, not %s\n' \
      "$(names_shown "$1" "$2" "$3")" "$3"
  fi
}

is_answer() { # is_answer TEXT
  [[ $1 == *'HTTP/1.1 200 OK'* ]]
}

# Prints the line of TEXT that says why a handshake failed.
reason_in() { # reason_in TEXT
  local line
  while IFS= read -r line; do
    if [[ ${line} == *'verify error:'* || ${line} == *alert* ||
      ${line} == *errno* || ${line} == *:error:* ]]; then
      printf '%s\n' "${line}"
      return
    fi
  done < <(printf '%s\n' "$1")
  printf 'no answer\n'
}

# ---- Why a handshake failed -------------------------------------------------

# What a client says when the server has refused it: the server's log knows why.
refusals='alert|remote error|reset by peer|broken pipe|errno=(32|104)|EOF'
readonly refusals
readonly renew_client='make a request and sign it with ca/30-sign-clients.sh'
readonly renew_server='make a request and sign it with ca/20-sign-servers.sh'
readonly read_log='journalctl --unit docker.service on that host says more'

# Go's words for a certificate that is not of the CA, then OpenSSL's.
unknown_ca='signed by unknown authority|unable to get local issuer'
unknown_ca+='|self.signed certificate|certificate signature failure'
readonly unknown_ca
readonly wrong_usage='incompatible key usage|certificate purpose'
# docker 29 says i/o timeout where no name server answers: no firewall.
no_address='no such host|not known|name resolution|No address associated'
no_address+='|lookup .*i/o timeout'
readonly no_address
readonly is_after='current time ([^ ]+) is after ([^[:space:],"]+)'
readonly is_before='current time ([^ ]+) is before ([^[:space:],"]+)'

# What the daemon's log says: a pattern, and the sentence for it.
readonly -a server_reasons=(
  "didn't provide a certificate"
  "server: the client sent no certificate of the daemon's CA: run\
 20-configure-client.sh and use --tlsverify with cert.pem and key.pem"
  "${is_after}"
  "server: the client's certificate ended @2, and the clock says @1:\
 ${renew_client}, or set the clock"
  "${is_before}"
  "server: the client's certificate begins @2, and the clock says @1:\
 set the clock, or wait"
  "${unknown_ca}"
  "server: the client's certificate is of another CA than the daemon's:\
 ${renew_client}"
  "${wrong_usage}"
  "server: the client's certificate is not for clients\
 (extendedKeyUsage): ${renew_client}"
  'unsupported versions'
  'server: the client offered no TLS 1.2 or newer: use a newer client'
  'no cipher suite supported'
  "server: it shares no cipher suite with the client: let the client offer\
 an ECDHE suite with AES-GCM or ChaCha20"
  'does not look like a TLS handshake'
  'server: it speaks TLS and was asked in plain text: set DOCKER_TLS_VERIFY=1'
  'bad record MAC'
  "client: it refused the server's certificate, before it could say why: its\
 ca.pem is of another CA, or the name is not in the certificate"
  'remote error: tls: ([a-z ]+)'
  "client: it refused the server's certificate (@1): its ca.pem is of another\
 CA, or the name is not in the certificate"
)

# What the client says, docker or openssl s_client. The first that fits counts.
readonly -a client_reasons=(
  'ontext "([^"]+)"(: context not found| does not exist| is not found)'
  'client: there is no docker context @1: run 20-configure-client.sh'
  'open "?([^ :"]+)"?[^:]*: (no such file|No such file)'
  'client: @1 is not there: run 20-configure-client.sh'
  'open "?([^ :,"]+)"?( for reading, |: )([Nn]o such file|[Pp]ermission denied)'
  'client: @1 cannot be read (@3): run this as its owner'
  'does not match public key|key values mismatch'
  'client: the key belongs to another certificate: install both from one run'
  'ca\.pem seems invalid'
  'client: its ca.pem holds no certificate: run 20-configure-client.sh'
  'private key from ([^[:space:]:]+)'
  'client: the key @1 cannot be read: run this as its owner'
  'valid for ([^"]+), not ([^[:space:]"]+)'
  'client: the certificate is valid for @1, not @2: use a name from the SAN'
  'valid for any names, but wanted to match ([^[:space:]"]+)'
  "client: the certificate has no name in its SAN, not @1 either:\
 ${renew_server}"
  "certificate for ([^ ]+) because it doesn't contain any IP SANs"
  "client: the certificate is valid for no address, not @1 either: use a name\
 from the SAN"
  '(hostname|IP address) mismatch|legacy Common Name'
  'client: the certificate is not for this name: use a name from the SAN'
  "${is_after}"
  "client: the server's certificate ended @2, and the clock says @1:\
 ${renew_server}, or set the clock"
  "${is_before}"
  "client: the server's certificate begins @2, and the clock says @1:\
 set the clock, or wait"
  "${unknown_ca}"
  "client: the server's certificate is not of the CA in ca.pem: compare\
 ca.pem with the host's, and find out who answers at this address"
  "${wrong_usage}"
  "client: the server's certificate is not for servers (extendedKeyUsage):\
 ${renew_server}"
  'HTTP request to an HTTPS server'
  'server: it speaks TLS and was asked in plain text: set DOCKER_TLS_VERIFY=1'
  'HTTP response to HTTPS client|wrong version number|packet length too long'
  "client: the server speaks plain text on this port: run\
 20-configure-daemon.sh there"
  'does not look like a TLS handshake'
  "client: the server speaks plain text on this port: run\
 20-configure-daemon.sh there"
  'alert protocol version|protocol version not supported'
  'server: the client offered no TLS 1.2 or newer: use a newer client'
  'unsupported protocol|no protocols available'
  'client: the server offers no TLS version that this client takes'
  # Over TLS 1.2 dockerd of Go 1.26 says this of a missing certificate too.
  'handshake failure'
  "server: it got no client certificate, or shares no cipher suite with the\
 client: ${read_log}"
  'no cipher'
  "client: it has no cipher suite of the TLS versions that it may use: let it\
 offer an ECDHE suite with AES-GCM or ChaCha20"
  'certificate required'
  "server: the client sent no certificate of the daemon's CA: run\
 20-configure-client.sh and use --tlsverify with cert.pem and key.pem"
  'alert certificate expired|expired certificate'
  "server: the client's certificate has ended: ${renew_client}, or set the\
 clock"
  'unknown ca|unknown certificate authority'
  "server: the client's certificate is of another CA than the daemon's:\
 ${renew_client}"
  'unsupported certificate'
  "server: the client's certificate is not for clients\
 (extendedKeyUsage): ${renew_client}"
  'bad certificate'
  "server: it got no client certificate, or not one that it accepts:\
 ${read_log}"
  "${no_address}"
  "client: the host's name has no address here: add it to the DNS or to\
 /etc/hosts"
  'errno=111|onnection refused'
  "server: nothing listens on this address and port: start dockerd there, or\
 run 20-configure-daemon.sh"
  'errno=(101|113)|o route to host|etwork is unreachable'
  'client: there is no way to this address: look at the network between them'
  'errno=110|imed out|i/o timeout|deadline exceeded|^[[:space:]]*$'
  "client: no answer in time: is the host up, does a firewall drop the\
 packets?"
  'Cannot connect to the Docker daemon at ([^ ]+)\. '
  "server: nothing listens at @1, or its name has no address here: start\
 dockerd there, or run 20-configure-daemon.sh"
  "${refusals}"
  "server: it hung up without a word: ${read_log}"
)

# Says the time that OpenSSL prints with an expired certificate as Go does.
time_in() { # time_in TEXT
  local now word=after
  local ends='has expired.*notAfter=([^'$'\n'']+)'
  local begins='not yet valid.*notBefore=([^'$'\n'']+)'
  now=$(date --utc '+%FT%TZ')
  [[ $1 =~ ${ends} ]] || {
    [[ $1 =~ ${begins} ]] || return 0
    word=before
  }
  printf 'current time %s is %s %s\n' "${now}" "${word}" \
    "$(date --utc --date "${BASH_REMATCH[1]}" '+%FT%TZ')"
}

# Prints the sentence of the first pattern that fits, with its groups put in.
find_reason() { # find_reason TEXT PATTERN SENTENCE...
  local text=$1 sentence number
  shift
  while (($# > 1)); do
    if [[ ${text} =~ $1 ]]; then
      sentence=$2
      for number in 1 2 3; do
        sentence=${sentence//"@${number}"/"${BASH_REMATCH[number]:-}"}
      done
      printf '%s\n' "${sentence}"
      return
    fi
    shift 2
  done
  return 1
}

# Prints one sentence: which side refuses, why, and what to do. TEXT is what
# the client printed, LOG what the daemon's log has said of it.
explain_handshake() { # explain_handshake TEXT [LOG]
  local text log=${2:-}
  text=$(time_in "$1")$'\n'$1
  log=$(time_in "${log}")$'\n'${log}
  if [[ ${text} =~ ${refusals} ]] &&
    find_reason "${log}" "${server_reasons[@]}"; then
    return
  fi
  find_reason "${text}" "${client_reasons[@]}" ||
    printf 'client: %s: no known reason; %s\n' "${1%%$'\n'*}" "${read_log}"
}

# Sets cursor to the end of the daemon's log, and own_port to a free one that
# the kernel does not give out: in the log it tells our next connection from
# those of others.
mark_log() {
  local hex used address=${probe_address}
  cursor=$(journalctl --unit docker.service --quiet --lines 0 --show-cursor \
    2>/dev/null || true)
  cursor=${cursor#*cursor: }
  used=$(cat /proc/net/tcp /proc/net/tcp6 2>/dev/null) || true
  while :; do
    own_port=$((20000 + RANDOM % 12000))
    printf -v hex ':%04X ' "${own_port}"
    if [[ ${used} != *"${hex}"* ]]; then break; fi
  done
  if [[ ${address} == *:* ]]; then address="[${address}]"; fi
  from_own_port=(-bind "${address}:${own_port}")
}

# Prints what the daemon's log has said of our handshake since mark_log, and
# waits for it up to 5 seconds. Without a log, prints nothing.
refusal_in_log() {
  local line deadline=$((SECONDS + 5))
  [[ -n ${cursor} ]] || return 0
  while ((SECONDS < deadline)); do
    while IFS= read -r line; do
      line=${line#*TLS handshake error from }
      if [[ ${line} =~ ^[^\ ]+:${own_port}:\  ]]; then
        printf '%s\n' "${line}"
        return
      fi
    done < <(journalctl --unit docker.service --quiet --output cat \
      --after-cursor "${cursor}" 2>/dev/null || true)
    sleep 0.1
  done
}

# True when the daemon's log says since mark_log that a client sent no
# certificate, and where there is no log.
is_missing_certificate_logged() {
  local text
  [[ -n ${cursor} ]] || return 0
  text=$(refusal_in_log)
  [[ -z ${text} ]] || [[ ${text} == *"didn't provide a certificate"* ]]
}

# Prints what the client saw since mark_log, and why, with what to do. Only of
# a refusal does the log say anything.
why_no_answer() { # why_no_answer ANSWER
  local log=''
  if [[ $1 =~ ${refusals} ]]; then log=$(refusal_in_log); fi
  printf '%s; %s\n' "$(reason_in "$1")" "$(explain_handshake "$1" "${log}")"
}

# Runs a command in the background and ends it after SECONDS: a connection waits
# for minutes where the queue of who listens is full.
run_for() { # run_for SECONDS COMMAND [ARGUMENT]...
  local pid
  "${@:2}" &
  pid=$!
  timeout "$1" tail --pid="${pid}" --sleep-interval=0.05 --follow /dev/null ||
    kill "${pid}" 2>/dev/null || true
  wait "${pid}" 2>/dev/null
}

# A dockerd with TLS hangs up as soon as it sees no handshake: writing on must
# not end the script.
send_plain_request() { # send_plain_request PATH
  local connection
  trap '' PIPE
  exec {connection}<>"/dev/tcp/${probe_address}/${listen_port}"
  printf 'GET %s HTTP/1.1\r\nHost: docker\r\nConnection: close\r\n\r\n' "$1" \
    1>&"${connection}" || true
  timeout 5 head --bytes=16384 <&"${connection}" | tr -d '\0' || true
}

# Asks in plain text and prints what comes back, its first 16 KiB.
ask_in_plain_text() { # ask_in_plain_text PATH
  run_for 10 send_plain_request "$1" 2>/dev/null || true
}

is_good_client() { # is_good_client FOLDER
  local certificate=$1/${client_certificate_file}
  [[ -z $(why_not_valid "${certificate}" "${ca}" sslclient) ]] &&
    has_same_key "${certificate}" "$1/${client_key_file}"
}

# Prints the folder of a client whose key and certificate are on this machine:
# of one whose certificate is valid, where there is one.
find_client() {
  local folder found=''
  for folder in "${client_folders[@]}"; do
    folder=${dir}/${folder}
    if [[ -f ${folder}/${client_key_file} &&
      -f ${folder}/${client_certificate_file} &&
      -r ${folder}/${client_key_file} &&
      -r ${folder}/${client_certificate_file} ]]; then
      if is_good_client "${folder}"; then
        printf '%s\n' "${folder}"
        return
      fi
      found=${found:-${folder}}
    fi
  done
  if [[ -n ${found} ]]; then printf '%s\n' "${found}"; fi
}

# D16, with absolute paths: under systemd the working directory is /.
flags=(
  "--tlscert=${tls_directory}/${certificate_file}"
  "--tlskey=${tls_directory}/${key_file}"
)
case ${daemon_mode} in
  mutual)
    flags=(
      --tlsverify
      "--tlscacert=${tls_directory}/${ca_certificate_file}"
      "${flags[@]}"
    )
    ;;
  # D19: with certificate and key, =false is TLS that asks clients for none.
  server-only) flags=(--tlsverify=false "${flags[@]}") ;;
  *) die 2 "unknown mode ${daemon_mode}" ;;
esac

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

# ---- Who listens where: the kernel's own tables -----------------------------

# The kernel lists addresses in groups of four octets, each group reversed.
reverse_octets() { # reverse_octets HEX
  local group text=''
  for ((group = 0; group < ${#1}; group += 8)); do
    text+=${1:group+6:2}${1:group+4:2}${1:group+2:2}${1:group:2}
  done
  printf '%s\n' "${text}"
}

# True for 0.0.0.0 and ::, which stand for every address.
is_any() { # is_any HEX
  [[ ! $1 =~ [^0] ]]
}

# Prints ADDRESS:PORT in hexadecimal and the inode of each listening socket.
listening_sockets() {
  local place state inode
  while read -r _ place _ state _ _ _ _ _ inode _; do
    [[ ${state} != 0A ]] || printf '%s %s\n' "${place}" "${inode}"
  done < <(cat /proc/net/tcp /proc/net/tcp6 2>/dev/null)
}

# Prints the inode and the path of each listening local socket; @ begins a name
# that is no file's.
listening_local_sockets() {
  local kind inode path
  while read -r _ _ _ kind _ _ inode path; do
    # __SO_ACCEPTCON of linux/net.h.
    [[ ${kind} != 00010000 ]] || printf '%s %s\n' "${inode}" "${path}"
  done < <(cat /proc/net/unix)
}

is_listen_address() { # is_listen_address HEX: the site's, as the kernel has it
  local own
  own=$(reverse_octets "${listen_hex}")
  [[ $1 == "${own}" ]] || { is_any "$1" && is_any "${own}"; }
}

# ---- Subordinate ids: what containers get in place of the host's ------------

# Prints the user whose ranges dockerd takes; dockremap it makes itself.
remap_user() {
  if [[ ${userns_remap} == default ]]; then
    printf 'dockremap\n'
  else
    printf '%s\n' "${userns_remap}"
  fi
}

has_user() { # has_user NAME
  id -u -- "$1" &>/dev/null
}

# Sets owner, first and last from a line; false for what is no range.
is_range() { # is_range LINE
  [[ $1 =~ ^([^:]+):([0-9]+):([1-9][0-9]*)$ ]] || return 1
  owner=${BASH_REMATCH[1]}
  first=${BASH_REMATCH[2]}
  last=$((first + BASH_REMATCH[3] - 1))
}

# Sets own and others to the lines of a file that are USER's, by name or number,
# and to all other users'.
read_ranges() { # read_ranges FILE USER
  local line uid
  own=()
  others=()
  uid=$(id -u -- "$2" 2>/dev/null) || uid=$2
  while IFS= read -r line || [[ -n ${line} ]]; do
    is_range "${line}" || continue
    if [[ ${owner} == "$2" || ${owner} == "${uid}" ]]; then
      own+=("${line}")
    else
      others+=("${line}")
    fi
  done < <(cat -- "$1" 2>/dev/null || true)
}

has_range() { # has_range FILE USER
  read_ranges "$1" "$2"
  ((${#own[@]}))
}

# ---- What is wrong with the ids of a user -----------------------------------

# Each of these reads own and others, as read_ranges sets them.

# Prints a line of the user and another user's with the same ids in it. Who has
# ids in common can reach the files of the other's containers.
shared_range() {
  local mine other own_first own_last
  for mine in "${own[@]}"; do
    is_range "${mine}"
    own_first=${first} own_last=${last}
    for other in "${others[@]}"; do
      is_range "${other}"
      ((first <= own_last && own_first <= last)) || continue
      printf 'these have ids in common: %s and %s' "${mine}" "${other}"
      return
    done
  done
}

# Prints a range that is too short: images have files of all users up to nobody,
# 65534.
short_range() {
  local mine count=0
  for mine in "${own[@]}"; do count=$((count + ${mine##*:})); done
  if ((count && count < 65536)); then
    printf '%s has %d ids, and containers need 65536' "${own[*]}" "${count}"
  fi
}

# Prints the names and ids of this machine's accounts: users for /etc/subuid;
# groups for /etc/subgid, and those that have no name but a user's.
host_ids() { # host_ids FILE
  if [[ $1 == /etc/subuid ]]; then
    getent passwd | cut -d : -f 1,3
  else
    getent group | cut -d : -f 1,3
    getent passwd | cut -d : -f 1,4
  fi
}

# Prints an account whose id is a container's too: whoever has that id in a
# container has the account's files.
account_in_range() { # account_in_range FILE
  local ids name id mine
  # All of them first: who writes to a reader that is gone fails.
  ids=$(host_ids "$1")
  while IFS=: read -r name id; do
    [[ ${id} =~ ^[0-9]+$ ]] || continue
    for mine in "${own[@]}"; do
      is_range "${mine}"
      ((first <= id && id <= last)) || continue
      printf '%s holds %d, the id of the account %s' "${mine}" "${id}" "${name}"
      return
    done
  done <<<"${ids}"
}

# Prints what is wrong with the ranges in own, or nothing.
range_fault() { # range_fault FILE
  local fault
  fault=$(shared_range)
  if [[ -z ${fault} ]]; then fault=$(account_in_range "$1"); fi
  if [[ -z ${fault} ]]; then fault=$(short_range); fi
  printf '%s' "${fault}"
}

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

# ---- User namespaces: what must be right, what vanishes from view -----------

remap_switched=0 # 1 once this run is to switch user namespaces on

# Prints the first of 65536 ids from 100000 on that are in no range. Reads lines
# of the first and the last id of a range.
first_gap() {
  local from to gap=100000
  while read -r from to; do
    if ((from <= gap + 65535 && to >= gap)); then gap=$((to + 1)); fi
  done < <(sort --numeric-sort)
  printf '%d\n' "${gap}"
}

# Prints the first and the last id of each range in a file.
taken_ranges() { # taken_ranges FILE
  local line
  while IFS= read -r line || [[ -n ${line} ]]; do
    if is_range "${line}"; then printf '%d %d\n' "${first}" "${last}"; fi
  done <"$1"
}

# Prints 65536 ids that nobody has, as usermod takes them.
free_ids() {
  local file gap
  gap=$(
    for file in /etc/subuid /etc/subgid; do
      taken_ranges "${file}"
      host_ids "${file}" | while IFS=: read -r _ id; do
        printf '%d %d\n' "${id}" "${id}"
      done
    done | first_gap
  )
  printf '%d-%d\n' "${gap}" $((gap + 65535))
}

# Sets own to the range that dockerd gives dockremap when it makes that user.
# From 28.0 on it looks at no other user's ranges.
predict_range() { # predict_range FILE
  local gap=100000 version
  version=$(dockerd --version)
  if [[ ! ${version} =~ version\ ([0-9]+) ]] || ((BASH_REMATCH[1] < 28)); then
    gap=$(taken_ranges "$1" | first_gap)
  fi
  own=("dockremap:${gap}:65536")
}

# dockerd makes the user of --userns-remap=default, and ranges with it. It does
# not mend one that has none.
check_subordinate_ids() {
  local user file
  [[ -n ${userns_remap} ]] || return 0
  if is_remap_switched "${userns_remap}"; then remap_switched=1; fi
  user=$(remap_user)
  if [[ ${userns_remap} != default ]]; then check_remap_user "${user}"; fi
  for file in /etc/subuid /etc/subgid; do
    [[ -e ${file} ]] ||
      die 2 \
        "there is no ${file}, which dockerd needs for --userns-remap; run:" \
        "touch /etc/subuid /etc/subgid; ${leaves}"
  done
  check_ranges /etc/subuid "${user}" --add-subuids
  check_ranges /etc/subgid "${user}" --add-subgids
}

check_remap_user() { # check_remap_user USER
  has_user "$1" ||
    die 2 \
      "there is no user $1 for userns_remap; run: useradd --system" \
      "--user-group --shell /usr/sbin/nologin $1, or set userns_remap:" \
      "default; ${leaves}"
  getent group "$1" >/dev/null ||
    die 2 \
      "there is no group $1, which dockerd takes too; run: groupadd $1;" \
      "${leaves}"
}

check_ranges() { # check_ranges FILE USER OPTION
  local fault
  if ! has_range "$1" "$2"; then
    if [[ ${userns_remap} == default ]] && ! has_user "$2"; then
      check_predicted_range "$1"
      return
    fi
    die 2 \
      "$1 has no range for $2, and dockerd adds none; run: usermod $3" \
      "$(free_ids) $2; ${leaves}"
  fi
  # Where dockerd has these ids already, verification says it.
  if ((! remap_switched)); then return; fi
  fault=$(range_fault "$1")
  [[ -z ${fault} ]] ||
    die 2 \
      "in $1 ${fault}; take the range of $2 out and run: usermod $3" \
      "$(free_ids) $2; ${leaves}"
}

# Before dockerd makes dockremap with ids that are not its own.
check_predicted_range() { # check_predicted_range FILE
  local fault ids
  predict_range "$1"
  fault=$(range_fault "$1")
  if [[ -z ${fault} ]]; then return; fi
  ids=$(free_ids)
  die 2 \
    "dockerd would give its user dockremap a range in $1 that is not free:" \
    "${fault}; make that user with another one: useradd --system" \
    "--user-group --shell /usr/sbin/nologin dockremap, then usermod" \
    "--add-subuids ${ids} --add-subgids ${ids} dockremap; ${leaves}"
}

# Prints the value of the last --userns-remap in TEXT, or nothing.
remap_in() { # remap_in TEXT
  local text=$1
  [[ ${text} == *--userns-remap=* ]] || return 0
  text=${text##*--userns-remap=}
  printf '%s\n' "${text%%[[:space:]]*}"
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
  if images=$(docker -H unix:///var/run/docker.sock image ls --all --quiet \
    2>/dev/null | sort --unique | wc -l) &&
    containers=$(docker -H unix:///var/run/docker.sock ps --all --quiet \
      2>/dev/null | wc -l) &&
    volumes=$(docker -H unix:///var/run/docker.sock volume ls --quiet \
      2>/dev/null | wc -l); then
    printf '%d image(s), %d container(s) and %d volume(s)\n' "${images}" \
      "${containers}" "${volumes}"
  else
    printf 'all images, containers and volumes (docker gives no number)\n'
  fi
}

# Prints the running containers that dockerd starts no more with user
# namespaces, each with its reason.
refused_containers() {
  local name names=''
  local -a ids
  local format='{{with .HostConfig}}{{if ne .UsernsMode "host"}}'
  format+='{{if .Privileged}}{{$.Name}} (--privileged)'
  format+='{{else if eq .NetworkMode "host"}}{{$.Name}} (--network=host)'
  format+='{{else if eq .PidMode "host"}}{{$.Name}} (--pid=host)'
  format+='{{end}}{{end}}{{end}}'
  mapfile -t ids < <(docker -H unix:///var/run/docker.sock ps --quiet \
    2>/dev/null || true)
  ((${#ids[@]})) || return 0
  while IFS= read -r name; do
    [[ -z ${name} ]] || names+=", ${name#/}"
  done < <(docker -H unix:///var/run/docker.sock inspect --format "${format}" \
    "${ids[@]}" | sort)
  printf '%s\n' "${names#, }"
}

# With live-restore containers outlive dockerd. They would go on as the user
# that they have now, in no list, and their addresses would be given out again.
refuse_lost_containers() {
  local names live
  if names=$(docker -H unix:///var/run/docker.sock ps --format '{{.Names}}' \
    2>/dev/null); then
    live=$(docker -H unix:///var/run/docker.sock info \
      --format '{{.LiveRestoreEnabled}}')
    [[ ${live} == true && -n ${names} ]] || return 0
    die 2 \
      "with live-restore these containers would go on running where dockerd" \
      "finds them no more: ${names//$'\n'/, }; stop them, and run this again:" \
      "docker stop ${names//$'\n'/ }; ${leaves}"
  fi
  [[ -z $(held_containers) ]] ||
    die 2 \
      'dockerd does not answer, and containers run that it would not find;' \
      "start it (systemctl start docker), stop them (docker stop), and run" \
      "this again; ${leaves}"
}

announce_remap() { # announce_remap USERNS_REMAP
  local refused
  if [[ -z $1 ]]; then
    note \
      'dockerd goes back to the data folder without user namespaces: what was' \
      "hidden there comes back. Out of view until they are on again:" \
      "$(things_in_view)"
    return
  fi
  note \
    "with --userns-remap=$1 dockerd has another data folder. Out of view" \
    "until --undo, and not lost: $(things_in_view)"
  refused=$(refused_containers)
  [[ -z ${refused} ]] ||
    note \
      "with user namespaces dockerd refuses containers like ${refused};" \
      '--userns=host exempts one'
}

# Prints what does not hold of the user namespaces, or nothing.
userns_problem() {
  local file fault
  [[ -n ${userns_remap} ]] || return 0
  is_remapped || printf 'dockerd does not use user namespaces\n'
  if ((! remap_switched)); then return; fi
  # From 28.0 on dockerd gives dockremap ids that others may have.
  for file in /etc/subuid /etc/subgid; do
    read_ranges "${file}" "$(remap_user)"
    fault=$(range_fault "${file}")
    [[ -z ${fault} ]] || printf 'in %s %s\n' "${file}" "${fault}"
  done
}

is_remapped() {
  local text
  text=$(docker -H unix:///var/run/docker.sock info \
    --format '{{.SecurityOptions}}' 2>/dev/null) || return 1
  [[ ${text} == *name=userns* ]]
}

# Sets left to what --userns-remap has made, before it is switched off.
find_remap_data() { # find_remap_data USERNS_REMAP: the one that is to be
  left=''
  [[ -z $1 ]] && is_remap_switched "$1" && is_remapped || return 0
  left=$(docker -H unix:///var/run/docker.sock info \
    --format '{{.DockerRootDir}}' 2>/dev/null) || left=''
}

note_remap_data() {
  [[ -z ${left} ]] ||
    note \
      "kept: ${left}, with what was made in user namespaces, and the user" \
      'whose ids it has'
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

# ---- What would make dockerd refuse -----------------------------------------

# Options that the drop-in sets: in daemon.json, and on the command line.
own_keys=(hosts)
own_flags='-[Dv]*H|--host|--tls'
if [[ ${icc} == false ]]; then
  own_keys+=(icc)
  own_flags+='|--icc'
fi
if [[ -n ${userns_remap} ]]; then
  own_keys+=(userns-remap)
  own_flags+='|--userns-remap'
fi
readonly -a own_keys
readonly own_flags

# True when the file that dockerd reads has a key. VALUE is a pattern.
has_key() { # has_key KEY [VALUE]
  [[ ${settings} =~ \"$1\"[[:space:]]*:[[:space:]]*${2:-} ]]
}

# Sets settings to the text of the file that dockerd reads.
read_settings() {
  settings=''
  if [[ -e ${config_file} ]]; then settings=$(cat -- "${config_file}"); fi
}

# Stops when that file sets any of these keys, and names all that it sets.
refuse_keys() { # refuse_keys REASON KEY...
  local key keys='' them='that key'
  for key in "${@:2}"; do
    if has_key "${key}"; then
      if [[ -n ${keys} ]]; then them='those keys'; fi
      keys+=", \"${key}\""
    fi
  done
  [[ -z ${keys} ]] ||
    die 2 \
      "${config_file} sets ${keys#, } too, $1; remove ${them} and run this" \
      "again; ${leaves}"
}

# Prints where dockerd gets this setting from, or nothing. VALUE is as in JSON.
setting_at() { # setting_at NAME VALUE
  local word
  for word in "${kept[@]}"; do
    if [[ $(unquoted "${word}") == "--$1=${2//\"/}" ]]; then
      printf ', %s in the unit of docker.service' "${word}"
    fi
  done
  if has_key "$1" "$2"; then
    printf ', "%s": %s in %s' "$1" "$2" "${config_file}"
  fi
}

# What the site says must not be made void by what is said elsewhere.
check_settings() {
  local found=''
  if [[ ${icc} == false ]]; then
    found=$(setting_at iptables false)$(setting_at bridge '"none"')
  fi
  [[ -z ${found} ]] ||
    die 2 \
      "the site has icc: false, and dockerd cannot keep containers apart with" \
      "${found#, }; remove that key and run this again; ${leaves}"
}

# From 23.0 on dockerd itself says what is wrong with its file. It is not given
# the flags: the certificates that they name are not installed yet.
check_config_file() {
  local text
  [[ -e ${config_file} ]] || return 0
  text=$(dockerd --validate --config-file "${config_file}" 2>&1) && return 0
  [[ ${text} != *'unknown flag: --validate'* ]] || return 0
  die 2 \
    "dockerd would not start with ${config_file}: ${text##*$'\n'}; correct" \
    "that file and run this again; ${leaves}"
}

check_drop_ins() {
  local file text
  local -a files
  if [[ -e ${drop_in} || -L ${drop_in} ]] && ! is_drop_in_ours; then
    die 2 \
      "${drop_in} is there and not made by this script; rename it, or set" \
      "drop_in in the site file; ${leaves}"
  fi
  read -r -a files < <(daemon_property DropInPaths)
  for file in "${files[@]}"; do
    [[ -r ${file} && ! ${file} -ef ${drop_in} ]] || continue
    text=$'\n'$(cat -- "${file}")
    [[ ! ${text} =~ $'\n'[[:space:]]*ExecStart[[:space:]]*= ]] ||
      die 2 \
        "${file} sets ExecStart too; remove that line and run this again;" \
        "${leaves}"
  done
}

# ---- Variables that the unit passes on --------------------------------------

# Prints the names of the variables in the words that stay.
passed_variables() {
  local text=${kept[*]} pattern='\$\{?([A-Za-z_][A-Za-z0-9_]*)(.*)$'
  while [[ ${text} =~ ${pattern} ]]; do
    printf '%s\n' "${BASH_REMATCH[1]}"
    text=${BASH_REMATCH[2]}
  done
}

# Prints what a file gives a variable, as EnvironmentFile= reads it: a line that
# ends with a backslash goes on, and so does a quoted value.
value_in_file() { # value_in_file VARIABLE FILE
  local line name='' goes_on=0
  while IFS= read -r line || [[ -n ${line} ]]; do
    if ((! goes_on)); then
      if [[ ${line} =~ ^[[:space:]]*[#\;] ]]; then continue; fi
      if [[ ${line} =~ ^[[:space:]]*([A-Za-z_][A-Za-z0-9_]*)=(.*)$ ]]; then
        name=${BASH_REMATCH[1]}
        line=${BASH_REMATCH[2]}
      fi
    fi
    goes_on=0
    if [[ ${line} == *\\ ]]; then goes_on=1; fi
    if [[ ${name} != "$1" ]]; then continue; fi
    printf '%s' "${line%\\}"
    if ((! goes_on)); then printf '\n'; fi
  done <"$2"
}

# Prints what Environment= lines give a variable.
value_in_unit() { # value_in_unit VARIABLE
  local word
  local -a words
  split_words "$(daemon_property Environment)"
  for word in "${words[@]}"; do
    word=$(unquoted "${word#\$}")
    if [[ ${word} == "$1="* ]]; then printf '%s\n' "${word#*=}"; fi
  done
}

# Prints the first word of TEXT that is an option of the drop-in's own.
own_option_in() { # own_option_in TEXT
  local word
  for word in $(unquoted "$1"); do
    if [[ ${word} =~ ^(${own_flags}) ]]; then
      printf '%s\n' "${BASH_REMATCH[1]}"
      return
    fi
  done
}

# Only a variable that the unit passes on can bring an option, from a file such
# as /etc/default/docker or from an Environment= line.
check_environment() {
  local name file found
  for name in $(passed_variables); do
    while IFS= read -r file; do
      file=${file% (ignore_errors=*}
      [[ -r ${file} ]] || continue
      found=$(own_option_in "$(value_in_file "${name}" "${file}")")
      [[ -z ${found} ]] ||
        die 2 \
          "${file} passes ${found} to dockerd too; remove it" \
          "there; ${leaves}"
    done < <(daemon_property EnvironmentFiles)
    found=$(own_option_in "$(value_in_unit "${name}")")
    [[ -z ${found} ]] ||
      die 2 "an Environment= line of docker.service passes" \
        "${found} to dockerd too; systemctl cat docker.service shows" \
        "it; ${leaves}"
  done
}

# ---- Who may use the local socket -------------------------------------------

socket_property() { # socket_property PROPERTY
  systemctl show --property "$1" --value docker.socket
}

# Prints the group that dockerd gives the socket when it makes it.
group_of_dockerd() {
  local word group=docker last=''
  local pattern='"group"[[:space:]]*:[[:space:]]*"([^"]*)"'
  if [[ ${settings} =~ ${pattern} ]]; then group=${BASH_REMATCH[1]}; fi
  for word in "${kept[@]}"; do
    word=$(unquoted "${word}")
    case ${last}=${word} in
      -G=* | --group=*) group=${word} ;;
      *=--group=*) group=${word#*=} ;;
      *) ;;
    esac
    last=${word}
  done
  printf '%s\n' "${group:-root}"
}

# With -H fd:// docker.socket says who may use it; with the site's flags dockerd
# makes it, for its own group and with mode 0660. Nobody may lose or win by it.
check_local_socket() {
  local now later
  ((is_activated)) || return 0
  [[ $(socket_property LoadState) == loaded ]] || return 0
  now=$(socket_property SocketUser)
  now=${now:-root}:$(socket_property SocketGroup)
  if [[ ${now} == *: ]]; then now+=root; fi
  now+=" $(socket_property SocketMode)"
  later="root:$(group_of_dockerd) 0660"
  [[ ${now} == "${later}" ]] ||
    die 2 \
      "docker.socket makes /run/docker.sock ${now}, and dockerd without -H" \
      "fd:// would make it ${later}; set SocketUser=, SocketGroup= and" \
      'SocketMode= (systemctl edit docker.socket) and "group" in' \
      "${config_file} to the same; ${leaves}"
}

# ---- The place to listen ----------------------------------------------------

# 0.0.0.0 and :: are on every machine.
check_address() {
  local text pattern
  case ${listen_address} in
    0.0.0.0 | :: | 127.*) return ;;
    *:*)
      text=$(</proc/net/if_inet6)
      [[ ${text} != *"${listen_hex,,}"* ]] || return 0
      ;;
    *)
      text=$(</proc/net/fib_trie)
      pattern="[|]-- ${listen_address//./[.]}"$'\n *'/32\ host\ LOCAL
      [[ ! ${text} =~ ${pattern} ]] || return 0
      ;;
  esac
  die 2 \
    "this machine does not have the address ${listen_address} to listen on;" \
    'correct listen in the site file, or give the address to an interface;' \
    "${leaves}"
}

# Prints the inodes of the sockets that listen where dockerd is to listen.
sockets_in_the_way() {
  local port place inode
  printf -v port '%04X' "${listen_port}"
  while read -r place inode; do
    [[ ${place##*:} == "${port}" ]] || continue
    is_listen_address "${place%:*}" || is_any "${place%:*}" ||
      is_any "${listen_hex}" || continue
    printf '%s\n' "${inode}"
  done < <(listening_sockets)
}

# Prints the socket units with which systemd itself listens on the port.
socket_units_on_port() {
  local place unit units=''
  while read -r place unit _; do
    if [[ :${place} == *":${listen_port}" ]]; then
      units+=", ${unit}"
    fi
  done < <(systemctl list-sockets --all --full --no-legend)
  printf '%s\n' "${units#, }"
}

# Prints the process that has a socket open, or 0.
process_with() { # process_with INODE
  local text pattern
  text=$(stat --format '%N' /proc/[0-9]*/fd/* 2>/dev/null) || true
  pattern="/proc/([0-9]+)/fd/[0-9]+' -> 'socket:.$1.'"
  if [[ ${text} =~ ${pattern} ]]; then
    printf '%s\n' "${BASH_REMATCH[1]}"
  else
    printf '0\n'
  fi
}

check_port() {
  local inode pid daemon name unit
  daemon=$(daemon_property MainPID)
  for inode in $(sockets_in_the_way); do
    pid=$(process_with "${inode}")
    ((pid)) ||
      die 2 \
        "something listens on port ${listen_port} already; ${leaves}"
    if ((pid == daemon)); then continue; fi
    unit=$(socket_units_on_port)
    if ((pid == 1)) && [[ -n ${unit} ]]; then
      die 2 \
        "systemd listens on port ${listen_port} for ${unit}; take its" \
        "ListenStream= out (systemctl cat ${unit%%,*} shows it), or set" \
        "another port in the site file; ${leaves}"
    fi
    name=$(cat -- "/proc/${pid}/comm" 2>/dev/null) || name='a process'
    die 2 \
      "port ${listen_port} is in use by ${name} (process" \
      "${pid}); stop it, or set another port in the site file; ${leaves}"
  done
}

# The site's icc: true sets nothing, so that a machine may be stricter. It is
# told all the same: verification holds the machine against the site.
note_stricter_icc() {
  local where=''
  if [[ ${icc} == true ]]; then where=$(where_in_file icc false); fi
  [[ -z ${where} ]] ||
    note \
      "${where} keeps containers of the default bridge apart, and the site" \
      'has icc: true; set icc: false for this host in the site file and' \
      'remove that key, or verification fails'
}

# A service that the next start of the machine leaves out would be set up, shown
# to work, and gone.
check_enabled() {
  [[ $(daemon_property UnitFileState) != disabled ]] ||
    die 2 \
      'docker.service is disabled: after the next start of this machine' \
      "nothing would listen on ${listen}; run: systemctl enable" \
      "docker.service; ${leaves}"
}

# What every mode checks; each names the keys of daemon.json itself.
check_machine() {
  check_enabled
  check_drop_ins
  check_environment
  check_settings
  check_config_file
  check_local_socket
  check_address
  check_port
  check_subordinate_ids
  note_stricter_icc
}

# ---- The unit's command, as systemd reads it --------------------------------

# Prints the value of the last ExecStart= of the unit file: continued lines are
# joined, and comments between them left out.
stock_command() {
  local line joined='' command='' unit
  local goes_on='(^|[^\])(\\\\)*\\$'
  unit=$(daemon_property FragmentPath)
  while IFS= read -r line || [[ -n ${line} ]]; do
    if [[ ${line} =~ ^[[:space:]]*[#\;] ]]; then continue; fi
    joined+=${line}
    if [[ ${joined} =~ ${goes_on} ]]; then
      joined="${joined%\\} "
      continue
    fi
    if [[ ${joined} =~ ^[[:space:]]*ExecStart[[:space:]]*=(.*)$ ]]; then
      command=${BASH_REMATCH[1]}
    fi
    joined=''
  done <"${unit}"
  printf '%s\n' "${command}"
}

# Splits what stands in a unit file into words. Each stays as it stands there,
# with its quotes: systemd reads it again.
split_words() { # split_words TEXT; sets words
  local rest=$1 plain=$'[^[:space:]"\'\\]|\\\\.' double='"([^"\]|\\.)*"'
  local single=$'\'([^\'\\]|\\\\.)*\''
  words=()
  while [[ ${rest} =~ ^[[:space:]]*((${plain}|${double}|${single})+)(.*)$ ]]; do
    words+=("${BASH_REMATCH[1]}")
    rest=${BASH_REMATCH[5]}
  done
  [[ -z ${rest//[[:space:]]/} ]] ||
    die 2 "a quote has no end in docker.service: ${rest}; ${leaves}"
}

unquoted() { # unquoted WORD
  printf '%s\n' "${1//[\"\']/}"
}

refuse_word() { # refuse_word WORD
  die 2 \
    "the ExecStart= of $(daemon_property FragmentPath) passes $1 itself; take" \
    "it out there (systemctl edit --full docker.service); ${leaves}"
}

# Sets dockerd (its path), kept (what the stock unit passes besides -H),
# config_file, and is_activated (1: with -H fd://).
read_stock_command() {
  local word plain last=''
  local -a words
  split_words "$(stock_command)"
  dockerd=${words[0]:-}
  [[ ${dockerd} == /*/dockerd && -x ${dockerd} ]] ||
    die 2 \
      "docker.service starts ${words[*]:0:2}, and not dockerd itself; correct" \
      "the ExecStart= of $(daemon_property FragmentPath); ${leaves}"
  kept=()
  config_file=/etc/docker/daemon.json
  is_activated=0
  for word in "${words[@]:1}"; do
    plain=$(unquoted "${word}")
    if [[ ${plain} == *fd://* ]]; then is_activated=1; fi
    case ${last} in
      -H | --host)
        last=''
        continue
        ;;
      --config-file) config_file=${plain} ;;
      *) ;;
    esac
    last=${plain}
    case ${plain} in
      -H* | --host | --host=*) continue ;;
      --config-file=*) config_file=${plain#*=} ;;
      \;* | \#*) refuse_word "${plain}" ;;
      *) [[ ! ${plain} =~ ^(${own_flags}) ]] || refuse_word "${plain}" ;;
    esac
    kept+=("${word}")
  done
}

# ---- What dockerd gets ------------------------------------------------------

readonly marker="# Written by dockseal ${script}; --undo removes it."
# Folders that were not there before: --undo removes them too.
readonly made_note='# Made with it: '

# D02: the empty ExecStart= clears the stock one.
drop_in_text() {
  local path
  printf '%s\n' "${marker}"
  for path in "${made[@]}"; do printf '%s%s\n' "${made_note}" "${path}"; done
  printf '%s\n' '[Service]' 'ExecStart='
  printf 'ExecStart=%s' "${dockerd}"
  printf ' \\\n  %s' '-H unix:///var/run/docker.sock' "-H tcp://${listen}" \
    "${flags[@]}" "${kept[@]}"
  printf '\n'
}

install_drop_in() {
  make_parents "${drop_in}"
  write_file "${drop_in}" 0644 "$(drop_in_text)"
}

is_drop_in_ours() {
  [[ -f ${drop_in} && ! -L ${drop_in} &&
    $(cat -- "${drop_in}") == "${marker}"* ]]
}

# ---- The switch to the new flags, and the way back --------------------------

# The script that has this part names what it replaces, in the array replaced:
# files and links. Their copies are kept in the folder previous until the new
# ones are proven. While it exists, a run was interrupted: the next one
# finishes the work.

# What root writes to must be root's alone, and so must every folder above.
need_system_folder() { # need_system_folder FOLDER
  local path=$1 problem
  while [[ -n ${path} && ! -e ${path} ]]; do path=${path%/*}; done
  problem=$(why_unsafe "${path:-/}")
  [[ -z ${problem} ]] ||
    die 2 \
      "${problem%; give another --dir}; root alone may change ${path:-/}" \
      "and the folders above it; ${leaves}"
}

# ---- Folders that were not there ---------------------------------------------

declare -A taken_away=() # what --check has printed as removed

remove() { # remove FOLDER
  if [[ ! -e $1 && ! -L $1 ]] || [[ -n ${taken_away[$1]:-} ]]; then return; fi
  run rm -rf -- "$1"
  if [[ ${verb} == check ]]; then taken_away[$1]=1; fi
}

missing_folders() { # missing_folders FILE
  local path=${1%/*}
  while [[ -n ${path} && ! -e ${path} ]]; do
    printf '%s\n' "${path}"
    path=${path%/*}
  done
}

# Prints what the drop-in says that was made with it.
made_before() {
  local line
  is_drop_in_ours || return 0
  while IFS= read -r line; do
    [[ ${line} != "${made_note}"* ]] || printf '%s\n' "${line#"${made_note}"}"
  done <"${drop_in}"
}

# Sets made to the folders that are made for the files, the deepest first: as a
# run before has written down, and those that are not there.
find_made_folders() {
  local path
  mapfile -t made < <(
    {
      made_before
      if [[ -f ${previous}/made ]]; then cat -- "${previous}/made"; fi
      for path in "${replaced[@]}"; do missing_folders "${path}"; done
    } | sort --reverse --unique
  )
}

make_parents() { # make_parents FILE
  local path
  local -a paths
  mapfile -t paths < <(missing_folders "$1" | sort)
  for path in "${paths[@]}"; do run mkdir -p -m 0755 -- "${path}"; done
}

# Where nothing else stands in them.
remove_made_folders() {
  local path
  for path in "${made[@]}"; do
    if [[ -d ${path} && ! -L ${path} && -z $(ls -A -- "${path}") ]]; then
      run rmdir -- "${path}"
    fi
  done
}

# ---- The previous state ------------------------------------------------------

# A folder of this name that holds anything else is somebody else's.
is_previous_ours() {
  local entry path names=' made '
  [[ -d ${previous} && ! -L ${previous} && -O ${previous} ]] || return 1
  for path in "${replaced[@]}"; do names+="${path##*/} "; done
  while IFS= read -r entry; do
    [[ -z ${entry} || ${names} == *" ${entry} "* ]] || return 1
  done <<<"$(ls -A -- "${previous}")"
}

check_previous() {
  if [[ ! -e ${previous} && ! -L ${previous} ]] || is_previous_ours; then
    return
  fi
  die 2 \
    "${previous} is there and not made by this script, which keeps the" \
    "previous state there; move it away; ${leaves}"
}

copy_replaced() { # copy_replaced PATH COPY
  if [[ -L $1 ]]; then run cp -PpT -- "$1" "$2"; else keep_copy "$1" "$2"; fi
}

save_replaced() {
  local path
  make_parents "${previous}"
  if [[ -e ${previous} ]]; then return; fi
  remove "${previous}.new"
  run mkdir -m 0700 -- "${previous}.new"
  for path in "${replaced[@]}"; do
    if [[ -e ${path} || -L ${path} ]]; then
      copy_replaced "${path}" "${previous}.new/${path##*/}"
    fi
  done
  if ((${#made[@]})); then
    write_file "${previous}.new/made" 0600 "$(printf '%s\n' "${made[@]}")"
  fi
  run mv -T -- "${previous}.new" "${previous}"
}

restore_replaced() {
  local path copy
  for path in "${replaced[@]}"; do
    copy=${previous}/${path##*/}
    if [[ -e ${copy} || -L ${copy} ]]; then
      run rm -f -- "${path}.new"
      copy_replaced "${copy}" "${path}.new"
      run mv -fT -- "${path}.new" "${path}"
    else
      run rm -f -- "${path}"
    fi
  done
}

# The list of folders outlives the drop-in in which it stands.
keep_made_folders() {
  if ((${#made[@]} == 0)) || [[ -e ${previous} ]]; then return; fi
  make_parents "${previous}"
  run mkdir -m 0700 -- "${previous}"
  write_file "${previous}/made" 0600 "$(printf '%s\n' "${made[@]}")"
}

remove_previous() {
  if [[ ${verb} == check ]] || is_previous_ours; then
    run rm -rf -- "${previous}"
  fi
}

# docker.socket too, where dockerd requires it: dockerd replaces the socket's
# file. A restart of the socket restarts dockerd with it, as one transaction
# that systemd brings to its end whatever becomes of this script; start waits
# for it. A dockerd that fails is tried again and again: then systemd restarts
# no socket, and both are stopped first.
# KillMode=process leaves containers of a live-restore daemon running.
restart_docker() {
  local required
  # D03: and a restart, without which the old flags stay.
  run systemctl daemon-reload
  run systemctl reset-failed docker.service
  required=$(daemon_property Requires)
  if [[ " ${required} " != *' docker.socket '* ]]; then
    run systemctl restart docker.service
    return
  fi
  run systemctl reset-failed docker.socket
  if systemctl --quiet is-active docker.service; then
    run systemctl restart docker.socket
    run systemctl start docker.service
  else
    run systemctl stop docker.socket
    run systemctl restart docker.service
  fi
}

# Waits until all holds; sets problem to what does not after 30 seconds. Before
# it answers, dockerd itself waits 1 second for TCP without client certificates,
# and 15 more for plain TCP on other addresses than loopback.
wait_for_daemon() {
  local deadline=$((SECONDS + 30))
  problem='docker.service is not active'
  while ((SECONDS < deadline)); do
    if systemctl --quiet is-active docker.service; then
      problem=$(daemon_problem)
      [[ -n ${problem} ]] || return 0
    elif systemctl --quiet is-failed docker.service; then
      return 0
    fi
    sleep 0.2
  done
}

# Sets daemon_log and outcome, for give_up.
put_back() { # put_back PROBLEM
  outcome='the previous state is back and docker.service runs with it'
  daemon_log=$(journalctl --unit docker.service --no-pager --output cat \
    --lines 12) || true
  note "$1; putting the previous state back"
  restore_replaced
  restart_docker ||
    outcome='docker.service does not start with the previous state either'
  remove_previous
}

give_up() { # give_up PROBLEM
  printf '%s\n' '---- the daemon said ----' "${daemon_log}" '----' >&2
  die 1 "$1; ${outcome}"
}

# ---- Questions and requirements ---------------------------------------------

# Prints how many containers a restart interrupts.
running_containers() {
  local text
  local -a ids=()
  if text=$(docker -H unix:///var/run/docker.sock ps --quiet 2>/dev/null); then
    if [[ -n ${text} ]]; then mapfile -t ids < <(printf '%s\n' "${text}"); fi
    printf '%d running container(s)\n' "${#ids[@]}"
  else
    printf 'an unknown number of containers (docker ps got no answer)\n'
  fi
}

# A daemon with live-restore leaves its containers running.
what_restart_does() {
  local live
  live=$(docker -H unix:///var/run/docker.sock info \
    --format '{{.LiveRestoreEnabled}}' 2>/dev/null) || live=false
  if [[ ${live} == true ]]; then
    printf 'live-restore keeps %s running' "$(running_containers)"
  else
    printf 'It interrupts %s' "$(running_containers)"
  fi
}

# WARNING is what the operator must know of the state that this leads to.
confirm_restart() { # confirm_restart USERNS_REMAP WARNING
  local hidden=''
  if is_remap_switched "$1"; then
    refuse_lost_containers
    announce_remap "$1"
    hidden=" and hides $(things_in_view)"
  fi
  confirm "Restart dockerd now? $(what_restart_does)${hidden}.$2"
}

# Without systemd as the init system there is nothing that this can configure.
need_systemd() { # need_systemd BY_HAND
  local flag
  [[ -d /run/systemd/system ]] && return
  note "systemd does not run this machine. To start dockerd by hand, $1"
  {
    printf '%s -H unix:///var/run/docker.sock -H tcp://%s' \
      "$(command -v dockerd)" "${listen}"
    for flag in "${flags[@]}"; do printf ' %s' "${flag}"; done
    printf '\n'
  } >&2
  die 2 "systemd is needed; ${leaves}"
}

# Without one, whatever docker command is here.
why_no_dockerd() {
  local command begins=''
  printf 'there is no dockerd in %s; ' "${PATH}"
  command=$(command -v docker) || command=''
  if [[ -n ${command} ]]; then
    IFS= read -r -n 2 begins <"${command}" || begins=''
  fi
  # podman's is a script.
  if [[ ${begins} == '#!' && -x /usr/bin/podman ]]; then
    printf 'the docker command here is podman, which has none; '
  elif [[ -e /snap/bin/docker ]]; then
    printf 'the one of a snap is not supported; '
  fi
  printf 'run this on a Docker host whose docker.service starts dockerd as root'
}

need_daemon() { # need_daemon BY_HAND
  local state
  command -v dockerd >/dev/null || die 2 "$(why_no_dockerd)"
  need_systemd "$1"
  ((EUID == 0)) || die 2 'this needs root: run it with sudo'
  state=$(daemon_property LoadState)
  [[ ${state} != masked ]] ||
    die 2 \
      'docker.service is masked, so that nothing can start it; run: systemctl' \
      "unmask docker.service; ${leaves}"
  [[ ${state} == loaded ]] ||
    die 2 \
      "there is no docker.service; install dockerd's systemd unit; ${leaves}"
  # One daemon, one run, whatever the working folder.
  if [[ ${verb} != check ]]; then lock /run/dockseal.lock; fi
}

# Prints what does not hold of the running dockerd's command line, or nothing.
flags_problem() {
  local places
  places=$(other_listeners)
  if ! is_running_with_flags; then
    printf 'dockerd does not run with the new flags\n'
  elif [[ ${places} != ' ' ]]; then
    printf 'dockerd listens elsewhere too:%s\n' "${places% }"
  fi
}

# ---- Installing the certificate ---------------------------------------------

readonly purpose=sslserver signer=ca/20-sign-servers.sh
readonly accepts=' --dir --yes --check --undo --remove-keys --help '
readonly previous=${tls_directory}.previous
readonly -a replaced=("${drop_in}" "${tls_directory}")

# The link is compared as it stands: /etc/docker may be a link itself.
is_link_ours() {
  local target
  target=$(readlink -- "${tls_directory}") &&
    [[ ${target} =~ ^"${tls_directory##*/}"-[0-9a-f]{16}$ ]]
}

# Prints the folder that the link leads to, or nothing.
installed_generation() {
  if is_link_ours; then
    printf '%s/%s\n' "${tls_directory%/*}" "$(readlink -- "${tls_directory}")"
  fi
}

check_tls_directory() {
  if [[ ! -e ${tls_directory} && ! -L ${tls_directory} ]] || is_link_ours; then
    return
  fi
  die 2 \
    "${tls_directory} is there and not made by this script; move it away," \
    "or set tls_directory in the site file; ${leaves}"
}

# A pair gets a folder of its own; the switch to it is one rename of a link.
# Its name comes from the public files: the same pair has the same folder.
generation_of() {
  local digest
  digest=$(cat -- "${ca}" "${certificate}" | sha256sum)
  printf '%s\n' "${tls_directory}-${digest:0:16}"
}

is_generation_whole() { # is_generation_whole FOLDER
  is_same_file "${ca}" "$1/${ca_certificate_file}" &&
    is_same_file "${certificate}" "$1/${certificate_file}" &&
    is_same_file "${key}" "$1/${key_file}" &&
    [[ $(stat --format '%a %u' -- "$1/${key_file}") == '400 0' ]]
}

# Modes after the CIS Docker Benchmark: certificates 0444, the key 0400.
install_generation() { # install_generation FOLDER
  remove "$1.new"
  run mkdir -m 0700 -- "$1.new"
  # D15: what the daemon gets, with owners and modes.
  run install -o root -g root -m 0444 -T -- "${ca}" \
    "$1.new/${ca_certificate_file}"
  run install -o root -g root -m 0444 -T -- "${certificate}" \
    "$1.new/${certificate_file}"
  run install -o root -g root -m 0400 -T -- "${key}" "$1.new/${key_file}"
  if [[ ${verb} != check ]]; then
    is_generation_whole "$1.new" ||
      die 1 "$1.new did not read back; is the disk full? ${leaves}"
  fi
  run sync -- "$1.new/${ca_certificate_file}" "$1.new/${certificate_file}" \
    "$1.new/${key_file}"
  remove "$1"
  run mv -T -- "$1.new" "$1"
}

point_link_at() { # point_link_at FOLDER
  run ln -sfnT -- "${1##*/}" "${tls_directory}.new"
  run mv -T -- "${tls_directory}.new" "${tls_directory}"
}

remove_generations() { # remove_generations KEEP: all folders but KEEP
  local generation
  for generation in "${tls_directory}"-*; do
    [[ -d ${generation} && ! -L ${generation} ]] || continue
    [[ ${generation} != "$1" ]] || continue
    [[ ${generation} =~ -[0-9a-f]{16}(\.new)?$ ]] || continue
    if [[ -e ${generation}/${key_file} ]] && ((! remove_keys)) &&
      ! is_same_file "${key}" "${generation}/${key_file}" &&
      ! is_same_file "${folder}/previous/${key_file}" \
        "${generation}/${key_file}"; then
      note "kept: ${generation}, which has another key than ${key}"
      continue
    fi
    remove "${generation}"
  done
}

# ---- Proof ------------------------------------------------------------------

# Prints what does not hold, or nothing.
daemon_problem() {
  local problem
  problem=$(flags_problem)
  if [[ -n ${problem} ]]; then
    printf '%s\n' "${problem}"
    return
  fi
  case ${daemon_mode} in
    mutual) mutual_problem ;;
    *) server_only_problem ;;
  esac
  userns_problem
}

ask() { # ask S_CLIENT_OPTION...: after mark_log
  ask_daemon "${probe_address}" "${listen_port}" "${probe_name}" "${ca}" \
    "${from_own_port[@]}" "$@"
}

# A client that has ended says nothing of the daemon.
find_good_client() {
  local client
  client=$(find_client)
  if [[ -n ${client} ]] && is_good_client "${client}"; then
    printf '%s\n' "${client}"
  fi
}

mutual_problem() {
  local client answer
  client=$(find_good_client)
  if [[ -n ${client} ]]; then
    mark_log
    answer=$(ask -cert "${client}/${client_certificate_file}" \
      -key "${client}/${client_key_file}")
    is_answer "${answer}" || {
      printf 'a client with a certificate got no answer: %s\n' \
        "$(why_no_answer "${answer}")"
      return
    }
  fi
  mark_log
  answer=$(ask)
  if is_answer "${answer}"; then
    printf 'a client without a certificate was not refused: it got an answer\n'
  elif ! is_refusal "${answer}" "${client}"; then
    printf 'a client without a certificate was not refused: %s\n' \
      "$(why_no_answer "${answer}")"
  fi
}

# True for what dockerd answers without a certificate. Over TLS 1.2 one of Go
# 1.26 calls that a handshake failure, which other faults are called too: then a
# client with a certificate was answered, or the daemon's log says it.
is_refusal() { # is_refusal ANSWER CLIENT
  if [[ $1 =~ alert\ (bad\ certificate|certificate\ required) ]]; then
    return
  fi
  [[ $1 == *'alert handshake failure'* && (-n $2 || -n ${cursor}) ]] &&
    is_missing_certificate_logged
}

server_only_problem() {
  local answer
  mark_log
  answer=$(ask)
  is_answer "${answer}" || {
    printf 'a client that trusts this CA got no answer: %s\n' \
      "$(why_no_answer "${answer}")"
    return
  }
  answer=$(ask_in_plain_text /_ping)
  [[ ${answer} == *'HTTP request to an HTTPS server'* ]] ||
    printf 'plain HTTP was not refused: %s\n' "${answer:-no answer}"
}

# ---- The verbs --------------------------------------------------------------

# What the operator must know of the state that this leads to.
warning() {
  [[ ${daemon_mode} != server-only ]] ||
    printf ' Then everyone who reaches %s is root on this machine.' "${listen}"
}

check_conflicts() {
  refuse_keys 'and dockerd refuses both' \
    tls tlsverify tlscacert tlscert tlskey "${own_keys[@]}"
  check_machine
  check_tls_directory
  check_previous
}

is_installed() {
  [[ ! -e ${previous} && -L ${tls_directory} &&
    $(installed_generation) == "${generation}" ]] &&
    is_text_of "$(drop_in_text)" "${drop_in}" &&
    is_generation_whole "${generation}" && is_running_with_flags
}

# Whoever has a CA's key is root here. Its digest is compared by voice.
check_authorities() {
  local problem
  problem=$(why_not_trusted "${ca}" "${tls_directory}/${ca_certificate_file}" \
    "${certificate}")
  [[ -z ${problem} ]] ||
    die 2 \
      "${ca} is not installed: ${problem}; bring that file from the CA again," \
      "and compare its sha256; ${leaves}"
}

# Sets generation to the folder of the pair that is to be installed.
choose_generation() {
  choose_pair
  if [[ ${verb} == check ]] && is_renewal_awaited; then
    note 'a renewed certificate is not here yet'
    generation=${tls_directory}-DIGEST
  elif [[ ${verb} == check && ! -e ${certificate} ]]; then
    note "${certificate} is not here yet"
    generation=${tls_directory}-DIGEST
  else
    check_certificate
    check_authorities
    generation=$(generation_of)
  fi
}

roll_back() { # roll_back PROBLEM
  put_back "$1"
  remove_generations "$(installed_generation)"
  remove_made_folders
  give_up "$1"
}

apply() {
  local problem='' left
  read_stock_command
  read_settings
  check_conflicts
  choose_generation
  find_made_folders
  if is_installed; then
    finish_renewal
    remove_generations "${generation}"
    remove_request
    finish
  fi
  show_authorities "${ca}"
  confirm_restart "${userns_remap}" "$(warning)"
  find_remap_data "${userns_remap}"
  save_replaced
  if ! is_generation_whole "${generation}"; then
    install_generation "${generation}"
  fi
  point_link_at "${generation}"
  install_drop_in
  restart_docker || roll_back 'docker.service did not start'
  if [[ ${verb} != check ]]; then wait_for_daemon; fi
  [[ -z ${problem} ]] || roll_back "${problem}"
  remove_previous
  finish_renewal
  remove_generations "${generation}"
  remove_request
  if [[ ${verb} == check ]]; then finish; fi
  note_remap_data
  note_what_holds
  finish
}

note_what_holds() {
  if [[ ${daemon_mode} == server-only ]]; then
    note \
      "dockerd shows a certificate of this CA and asks for none: everyone who" \
      "reaches ${listen} is root on this machine"
    return
  fi
  note \
    'dockerd answers clients of this CA, and refuses a client without a' \
    'certificate'
  [[ -n $(find_good_client) ]] ||
    note \
      "no client's valid files are here: clients/NAME/90-verify.sh shows that" \
      'a client gets an answer'
}

undo() {
  local restart=0 left=''
  find_made_folders
  if is_drop_in_ours; then
    confirm_restart '' ''
    find_remap_data ''
    keep_made_folders
    run rm -f -- "${drop_in}"
    restart=1
  fi
  if ((restart)) || is_running_with_flags; then restart_docker; fi
  if is_link_ours; then
    run rm -f -- "${tls_directory}"
  elif [[ -e ${tls_directory} || -L ${tls_directory} ]]; then
    note "kept: ${tls_directory}, which this script did not make"
  fi
  remove_generations ''
  remove_made_folders
  remove_previous
  remove_made_folders
  note_remap_data
  finish
}

main() {
  parse_options "$@"
  folder=${dir}/${script%/*}
  key=${folder}/${key_file}
  certificate=${folder}/${certificate_file}
  ca=${folder}/${ca_certificate_file}
  need_openssl
  need_daemon \
    "install the files of ${folder} in ${tls_directory} and run:"
  need_safe_folders
  need_system_folder "${tls_directory%/*}"
  need_system_folder "${drop_in%/*}"
  if [[ ${verb} == undo ]]; then undo; else apply; fi
}

main "$@"
