#!/usr/bin/env bash
# Lists every certificate that this CA has issued, the one that ends first on
# top, with the days that are left.
#
# Reads:      DIR/ca/: ledger.txt, ca-public.pem
# Writes:     nothing
# Restarts:   nothing
# Needs root: no
# Undo:       nothing to undo: it is read-only
# Options:    --dir DIR (~/docker-tls)  --json  --yes  --check
#             --undo [--remove-keys]  --help
# Status:     0 done, 2 wrong use, or there is no ledger

POSIXLY_CORRECT=1 # why: begin.sh
case $0 in "${BASH_SOURCE-}") lib=$0 ;; *) lib= ;; esac
lib=$(/usr/bin/realpath -e -- "${lib:?run: bash FILE}") || exit 2
. "${lib%/*/*}/lib/begin.sh"

readonly script='ca/80-list-certificates.sh'
readonly ca_certificate_file='ca-public.pem'
readonly ledger_file='ledger.txt'

# ==== Below this line every site has the same bytes ====

. "${lib}/common.sh"
. "${lib}/change.sh"
. "${lib}/certificates.sh"
. "${lib}/ledger.sh"
. "${lib}/report.sh"

# ---- This script ------------------------------------------------------------

readonly accepts=' --dir --json --yes --check --undo --remove-keys --help '

# The last line of a party is the certificate that it is to use; those before it
# are valid too, until they end or their CA is trusted no more.
state_of() { # state_of PARTY SERIAL DAYS ISSUER
  if (($3 < 0)); then
    printf 'ended\n'
  elif [[ -d ${dir}/ca/retired-${4:0:16} ]]; then
    printf 'retired\n'
  elif [[ ${newest[$1]} == "$2" ]]; then
    printf 'current\n'
  elif [[ $1:$2 == "ca:${next}" ]]; then
    printf 'next\n'
  else
    printf 'superseded\n'
  fi
}

# Prints the certificates with the days that are left in front of each.
read_ledger() {
  local now seconds serial party begins ends digest key issuer names subject
  now=$(date '+%s')
  while read -r serial party begins ends digest key issuer names subject; do
    if [[ ${serial} == '#' ]]; then continue; fi
    seconds=$(($(date --date "${ends}" '+%s') - now))
    printf '%d %s\n' "$((seconds < 0 ? -1 : seconds / 86400))" \
      "${serial} ${party} ${begins} ${ends} ${digest} ${key} ${issuer}\
 ${names} ${subject}"
  done <"${ledger}"
}

# Of the CAs, the one that signs; the next one is in the ledger before it does.
find_newest() {
  local serial party
  while read -r serial party _; do newest[${party}]=${serial}; done <"${ledger}"
  if [[ -f ${ca} ]]; then newest[ca]=$(serial_of "${ca}"); fi
  if [[ -f ${next_ca} ]]; then next=$(serial_of "${next_ca}"); fi
}

print_json() {
  printf '{"party":%s,"state":%s,"days_left":%d,"serial":%s,"begins":%s,' \
    "$(json_string "${party}")" "$(json_string "${state}")" "${days}" \
    "$(json_string "${serial}")" "$(json_string "${begins}")"
  printf '"ends":%s,"sha256":%s,"key_sha256":%s,"issuer":%s,"names":%s,' \
    "$(json_string "${ends}")" "$(json_string "${digest}")" \
    "$(json_string "${key}")" \
    "$(json_string "${issuer}")" "$(json_string "${names}")"
  printf '"subject":%s}\n' "$(json_string "${subject}")"
}

list() {
  local days serial party begins ends digest key issuer names subject state
  ((json)) || printf '%5s  %-20s  %-10s  %-30s  %s\n' \
    days ends state party 'serial, names'
  while read -r days serial party begins ends digest key issuer names \
    subject; do
    state=$(state_of "${party}" "${serial}" "${days}" "${issuer}")
    if ((json)); then
      print_json
    else
      plain_text "$(
        printf '%5s  %-20s  %-10s  %-30s  %s' "${days}" "${ends}" \
          "${state}" "${party}" "${serial} ${names}"
      )"$'\n'
    fi
  done < <(read_ledger | sort --key 1,1n --key 4,4)
}

main() {
  local next='' ca next_ca
  local -A newest=()
  parse_options "$@"
  ledger=${dir}/ca/${ledger_file}
  ca=${dir}/ca/${ca_certificate_file}
  next_ca=${dir}/ca/next/${ca_certificate_file}
  if [[ ${verb} != apply ]]; then exit 0; fi
  need_openssl
  need_access "${dir}/ca"
  if [[ -d ${dir}/ca ]]; then need_safe "${dir}/ca"; fi
  need_ledger
  [[ -f ${ledger} ]] ||
    die 2 "there is no ledger ${ledger}: run ca/10-create-ca.sh first"
  need_plain "${ca}" "${next_ca}"
  need_whole "${ca}" "${next_ca}"
  find_newest
  list
}

main "$@"
