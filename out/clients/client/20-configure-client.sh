#!/usr/bin/env bash
# Configures the docker client of the user who runs it: certificates in
# ~/.docker and a docker context for each Docker host.
#
# Reads:      DIR/clients/client/: client-key.pem, client-certificate.pem,
#             ca-public.pem
# Writes:     ~/.docker/: ca.pem, cert.pem, key.pem; ~/.docker/before-dockseal/:
#             record, digests, key.pem, cert.pem, ca.pem;
#             ~/.docker/contexts/meta/DIGEST/meta.json;
#             ~/.docker/contexts/tls/DIGEST/docker/: ca.pem, cert.pem, key.pem;
#             DIR/clients/client/: client-key.pem, client-certificate.pem,
#             .lock; DIR/clients/client/previous/: client-key.pem,
#             client-certificate.pem
# Removes:    DIR/clients/client/: client-request.csr, extfile-client.cnf;
#             DIR/clients/client/renewal/: client-key.pem,
#             client-certificate.pem, client-request.csr, extfile-client.cnf
# Restarts:   nothing
# Needs root: no; it configures the user who runs it
# Undo:       removes all of it, and puts back what was in ~/.docker before
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

readonly script='clients/client/20-configure-client.sh'
readonly alternative_names='DNS:client'
readonly key_file='client-key.pem'
readonly certificate_file='client-certificate.pem'
readonly ca_certificate_file='ca-public.pem'
readonly request_file='client-request.csr'
readonly extensions_file='extfile-client.cnf'
# Below the home folder; empty for none.
readonly shell_profile=''
# docker context, the address of its host
readonly -a contexts=(
  'localhost' 'tcp://localhost:2376'
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

# Prints the value of a variable of whoever runs this script, or nothing.
caller_value() { # caller_value VARIABLE
  local setting
  for setting in "${caller_variables[@]}"; do
    if [[ ${setting} == "$1="* ]]; then printf '%s\n' "${setting#*=}"; fi
  done
}

# Stops where the user's docker does not look into ~/.docker.
need_own_config() {
  local config
  config=$(caller_value DOCKER_CONFIG)
  if [[ -z ${config} || ${config} -ef ${docker_config} ||
    ${config} == "${docker_config}" ]]; then
    return
  fi
  die 2 \
    "DOCKER_CONFIG is ${config}: there docker looks for certificates and" \
    "contexts, and this script is about ${docker_config}; run: unset" \
    "DOCKER_CONFIG, and take it out of your shell profile; ${leaves}"
}

# True when both files are there and hold the same bytes: in a variable bash
# drops NUL bytes.
is_same_file() { # is_same_file FILE FILE
  [[ -f $1 && -f $2 ]] && cmp --quiet -- "$1" "$2"
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

# ---- The files in ~/.docker -------------------------------------------------

readonly purpose=sslclient signer=ca/30-sign-clients.sh
readonly accepts=' --dir --yes --check --undo --remove-keys --help '
readonly description="dockseal ${script}"
readonly block_start="# >>> dockseal ${script} >>>"
readonly block_end="# <<< dockseal ${script} <<<"
# What docker reads, and no other name.
readonly -a installed=(key.pem cert.pem ca.pem)

# What was in ~/.docker before is kept in before-dockseal, as long as this
# client is configured, with two files of this script's own:
#   record  this script, and the mode of each folder that was there before
#   digests of all that this script has installed in ~/.docker

# Prints the script that has configured ~/.docker, or nothing.
configured_by() {
  local name=''
  if [[ -f ${previous}/record ]]; then read -r name <"${previous}/record"; fi
  printf '%s\n' "${name}"
}

# Prints the mode that a folder had before, or nothing where there was none.
mode_before() { # mode_before FOLDER, below ~/.docker
  local mode name
  if [[ ! -f ${previous}/record ]]; then return; fi
  while read -r mode name; do
    if [[ ${name} == "$1" ]]; then printf '%s\n' "${mode}"; fi
  done <"${previous}/record"
}

text_of_record() {
  local name
  printf '%s\n' "${script}"
  for name in . contexts contexts/meta contexts/tls; do
    if [[ -d ${docker_config}/${name} ]]; then
      stat --dereference --printf "%a ${name}\n" -- "${docker_config}/${name}"
    fi
  done
}

# Copies a file, or a link as the link that it is: it goes back to the folder
# from which it leads.
keep_entry() { # keep_entry FILE COPY
  if [[ -L $1 ]]; then
    run cp --no-dereference --remove-destination -T -- "$1" "$2"
  else
    keep_copy "$1" "$2"
  fi
}

# A folder ~/.docker that was not there comes whole, with its record: a killed
# run leaves none of which nobody knows whose it is.
keep_previous() {
  local name new=${previous}.new whole=${previous}
  if [[ -d ${previous} ]]; then return; fi
  remove_leftovers
  if [[ ! -d ${docker_config} ]]; then
    whole=${docker_config}
    new=${docker_config}.new/${previous##*/}
    run mkdir -m 0700 -- "${docker_config}.new"
  fi
  run mkdir -m 0700 -- "${new}"
  for name in "${installed[@]}"; do
    if [[ -e ${docker_config}/${name} || -L ${docker_config}/${name} ]]; then
      keep_entry "${docker_config}/${name}" "${new}/${name}"
    fi
  done
  if [[ -n ${shell_profile} && -e ${profile} ]]; then
    keep_copy "${profile}" "${new}/profile"
  fi
  write_file "${new}/record" 0600 "$(text_of_record)"
  run mv -T -- "${whole}.new" "${whole}"
}

# What a killed run was about to put in place. It may hold a key.
remove_leftovers() {
  local name
  if [[ -d ${previous} ]]; then
    for name in "${installed[@]/#/"${docker_config}/"}"; do
      if [[ -e ${name}.new || -L ${name}.new ]]; then
        run rm -f -- "${name}.new"
      fi
    done
  fi
  for name in "${previous}.new" "${docker_config}.new"; do
    if [[ -e ${name} || -L ${name} ]]; then run rm -rf -- "${name}"; fi
  done
}

# A killed run leaves a new folder with nothing in it but before-dockseal.
is_leftover() { # is_leftover FOLDER
  [[ -d $1 && ! -L $1 && $(ls -A -- "$1") =~ ^("${previous##*/}")?$ ]]
}

# From now on these files are this script's own: those that come, and those that
# are in place, of which keep_previous has copies.
record_digests() {
  local text name
  local -a files=("${key}" "${certificate}" "${ca}")
  if [[ ! -e ${certificate} || ! -e ${key} || ! -e ${ca} ]]; then return; fi
  for name in "${installed[@]/#/"${docker_config}/"}"; do
    if [[ -e ${name} ]]; then files+=("${name}"); fi
  done
  text=$(sha256sum -- "${files[@]}" | cut --bytes=1-64)
  if [[ -f ${previous}/digests ]]; then
    text+=$'\n'$(cat -- "${previous}/digests")
  fi
  write_file "${previous}/digests" 0600 "$(sort --unique <<<"${text}")"
}

# True when this script has installed a file; an earlier version took no note.
is_our_file() { # is_our_file FILE
  local digest
  if [[ ! -f ${previous}/digests ]]; then return; fi
  digest=$(sha256sum -- "$1")
  [[ $(<"${previous}/digests") == *"${digest%% *}"* ]]
}

install_file() { # install_file SOURCE FILE MODE
  local file=${docker_config}/$2
  if [[ ! -L ${file} ]] && is_same_file "$1" "${file}" &&
    [[ $(stat --format '%a' -- "${file}") == "$3" ]]; then
    return
  fi
  run install -m "$3" -T -- "$1" "${file}.new"
  if [[ ${verb} != check ]] && ! is_same_file "$1" "${file}.new"; then
    die 1 "${file}.new did not read back; is the disk full? ${leaves}"
  fi
  run sync -- "${file}.new"
  run mv -fT -- "${file}.new" "${file}"
}

# D15, D18: docker reads exactly ca.pem, cert.pem and key.pem.
install_files() {
  leaves="some files of ${docker_config} may be new; run this again to finish,"
  leaves+=' or with --undo to put back what was there'
  keep_previous
  if [[ -d ${docker_config} &&
    $(stat --dereference --format '%a' -- "${docker_config}") != 700 ]]; then
    run chmod 0700 -- "${docker_config}"
  fi
  record_digests
  install_file "${key}" key.pem 600
  install_file "${certificate}" cert.pem 644
  if ! is_same_file "${ca}" "${docker_config}/ca.pem"; then
    show_authorities "${ca}"
  fi
  install_file "${ca}" ca.pem 644
}

restore_files() {
  local name file
  if [[ ! -d ${previous} ]]; then return; fi
  for name in "${installed[@]}"; do
    file=${docker_config}/${name}
    if [[ -e ${previous}/${name} || -L ${previous}/${name} ]]; then
      keep_entry "${previous}/${name}" "${file}.new"
      run mv -fT -- "${file}.new" "${file}"
    elif [[ ${name} == key.pem && -e ${file} && ! -e ${key} ]] &&
      ((! remove_keys)); then
      note "kept: ${file}, the only copy of this key"
    elif [[ -e ${file} ]]; then
      run rm -f -- "${file}"
    fi
  done
}

# ---- docker contexts --------------------------------------------------------

has_docker() {
  command -v docker >/dev/null
}

# Prints where docker keeps a context, below meta and tls.
context_folder() { # context_folder NAME
  local digest
  digest=$(printf '%s' "$1" | sha256sum)
  printf '%s\n' "${digest%% *}"
}

# Prints docker's own file about a context, or nothing. docker itself reads no
# context where the current one is gone, or where it is not installed any more.
meta_of() { # meta_of NAME
  local file
  file=${docker_config}/contexts/meta/$(context_folder "$1")/meta.json
  if [[ -s ${file} ]]; then cat -- "${file}"; fi
}

# A kill or a power cut inside docker leaves a context without a description:
# then docker reads no other context either, or leaves a key there.
remove_half_made() { # remove_half_made NAME
  if [[ -z $(meta_of "$1") ]]; then remove_context_files "$1"; fi
}

remove_context_files() { # remove_context_files NAME
  local folder part
  folder=$(context_folder "$1")
  for part in tls meta; do
    if [[ -d ${docker_config}/contexts/${part}/${folder} ]]; then
      run rm -rf -- "${docker_config}/contexts/${part}/${folder}"
    fi
  done
}

is_our_context() { # is_our_context NAME
  [[ $(meta_of "$1") == *"\"Description\":\"${description}\""* ]]
}

# A context holds copies of the files: they must be the present ones.
is_present_context() { # is_present_context NAME DOCKER_HOST
  local copies
  copies=${docker_config}/contexts/tls/$(context_folder "$1")/docker
  is_our_context "$1" && [[ $(meta_of "$1") == *"\"Host\":\"$2\""* ]] &&
    is_same_file "${ca}" "${copies}/ca.pem" &&
    is_same_file "${certificate}" "${copies}/cert.pem" &&
    is_same_file "${key}" "${copies}/key.pem"
}

create_contexts() {
  local row name host action files
  files=ca=${docker_config}/ca.pem,cert=${docker_config}/cert.pem
  files+=,key=${docker_config}/key.pem
  if ! has_docker; then
    note 'there is no docker client on this machine: contexts are left out'
    return
  fi
  for ((row = 0; row < ${#contexts[@]}; row += 2)); do
    name=${contexts[row]}
    host=${contexts[row + 1]}
    remove_half_made "${name}"
    if is_present_context "${name}" "${host}"; then continue; fi
    action=create
    if is_our_context "${name}"; then action=update; fi
    run docker context "${action}" "${name}" --description "${description}" \
      --docker "host=${host},${files}" || {
      # On a full disk docker leaves halves of files.
      remove_context_files "${name}"
      die 1 \
        "docker context ${action} ${name} failed, for the reason above; what" \
        "it left was removed; state: ${leaves}"
    }
  done
}

# Prints the contexts that this script made, for earlier hosts of the site too.
our_contexts() {
  local file text
  for file in "${docker_config}"/contexts/meta/*/meta.json; do
    if [[ ! -s ${file} ]]; then continue; fi
    text=$(cat -- "${file}")
    if [[ ${text} == *"\"Description\":\"${description}\""* &&
      ${text} =~ \"Name\":\"([^\"]+)\" ]]; then
      printf '%s\n' "${BASH_REMATCH[1]}"
    fi
  done
}

# docker forgets its current context only where it is not told to use another.
remove_context() { # remove_context NAME
  local text='' current=0
  if [[ -r ${docker_config}/config.json ]]; then
    text=$(cat -- "${docker_config}/config.json")
  fi
  if [[ ${text} =~ \"currentContext\":[[:space:]]*\""$1"\" ]]; then
    current=1
  fi
  if ! has_docker; then
    remove_context_files "$1"
  elif ((current)); then
    run env --unset=DOCKER_CONTEXT docker context rm --force "$1" ||
      remove_context_files "$1"
  else
    run docker context rm --force "$1" || remove_context_files "$1"
  fi
}

remove_contexts() {
  local row name
  for ((row = 0; row < ${#contexts[@]}; row += 2)); do
    remove_half_made "${contexts[row]}"
  done
  while IFS= read -r name; do
    if [[ -n ${name} ]]; then remove_context "${name}"; fi
  done <<<"$(our_contexts)"
}

# ---- The shell profile ------------------------------------------------------

# Prints how many lines this script's block has, which begins with the first of
# LINEs. Where its end was deleted, what follows is somebody else's.
length_of_block() { # length_of_block LINE...
  local line length=0
  for line in "$@"; do
    if ((length)) && [[ ${line} == "${block_start}" ]]; then break; fi
    length=$((length + 1))
    if [[ ${line} == "${block_end}" ]]; then break; fi
  done
  if [[ ${line} != "${block_end}" ]]; then
    length=1
    for line in "${@:2:2}"; do
      [[ ${line} =~ ^export\ DOCKER_(HOST|TLS_VERIFY)= ]] || break
      length=$((length + 1))
    done
  fi
  printf '%d\n' "${length}"
}

# Prints the profile without this script's block.
profile_without_block() {
  local number=0
  local -a lines
  mapfile -t lines <"${profile}"
  while ((number < ${#lines[@]})); do
    if [[ ${lines[number]} == "${block_start}" ]]; then
      number=$((number + $(length_of_block "${lines[@]:number}")))
    else
      printf '%s\n' "${lines[number]}"
      number=$((number + 1))
    fi
  done
}

write_profile() {
  local text='' mode=0644
  if [[ -z ${shell_profile} ]]; then return; fi
  if [[ -e ${profile} ]]; then
    text=$(profile_without_block)
    mode=$(stat --format '%a' -- "${profile}")
  fi
  # D18: with a name from the certificate, not 0.0.0.0.
  write_file "${profile}" "${mode}" "${text:+${text}
}${block_start}
export DOCKER_HOST=${contexts[1]}
export DOCKER_TLS_VERIFY=1
${block_end}"
}

clean_profile() {
  local text
  # What a killed run was about to put in place.
  if [[ -n ${shell_profile} && -f ${profile}.new &&
    $(<"${profile}.new") == *"${block_start}"* ]]; then
    run rm -f -- "${profile}.new"
  fi
  if [[ -z ${shell_profile} || ! -e ${profile} ]]; then return; fi
  text=$(profile_without_block)
  if [[ $(<"${profile}") == "${text}" ]]; then return; fi
  # Byte for byte, where nobody has changed it since.
  if [[ -e ${previous}/profile &&
    $(<"${previous}/profile") == "${text}" ]]; then
    keep_copy "${previous}/profile" "${profile}.new"
    run mv -fT -- "${profile}.new" "${profile}"
  elif [[ -z ${text} ]]; then
    run rm -f -- "${profile}"
  else
    write_file "${profile}" "$(stat --format '%a' -- "${profile}")" "${text}"
  fi
}

# ---- Before the first change ------------------------------------------------

# Stops where this user could not write, or where others could.
check_home() {
  local owner
  [[ -d ${HOME} ]] ||
    die 2 "HOME is ${HOME}, and there is no such folder; ${leaves}"
  if [[ -e ${docker_config}.new || -L ${docker_config}.new ]]; then
    is_leftover "${docker_config}.new" ||
      die 2 "${docker_config}.new is somebody's; move it away; ${leaves}"
  fi
  if [[ ! -e ${docker_config} && ! -L ${docker_config} ]]; then
    need_safe "${HOME}"
    return
  fi
  [[ -d ${docker_config} ]] ||
    die 2 "${docker_config} is no folder; move it away; ${leaves}"
  owner=$(stat --dereference --format '%U' -- "${docker_config}")
  [[ -O ${docker_config} ]] ||
    die 2 \
      "${docker_config} belongs to ${owner}, and $(id -un) runs this; run as" \
      "${owner}: chown -R $(id -un) ${docker_config}; ${leaves}"
  need_safe "${docker_config}"
}

check_profile() {
  if [[ -z ${shell_profile} ]]; then return; fi
  if [[ ! -e ${profile} ]]; then
    [[ ${verb} == undo || -d ${profile%/*}/ ]] ||
      die 2 \
        "shell_profile is ~/${shell_profile}, and there is no folder" \
        "${profile%/*}; make it; ${leaves}"
    return
  fi
  need_safe "${profile%/*}/"
  [[ -f ${profile} && -O ${profile} && -r ${profile} ]] ||
    die 2 "${profile} is not a file of $(id -un)'s own; ${leaves}"
  if IFS= read -r -d '' _ <"${profile}"; then
    die 2 "${profile} holds a NUL byte: it is no shell profile; ${leaves}"
  fi
}

# Whoever has the key of a CA that docker trusts can be each of its hosts.
check_authorities() {
  local trusted='' problem
  if [[ -d ${previous} ]]; then trusted=${docker_config}/ca.pem; fi
  problem=$(why_not_trusted "${ca}" "${trusted}" "${certificate}")
  [[ -z ${problem} ]] ||
    die 2 \
      "${ca} is refused: ${problem}. Bring it from the CA again, and compare" \
      "its sha256 with the one that the CA shows; ${leaves}"
}

# docker reads one certificate in ~/.docker: a user is one client.
refuse_second_client() { # refuse_second_client SCRIPT_OF_THE_FIRST
  die 2 \
    "$(id -un) is ${1%/*} already, and docker reads one certificate in" \
    "${docker_config}. Let the user who will be ${script%/*} run setup.sh" \
    "--as ${script%/*}, here or on another machine, and run yours with --as" \
    "${1%/*} (and --as for what else this machine is); or take the first" \
    "one away: bash $1 --undo; ${leaves}"
}

# Stops where ~/.docker is not as this script left it.
check_owner() {
  local other file
  other=$(configured_by)
  if [[ -n ${other} && ${other} != "${script}" ]]; then
    if [[ ${verb} == undo ]]; then finish; fi
    refuse_second_client "${other}"
  fi
  for file in "${installed[@]/#/"${docker_config}/"}"; do
    if [[ ! -e ${file} ]]; then continue; fi
    [[ -f ${file} && -r ${file} ]] ||
      die 2 "${file} is not a file that can be read; move it away; ${leaves}"
    if [[ ! -d ${previous} ]] || is_our_file "${file}"; then continue; fi
    die 2 \
      "${file} is not what this script installed: somebody has changed it." \
      "Move it away and run this again; ${leaves}"
  done
}

check_contexts() {
  local row name meta
  for ((row = 0; row < ${#contexts[@]}; row += 2)); do
    name=${contexts[row]}
    meta=$(meta_of "${name}")
    if [[ -z ${meta} ]] || is_our_context "${name}"; then continue; fi
    if [[ ${meta} =~ \"Description\":\"dockseal\ (clients/[^\"]+)\" ]]; then
      refuse_second_client "${BASH_REMATCH[1]}"
    fi
    die 2 \
      "there is a docker context ${name} that this script did not make. Give" \
      "it another name: docker context export ${name} - | docker context" \
      "import OTHER-NAME -; docker context rm ${name}; ${leaves}"
  done
}

# ---- The verbs --------------------------------------------------------------

# docker context rm leaves empty folders behind. ~/.docker goes as a whole, as
# it came: a killed run leaves none of which nobody knows whose it is.
remove_folders() {
  local name folder mode found
  if [[ ! -d ${previous} ]]; then return; fi
  mode=$(mode_before .)
  for name in contexts/meta contexts/tls contexts; do
    folder=${docker_config}/${name}
    if [[ ! -d ${folder} || -n $(mode_before "${name}") ]]; then continue; fi
    found=$(ls -A -- "${folder}")
    if [[ -z ${found} ]]; then run rmdir -- "${folder}"; fi
  done
  found=$(ls -A -- "${docker_config}")
  if [[ -z ${mode} && ${found} == "${previous##*/}" ]]; then
    run mv -T -- "${docker_config}" "${docker_config}.new"
    run rm -rf -- "${docker_config}.new"
    return
  fi
  found=$(stat --dereference --format '%a' -- "${docker_config}")
  if [[ -n ${mode} && ${mode} != "${found}" ]]; then
    run chmod "${mode}" -- "${docker_config}"
  fi
  run rm -rf -- "${previous}"
}

undo() {
  check_owner
  leaves='a part of it is undone; run this again to finish'
  remove_leftovers
  remove_contexts
  clean_profile
  restore_files
  remove_folders
  finish
}

main() {
  parse_options "$@"
  need_openssl
  folder=${dir}/${script%/*}
  key=${folder}/${key_file}
  certificate=${folder}/${certificate_file}
  ca=${folder}/${ca_certificate_file}
  docker_config=${HOME}/.docker
  previous=${docker_config}/before-dockseal
  # docker asks the current context first, whatever it is told to do: one that
  # is gone would stop it.
  export DOCKER_CONTEXT=default
  # The file itself, where the profile is a symbolic link.
  profile=$(realpath --canonicalize-missing -- "${HOME}/${shell_profile}")
  check_home
  check_profile
  if [[ ${verb} != check && -d ${folder} ]]; then lock "${folder}/.lock"; fi
  if [[ ${verb} == undo ]]; then undo; fi
  need_own_config
  if [[ -d ${folder} ]]; then need_safe "${folder}"; fi
  check_owner
  check_contexts
  choose_pair
  if [[ ${verb} == check && ! -e ${certificate} ]]; then
    note "${certificate} is not here yet"
  else
    check_certificate
    check_authorities
  fi
  install_files
  create_contexts
  write_profile
  finish_renewal
  remove_request
  finish
}

main "$@"
