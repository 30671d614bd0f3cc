#!/usr/bin/env bash
# Replaces the CA without an outage. --begin makes the next CA, which all learn
# to trust beside this one; after --switch it signs, and all renew; after
# --finish the old CA is trusted no more, and who did not renew is refused.
#
# Reads:      DIR/ca/: ca-private.pem, ca-public.pem, ledger.txt;
#             DIR/hosts/localhost/: ca-public.pem, certificate.pem;
#             DIR/clients/client/: ca-public.pem, client-certificate.pem
# Writes:     DIR/ca/: ca-private.pem, ca-public.pem, ledger.txt, .lock,
#             authorities.pem, retired-SERIAL/; DIR/ca/next/: ca-private.pem,
#             ca-public.pem; DIR/ca/previous/: ca-private.pem, ca-public.pem
# Temporary:  DIR/ca/next/announcement.srl
# Restarts:   nothing
# Needs root: no
# Undo:       lists the next, previous and retired CA and keeps them, unless
#             --remove-keys; a switch is not undone
# Options:    --begin | --switch | --finish [--shut-out PARTY]...
#             --dir DIR (~/docker-tls)  --passphrase-file FILE  --yes  --check
#             --undo [--remove-keys]  --help
# Status:     0 done, 1 failed, 2 wrong use, 3 --check found changes to make

POSIXLY_CORRECT=1 # why: begin.sh
case $0 in "${BASH_SOURCE-}") lib=$0 ;; *) lib= ;; esac
lib=$(/usr/bin/realpath -e -- "${lib:?run: bash FILE}") || exit 2
. "${lib%/*/*}/lib/begin.sh"

readonly script='ca/60-roll-over-ca.sh'
readonly ca_common_name='dockseal CA'
readonly ca_days=3650
readonly ca_key_file='ca-private.pem'
readonly ca_certificate_file='ca-public.pem'
readonly ledger_file='ledger.txt'
readonly server_certificate_file='certificate.pem'
readonly client_certificate_file='client-certificate.pem'
# Who is to stay.
readonly -a parties=(
  'hosts/localhost'
  'clients/client'
)
# D04: openssl genrsa -aes256 -out ca-private.pem 4096
readonly -a key_command=(
  openssl genrsa -aes256 -passout fd:3 -out FILE 4096
)

# ==== Below this line every site has the same bytes ====

. "${lib}/common.sh"
. "${lib}/change.sh"
. "${lib}/certificates.sh"
. "${lib}/passphrase.sh"
. "${lib}/ledger.sh"
. "${lib}/authority.sh"

# ---- Stage 1: the next CA ---------------------------------------------------

accepts=' --begin --switch --finish --dir --passphrase-file --yes --check '
accepts+='--undo --remove-keys --help '
readonly accepts

# The old CA signs a certificate for the next one's key: this is how a party
# that trusts the old one knows that nobody else has put the next one beside it.
announce() { # announce FILE
  local days ends serials=${next}/announcement.srl
  ends=$(openssl x509 -in "${folder}/${ca_certificate_file}" -noout -enddate)
  days=$((($(date --date "${ends#*=}" '+%s') - $(date '+%s')) / 86400))
  run_with_passphrase openssl x509 -days "${days}" -sha256 -clrext \
    -in "${certificate}" \
    -CA "${folder}/${ca_certificate_file}" \
    -CAkey "${folder}/${ca_key_file}" \
    -CAcreateserial -CAserial "${serials}" \
    -extfile "${lib}/openssl.cnf" -extensions announcement \
    -passin fd:3 -out "$1"
  run rm -f -- "${serials}"
}

# What every party is handed out from now on: both, and the announcement.
write_authorities() {
  local problem announcement=${next}/announcement.pem.new
  local -a parts=("${folder}/${ca_certificate_file}" "${certificate}")
  run rm -f -- "${authorities}.new"
  # A killed run may have made it already, and put it into the ledger.
  if ! is_in_ledger "${announcement}"; then
    run rm -f -- "${announcement}" "${announcement%.pem.new}.srl"
    announce "${announcement}"
    if [[ ${verb} != check ]]; then
      # openssl exits with 0 when the disk is full: read it back.
      openssl x509 -in "${announcement}" -noout ||
        die 1 "${announcement} is not whole; is the disk full? ${leaves}"
    fi
    run sync -- "${announcement}"
    add_to_ledger announcement "${announcement}" "${parts[0]}" -
  fi
  print_line "cat ${parts[*]} ${announcement} >${authorities}.new"
  if [[ ${verb} != check ]]; then
    set -o noclobber
    cat -- "${parts[@]}" "${announcement}" >"${authorities}.new"
    set +o noclobber
    problem=$(why_not_trusted "${authorities}.new" "${parts[0]}")
    [[ -z ${problem} ]] || die 1 "${authorities}.new is refused: ${problem}"
  fi
  run chmod 0644 -- "${authorities}.new"
  run sync -- "${authorities}.new"
  run mv -fT -- "${authorities}.new" "${authorities}"
  run rm -f -- "${announcement}"
}

is_begun() {
  local problem
  if [[ ! -e ${key} || ! -e ${certificate} || ! -e ${authorities} ]]; then
    return 1
  fi
  problem=$(why_not_trusted "${authorities}" "${folder}/${ca_certificate_file}")
  [[ -z ${problem} ]]
}

begin() {
  [[ ! -e ${previous} ]] ||
    die 2 "the CA was switched already: --finish first; ${leaves}"
  need_valid_ca "${folder}/${ca_certificate_file}"
  key=${next}/${ca_key_file}
  certificate=${next}/${ca_certificate_file}
  settings=${next}/ca-extensions.cnf
  if is_begun; then
    if [[ -e ${next}/announcement.pem.new ]]; then
      run rm -f -- "${next}/announcement.pem.new"
    fi
    return
  fi
  open_folder "${next}"
  if [[ ${verb} != check ]]; then
    # The old key signs, and the next one gets the same passphrase.
    get_passphrase "${folder}/${ca_key_file}"
    [[ ! -e ${key} ]] || is_right_passphrase "${key}" ||
      die 2 "this passphrase does not open ${key}; ${leaves}"
  fi
  if [[ ! -e ${key} ]]; then create_ca_key; fi
  if [[ ! -e ${certificate} ]]; then create_ca_certificate; fi
  write_authorities
}

# ---- Stage 2: the switch ----------------------------------------------------

# True when a party may have a certificate: who never had one is shut out by
# nothing. Without the ledger nobody knows.
may_have_joined() { # may_have_joined PARTY
  [[ -e ${dir}/$1/${ca_certificate_file} || ! -f ${ledger} ||
    $(<"${ledger}") == *" $1 "* ]]
}

# Prints the parties whose copy of ca-public.pem lacks the next CA.
parties_without_next() {
  local party
  for party in "${parties[@]}"; do
    if may_have_joined "${party}" && ! is_same_file "${authorities}" \
      "${dir}/${party}/${ca_certificate_file}"; then
      printf '%s ' "${party}"
    fi
  done
}

keep_previous_authority() {
  local file
  local part=${previous}.dockseal.new
  if [[ -e ${part} ]]; then run rm -rf -- "${part}"; fi
  run mkdir -m 0700 -- "${part}"
  for file in "${ca_key_file}" "${ca_certificate_file}"; do
    keep_copy "${folder}/${file}" "${part}/${file}"
  done
  run mv -T -- "${part}" "${previous}"
}

need_next_authority() {
  local missing file
  [[ -e ${next}/${ca_key_file} && -e ${next}/${ca_certificate_file} ]] ||
    die 2 "there is no next CA: --begin first; ${leaves}"
  while read -r file; do
    [[ ${file} == "${ca_key_file}" || ${file} == "${ca_certificate_file}" ]] ||
      die 2 "${next}/${file} is none of the CA's files; move it out of there;" \
        "${leaves}"
  done < <(ls -A -- "${next}")
  missing=$(parties_without_next)
  [[ -z ${missing} ]] ||
    die 2 "${missing% } would not trust the next CA: run setup.sh; ${leaves}"
  confirm 'Does every host and client trust both CAs (ca-public.pem carried,
setup.sh run there)?'
}

# Once the folder previous is there, what is left in next is moved: a killed run
# is finished by the next one.
switch() {
  local file
  if [[ ! -e ${previous} ]]; then
    need_next_authority
    keep_previous_authority
  fi
  if [[ ! -e ${next} ]]; then return; fi
  leaves='the CA is between two; run this again to finish'
  for file in "${ca_certificate_file}" "${ca_key_file}"; do
    if [[ -e ${next}/${file} ]]; then
      run mv -fT -- "${next}/${file}" "${folder}/${file}"
    fi
  done
  run sync -- "${folder}"
  run rmdir -- "${next}"
  show_authorities "${folder}/${ca_certificate_file}"
  note 'now renew on each host and client that is to stay: its' \
    '10-request-certificate.sh --renew, then setup.sh. After that: --finish'
}

# ---- Stage 3: the previous CA goes ------------------------------------------

# Prints the parties whose newest certificate in the ledger is of the previous
# CA, and has not ended.
listed_left_behind() {
  local serial party ends issuer old now
  local -A newest=()
  now=$(date --utc '+%FT%TZ')
  old=$(serial_of "${previous}/${ca_certificate_file}")
  while read -r serial party _ ends _ _ issuer _; do
    if [[ ${party} == */* && ${ends} > ${now} ]]; then
      newest[${party}]=${issuer}
    fi
  done <"${ledger}"
  for party in "${!newest[@]}"; do
    if [[ ${newest[${party}]} == "${old}" ]]; then
      printf '%s\n' "${party}"
    fi
  done
}

# True when a certificate of a party that is here is valid under a CA.
has_one_of() { # has_one_of PARTY CA
  local file name=${server_certificate_file}
  if [[ $1 == clients/* ]]; then name=${client_certificate_file}; fi
  for file in "${dir}/$1/${name}" "${dir}/$1/renewal/${name}"; do
    if [[ ! -f ${file} || -n $(why_not_plain "${file}") ]]; then continue; fi
    if [[ -z $(why_not_valid "${file}" "$2" any) ]]; then return; fi
  done
  return 1
}

# Prints the parties whom --finish shuts out, whatever the ledger says: it may
# have been lost, and written anew.
parties_left_behind() {
  local party
  {
    listed_left_behind
    for party in "${parties[@]}"; do
      if has_one_of "${party}" "${previous}/${ca_certificate_file}" &&
        ! has_one_of "${party}" "${folder}/${ca_certificate_file}"; then
        printf '%s\n' "${party}"
      fi
    done
  } | sort --unique
}

# Nobody is shut out who is not named on the command line.
need_named() { # need_named PARTY...
  local party missing=''
  for party in "$@"; do
    if [[ " ${shut_out[*]} " != *" ${party} "* ]]; then
      missing+=" --shut-out ${party}"
    fi
  done
  [[ -z ${missing} ]] ||
    die 2 \
      'these have no certificate of the new CA and would be refused from now' \
      'on. Renew them (10-request-certificate.sh --renew, then setup.sh), or' \
      "name those that are not to stay:${missing}; ${leaves}"
}

finish_roll_over() {
  local old text
  local -a behind=()
  [[ ! -e ${next} ]] || die 2 "the CA is not switched yet: --switch; ${leaves}"
  if [[ ! -e ${previous} ]]; then return; fi
  [[ -f ${ledger} ]] ||
    die 2 \
      "there is no ledger ${ledger}, which says who has a certificate of the" \
      'new CA: bring it back, or run ca/20-sign-servers.sh and' \
      "ca/30-sign-clients.sh, which write it anew; ${leaves}"
  text=$(parties_left_behind)
  if [[ -n ${text} ]]; then mapfile -t behind <<<"${text}"; fi
  need_named "${behind[@]}"
  note "without a certificate of the new CA, and refused from then on:" \
    "${behind[*]:-nobody}"
  confirm 'Trust the previous CA no more?'
  old=$(serial_of "${previous}/${ca_certificate_file}")
  if [[ -e ${authorities} ]]; then run rm -f -- "${authorities}"; fi
  run mv -T -- "${previous}" "${folder}/retired-${old:0:16}"
  show_authorities "${folder}/${ca_certificate_file}"
  note 'now run setup.sh here, carry ca-public.pem to each host and client' \
    'and run setup.sh there: from then on the previous CA is trusted nowhere'
}

# ---- The verbs --------------------------------------------------------------

undo() {
  local part
  need_no_links "${folder}"
  if [[ ! -e ${previous} ]]; then
    remove_file "${authorities}"
  else
    if ((! remove_keys)); then
      note 'the switch is not undone: go on with --finish'
    fi
    undo_working_files "${authorities}"
  fi
  remove_file "${authorities}.new"
  for part in "${next}" "${previous}"{,.dockseal.new} "${folder}"/retired-*; do
    undo_authority "${part}"
    undo_folder "${part}"
  done
  finish
}

# Takes --shut-out PARTY out of the arguments; the others are the shared ones.
read_arguments() { # read_arguments ARGUMENT...; sets shut_out, options
  while (($# > 0)); do
    if [[ $1 == --shut-out ]]; then
      [[ ${2:-} =~ ^(hosts|clients)/[a-z0-9.-]+$ ]] ||
        die 2 '--shut-out needs a party, such as clients/laptop'
      shut_out+=("$2")
      shift
    else
      options+=("$1")
    fi
    shift
  done
}

need_authority() {
  need_access "${folder}"
  [[ -e ${folder}/${ca_key_file} && -e ${folder}/${ca_certificate_file} ]] ||
    die 2 "there is no CA in ${folder}: run ca/10-create-ca.sh first"
  open_party "${folder}"
  need_plain "${folder}"/*.pem "${folder}"/*/*.pem
  need_ledger
  need_whole "${folder}"{,/next,/previous}/"${ca_certificate_file}"
  need_private "${new_ca}" "${folder}"{,/next,/previous}/"${ca_key_file}"
}

main() {
  local -a shut_out=() options=()
  read_arguments "$@"
  parse_options "${options[@]}"
  ((${#shut_out[@]} == 0)) || [[ ${stage} == finish ]] ||
    die 2 '--shut-out goes with --finish'
  need_openssl
  folder=${dir}/ca
  next=${folder}/next
  previous=${folder}/previous
  authorities=${folder}/authorities.pem
  ledger=${folder}/${ledger_file}
  if [[ ${verb} == undo ]]; then undo; fi
  [[ -n ${stage} ]] || die 2 'say the stage: --begin, --switch or --finish'
  need_authority
  case ${stage} in
    begin)
      begin
      show_authorities "${authorities}"
      note 'now run setup.sh here, carry ca-public.pem to each host and' \
        'client and run setup.sh there: they trust both CAs then, and show' \
        'these digests. After that: --switch'
      ;;
    switch) switch ;;
    *) finish_roll_over ;;
  esac
  finish
}

main "$@"
