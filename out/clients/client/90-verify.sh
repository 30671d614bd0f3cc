#!/usr/bin/env bash
# Verifies one docker client: its files, and that each of its Docker hosts
# answers it and shows a certificate of the site's CA.
#
# Reads:      ~/.docker/{ca,cert,key}.pem
# Writes:     a temporary folder, removed at the end
# Restarts:   nothing
# Needs root: no
# Undo:       nothing to undo: it is read-only
# Options:    --dir DIR (docker-tls)  --json  --yes  --check
#             --undo [--remove-keys]  --help
# Status:     0 every control holds, 2 wrong use, 4 a control does not hold
if [ -z "${BASH_VERSION:-}" ]; then
  printf 'error: this script needs bash; run: bash %s\n' "$0" >&2
  exit 2
fi
if ((BASH_VERSINFO[0] * 100 + BASH_VERSINFO[1] < 404)); then
  printf 'error: bash 4.4 or newer is needed, found %s\n' "${BASH_VERSION}" >&2
  exit 2
fi
set -Eeuo pipefail
shopt -s inherit_errexit
umask 077
ulimit -c 0
# Fixed, so that nobody's environment decides which programs run, which
# certificates openssl trusts, or which daemon docker talks to.
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export LC_ALL=C SSL_CERT_FILE=/dev/null SSL_CERT_DIR=/dev/null
unset DOCKER_HOST DOCKER_CONTEXT DOCKER_TLS DOCKER_TLS_VERIFY DOCKER_CERT_PATH

readonly script='clients/client/90-verify.sh'
# docker context, the address of its host, name or address, port
readonly -a hosts=(
  'localhost' 'tcp://localhost:2376' 'localhost' 2376
)

# ==== Below this line every site has the same bytes ==========================

# ---- Shared by every script -------------------------------------------------

verb=apply     # apply, check or undo
dir=docker-tls # working folder
yes=0
remove_keys=0
passphrase_file=''
json=0
leaves='nothing was changed' # the state to report when a command fails

die() { # die STATUS MESSAGE...
  printf 'error: %s: %s\n' "${script}" "${*:2}" >&2
  exit "$1"
}

note() { # note MESSAGE...
  printf '%s: %s\n' "${script}" "$*" >&2
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
      --help)
        print_help
        exit 0
        ;;
      --dir | --passphrase-file)
        [[ -n ${1:-} ]] || die 2 "${option} needs a value"
        if [[ ${option} == --dir ]]; then dir=$1; else passphrase_file=$1; fi
        shift
        ;;
      *) die 2 "option ${option} is not handled" ;;
    esac
  done
  ((! remove_keys)) || [[ ${verb} == undo ]] ||
    die 2 '--remove-keys goes with --undo'
  dir=$(realpath --canonicalize-missing -- "${dir}")
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

# ---- Keys, requests and certificates ----------------------------------------

public_key_of() { # public_key_of CERTIFICATE
  openssl x509 -in "$1" -noout -pubkey 2>/dev/null
}

has_same_key() { # has_same_key CERTIFICATE KEY
  local public_key
  public_key=$(openssl pkey -in "$2" -passin pass: -pubout) || return 1
  [[ $(public_key_of "$1") == "${public_key}" ]]
} 2>/dev/null

# Prints why openssl does not accept a certificate, or nothing.
why_not_valid() { # why_not_valid CERTIFICATE CA PURPOSE
  local text
  if text=$(openssl verify -x509_strict -purpose "$3" -CAfile "$2" "$1" \
    2>&1); then
    return
  fi
  text=${text#*lookup: }
  printf '%s\n' "${text%%$'\n'*}"
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

# dockerd hangs up right after its alert. When that overtakes the request, the
# client fails to write it (a reset) and never reads the alert: it asks again.
ask_daemon() { # ask_daemon ADDRESS PORT NAME CA S_CLIENT_OPTION...
  local answer tries
  for tries in 1 2 3 4 5; do
    answer=$(ask_once "$@")
    if [[ ${answer} != *write:errno=* ]]; then break; fi
  done
  printf '%s\n' "${answer}"
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

# ---- Controls: one line each, a table or --json -----------------------------

failed=0
asked='' # what was run for the control that is reported next

# Quotes TEXT for JSON; control characters other than line ends are dropped.
json_string() { # json_string TEXT
  local text=$1
  text=${text//\\/\\\\}
  text=${text//\"/\\\"}
  text=${text//$'\n'/\\n}
  printf '"%s"' "${text//[[:cntrl:]]/ }"
}

# Prints the result of a control. EVIDENCE is what came back, REMEDY what to do.
report() { # report ID RESULT WHAT EVIDENCE REMEDY
  local id=$1 result=$2 what=$3 evidence=$4 remedy=$5
  if [[ ${result} == FAIL ]]; then failed=1; fi
  if ((json)); then
    printf '{"id":%s,"result":%s,"what":%s,' \
      "$(json_string "${id}")" "$(json_string "${result}")" \
      "$(json_string "${what}")"
    printf '"asked":%s,"evidence":%s,"remedy":%s}\n' \
      "$(json_string "${asked}")" "$(json_string "${evidence}")" \
      "$(json_string "${remedy}")"
  else
    printf '%-8s %s  %s\n' "${id}" "${result}" "${what}"
    if [[ ${result} != PASS ]]; then
      printf '              found: %s\n' "${evidence}"
      [[ ${result} == SKIP ]] || printf '              do:    %s\n' "${remedy}"
    fi
  fi
  asked=''
}

# Reports PASS when there is no problem, FAIL with the problem otherwise.
judge() { # judge ID WHAT PROBLEM EVIDENCE REMEDY
  if [[ -z $3 ]]; then
    report "$1" PASS "$2" "$4" ''
  else
    report "$1" FAIL "$2" "$3" "$5"
  fi
}

# Reports the three facts about a pair that need no daemon.
report_pair() { # report_pair CERTIFICATE KEY CA PURPOSE
  local problem='' ends
  asked="openssl verify -x509_strict -purpose $4 -CAfile $3 $1"
  judge CERT-1 'the certificate is of the CA, strictly valid, for this use' \
    "$(why_not_valid "$1" "$3" "$4")" OK \
    'renew it: make a request and sign it again'
  asked="openssl x509 -in $1 -pubkey; openssl pkey -in $2 -pubout"
  has_same_key "$1" "$2" || problem="$2 has another public key than $1"
  judge CERT-2 'the key belongs to the certificate' "${problem}" \
    'both public keys are the same' 'install the pair again, both from one run'
  report_days_left "$1"
}

# Time to renew: the last third of its life, at most 30 days.
report_days_left() { # report_days_left CERTIFICATE
  local starts ends now third problem=''
  starts=$(openssl x509 -in "$1" -noout -startdate)
  ends=$(openssl x509 -in "$1" -noout -enddate)
  asked="openssl x509 -in $1 -noout -dates"
  now=$(date '+%s')
  starts=$(date --date "${starts#*=}" '+%s')
  ends=$(date --date "${ends#*=}" '+%s')
  third=$(((ends - starts) / 3))
  if ((third > 30 * 86400)); then third=$((30 * 86400)); fi
  ((ends - now > third)) ||
    problem="it is time to renew it, $((third / 86400)) days before its end"
  judge CERT-3 "the certificate ends in $(((ends - now) / 86400)) days" \
    "${problem}" "$(date --utc --date "@${ends}" '+%F %T UTC')" \
    'renew it: make a request and sign it again'
}

# Prints how a file differs from the owner and the widest mode, or nothing.
file_problem() { # file_problem FILE OWNER:GROUP WIDEST_MODE
  local found
  found=$(stat --dereference --format '%U:%G %a' -- "$1" 2>&1) || {
    printf '%s\n' "${found}"
    return
  }
  if [[ ${found% *} != "$2" ]] || (((8#${found#* } & ~8#$3) != 0)); then
    printf '%s is %s, expected %s %s or less\n' "$1" "${found}" "$2" "$3"
  fi
}

judge_file() { # judge_file ID FILE OWNER:GROUP WIDEST_MODE
  asked="stat --format '%U:%G %a' $2"
  judge "$1" "$2 is $3 $4 or less" "$(file_problem "$2" "$3" "$4")" \
    "$(stat --dereference --format '%U:%G %a' -- "$2" 2>&1 || true)" \
    "chown $3 $2; chmod $4 $2"
}

finish_report() {
  if ((failed)); then exit 4; fi
  exit 0
}

# ---- This script ------------------------------------------------------------

accepts=' --dir --json --yes --check --undo --remove-keys --help '
readonly accepts

verify_files() {
  local owner
  owner=$(id -un):$(id -gn)
  judge_file FILE-1 "${docker_config}" "${owner}" 700
  judge_file FILE-2 "${key}" "${owner}" 600
}

# D17: docker -H tcp://HOST:2376 --tlsverify --tlscacert=ca-public.pem
#      --tlscert=client-certificate.pem --tlskey=client-key.pem ps
verify_docker() { # verify_docker DOCKER_HOST
  local text problem=''
  if ! command -v docker >/dev/null; then
    report CLIENT-3 SKIP "docker ps on $1" 'there is no docker client here' ''
    return
  fi
  asked="docker -H $1 --tlsverify --tlscacert=${ca}"
  asked+=" --tlscert=${certificate} --tlskey=${key} ps"
  text=$(timeout 20 docker -H "$1" --tlsverify --tlscacert="${ca}" \
    --tlscert="${certificate}" --tlskey="${key}" ps 2>&1) || problem=${text}
  judge CLIENT-3 "docker ps on $1" "${problem}" "${text}" \
    "read journalctl --unit docker.service on that host"
}

verify_context() { # verify_context NAME
  local text problem=''
  if ! command -v docker >/dev/null; then
    report CLIENT-4 SKIP "docker --context $1 gets an answer" \
      'there is no docker client here' ''
    return
  fi
  asked="docker --context $1 version"
  text=$(timeout 20 docker --context "$1" version \
    --format '{{.Server.Version}}' 2>&1) || problem=${text}
  judge CLIENT-4 "docker --context $1 gets an answer" "${problem}" \
    "server ${text}" 'run 20-configure-client.sh again'
}

# The client must refuse the real host when it trusts another CA only.
verify_server() { # verify_server CONNECT PORT
  local answer problem=''
  asked="openssl s_client -connect $1:$2 -CAfile ${ca}"
  asked+=" -cert ${certificate} -key ${key}"
  answer=$(ask_daemon "$1" "$2" "$1" "${ca}" -cert "${certificate}" \
    -key "${key}")
  is_answer "${answer}" || problem=$(reason_in "${answer}")
  judge CLIENT-1 "$1:$2 answers and has a certificate of this CA" "${problem}" \
    'HTTP/1.1 200 OK' \
    "is $1 that machine, does its dockerd run, is the name in its certificate?"
  asked="openssl s_client -connect $1:$2 -CAfile another-ca.pem"
  answer=$(ask_daemon "$1" "$2" "$1" "${scratch}/another-ca.pem" \
    -cert "${certificate}" -key "${key}")
  problem=''
  if is_answer "${answer}"; then
    problem='it got an answer'
  elif [[ ${answer} != *'certificate verify failed'* ]]; then
    problem="it failed for another reason: $(reason_in "${answer}")"
  fi
  judge CLIENT-2 "$1:$2 is refused by a client that trusts another CA" \
    "${problem}" "$(reason_in "${answer}")" 'compare the CA of host and client'
}

make_another_ca() {
  printf '%s\n' '[req]' 'distinguished_name = subject' '[subject]' '[ca]' \
    'basicConstraints = critical, CA:TRUE' >"${scratch}/openssl.cnf"
  openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 \
    -pkeyopt ec_param_enc:named_curve -out "${scratch}/another-ca.key"
  openssl req -new -x509 -config "${scratch}/openssl.cnf" -extensions ca \
    -days 2 -subj '/CN=another CA' -key "${scratch}/another-ca.key" -sha256 \
    -out "${scratch}/another-ca.pem"
}

main() {
  local row file
  parse_options "$@"
  need_openssl
  if [[ ${verb} == undo ]]; then exit 0; fi
  docker_config=${HOME}/.docker
  key=${docker_config}/key.pem
  certificate=${docker_config}/cert.pem
  ca=${docker_config}/ca.pem
  if [[ ${verb} == check ]]; then exit 0; fi
  for file in "${key}" "${certificate}" "${ca}"; do
    [[ -e ${file} ]] ||
      die 2 "${file} is not there: run 20-configure-client.sh first"
  done
  scratch=$(mktemp -d)
  trap 'rm -rf -- "${scratch}"' EXIT
  make_another_ca
  report_pair "${certificate}" "${key}" "${ca}" sslclient
  verify_files
  for ((row = 0; row < ${#hosts[@]}; row += 4)); do
    verify_server "${hosts[row + 2]}" "${hosts[row + 3]}"
    verify_docker "${hosts[row + 1]}"
    verify_context "${hosts[row]}"
  done
  finish_report
}

main "$@"
