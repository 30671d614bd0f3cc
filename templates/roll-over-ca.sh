#!/usr/bin/env bash
# Replaces the CA without an outage. --begin makes the next CA, which all learn
# to trust beside this one; after --switch it signs, and all renew; after
# --finish the old CA is trusted no more, and who did not renew is refused.
#
# Reads:      DIR/ca, DIR/{hosts,clients}/NAME/ca-public.pem
# Writes:     DIR/ca/{next,previous,retired-SERIAL,authorities.pem,ledger.txt}
# Restarts:   nothing
# Needs root: no
# Undo:       after --begin: lists the next CA and keeps it, unless
#             --remove-keys; later stages are not undone
# Options:    --begin | --switch | --finish  --dir DIR (docker-tls)
#             --passphrase-file FILE  --yes  --check
#             --undo [--remove-keys]  --help
# Status:     0 done, 1 failed, 2 wrong use, 3 --check found changes to make
#% include "parts/guard.sh"

readonly script=@{script}
readonly ca_common_name=@{ca_common_name}
readonly ca_key_type=@{ca_key_type}
readonly ca_days=@{ca_days}
readonly ca_key_file=@{ca_key_file}
readonly ca_certificate_file=@{ca_certificate_file}
readonly ledger_file=@{ledger_file}
# Who is to stay.
readonly -a parties=(
  #% for party in parties
  @{party}
  #% endfor
)

#% include "parts/common.sh"

#% include "parts/change.sh"

#% include "parts/write.sh"

#% include "parts/finish.sh"

#% include "parts/keep_copy.sh"

#% include "parts/folder.sh"

#% include "parts/lock.sh"

#% include "parts/party.sh"

#% include "parts/section_certificates.sh"

#% include "parts/names_of.sh"

#% include "parts/public_key_of.sh"

#% include "parts/why_not_valid.sh"

#% include "parts/ledger.sh"

#% include "parts/undo.sh"

#% include "parts/terminal.sh"

#% include "parts/confirm.sh"

#% include "parts/passphrase.sh"

#% include "parts/run_with_passphrase.sh"

#% include "parts/authority.sh"

# ---- Stage 1: the next CA ---------------------------------------------------

accepts=' --begin --switch --finish --dir --passphrase-file --yes --check '
accepts+='--undo --remove-keys --help '
readonly accepts

# What every party is handed out from now on.
write_authorities() {
  if [[ -e ${authorities} ]]; then return; fi
  print_line "cat ${folder}/${ca_certificate_file} ${certificate}\
 >${authorities}"
  [[ ${verb} != check ]] || return 0
  cat -- "${folder}/${ca_certificate_file}" "${certificate}" \
    >"${authorities}.new"
  chmod 0644 -- "${authorities}.new"
  sync -- "${authorities}.new"
  mv -fT -- "${authorities}.new" "${authorities}"
}

begin() {
  [[ ! -e ${previous} ]] ||
    die 2 "the CA was switched already: --finish first; ${leaves}"
  key=${next}/${ca_key_file}
  certificate=${next}/${ca_certificate_file}
  settings=${next}/ca-extensions.cnf
  open_folder "${next}"
  if [[ ! -e ${key} || ! -e ${certificate} ]]; then
    if [[ ${verb} != check ]]; then get_passphrase "${key}"; fi
    if [[ ! -e ${key} ]]; then create_ca_key; fi
    create_ca_certificate
  fi
  write_authorities
  note 'now run setup.sh here, carry ca-public.pem to each host and client' \
    'and run setup.sh there: they trust both CAs then. After that: --switch'
}

# ---- Stage 2: the switch ----------------------------------------------------

# Prints the parties whose copy of ca-public.pem lacks the next CA.
parties_without_next() {
  local party file text
  text=$(<"${next}/${ca_certificate_file}")
  for party in "${parties[@]}"; do
    file=${dir}/${party}/${ca_certificate_file}
    [[ -e ${file} && $(<"${file}") == *"${text}"* ]] || printf '%s ' "${party}"
  done
}

keep_previous_authority() {
  local file
  if [[ -e ${previous}.new ]]; then run rm -rf -- "${previous}.new"; fi
  run mkdir -m 0700 -- "${previous}.new"
  for file in "${ca_key_file}" "${ca_certificate_file}"; do
    keep_copy "${folder}/${file}" "${previous}.new/${file}"
  done
  run mv -T -- "${previous}.new" "${previous}"
}

need_next_authority() {
  local missing
  [[ -e ${next}/${ca_key_file} && -e ${next}/${ca_certificate_file} ]] ||
    die 2 "there is no next CA: --begin first; ${leaves}"
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
  note 'now renew on each host and client that is to stay: its' \
    '10-request-certificate.sh --renew, then setup.sh. After that: --finish'
}

# ---- Stage 3: the previous CA goes ------------------------------------------

# Prints the parties whose newest certificate is of the previous CA.
parties_left_behind() {
  local serial party issuer old
  local -A newest=()
  old=$(serial_of "${previous}/${ca_certificate_file}")
  while read -r serial party _ _ _ _ issuer _; do
    [[ ${serial} == '#' || ${party} == ca ]] || newest[${party}]=${issuer}
  done <"${ledger}"
  for party in "${!newest[@]}"; do
    if [[ ${newest[${party}]} == "${old}" ]]; then printf '%s ' "${party}"; fi
  done
}

finish_roll_over() {
  local behind old
  [[ ! -e ${next} ]] || die 2 "the CA is not switched yet: --switch; ${leaves}"
  if [[ ! -e ${previous} ]]; then return; fi
  behind=$(parties_left_behind)
  note "without a certificate of the new CA, and refused from then on:" \
    "${behind:-nobody}"
  confirm 'Trust the previous CA no more?'
  old=$(serial_of "${previous}/${ca_certificate_file}")
  if [[ -e ${authorities} ]]; then run rm -f -- "${authorities}"; fi
  run mv -T -- "${previous}" "${folder}/retired-${old:0:16}"
  note 'now run setup.sh here, carry ca-public.pem to each host and client' \
    'and run setup.sh there: from then on the previous CA is trusted nowhere'
}

# ---- The verbs --------------------------------------------------------------

undo() {
  [[ ! -e ${previous} ]] ||
    note "the switch is not undone: go on with --finish"
  if [[ -e ${authorities} && ! -e ${previous} ]]; then
    run rm -f -- "${authorities}"
  fi
  undo_working_files "${next}/${ca_certificate_file}" "${next}/${ca_key_file}"
  undo_folder "${next}"
  finish
}

main() {
  parse_options "$@"
  need_openssl
  folder=${dir}/ca
  next=${folder}/next
  previous=${folder}/previous
  authorities=${folder}/authorities.pem
  ledger=${folder}/${ledger_file}
  if [[ ${verb} == undo ]]; then undo; fi
  [[ -n ${stage} ]] || die 2 'say the stage: --begin, --switch or --finish'
  [[ -e ${folder}/${ca_key_file} && -e ${folder}/${ca_certificate_file} ]] ||
    die 2 "there is no CA in ${folder}: run ca/10-create-ca.sh first"
  open_party "${folder}"
  case ${stage} in
    begin) begin ;;
    switch) switch ;;
    *) finish_roll_over ;;
  esac
  finish
}

main "$@"
