# ---- Checks requests and signs certificates ---------------------------------

# Prints the key type of a public key in this site's words.
key_type_of() { # key_type_of PUBLIC_KEY
  local text
  text=$(printf '%s\n' "$1" | openssl pkey -pubin -noout -text)
  case ${text} in
    *'ASN1 OID: prime256v1'*) printf 'ec:P-256\n' ;;
    *'ASN1 OID: secp384r1'*) printf 'ec:P-384\n' ;;
    *ED25519*) printf 'ed25519\n' ;;
    *Modulus*)
      [[ ${text} =~ \(([0-9]+)\ bit ]]
      printf 'rsa:%s\n' "${BASH_REMATCH[1]}"
      ;;
    *) printf 'another type\n' ;;
  esac
}

# Prints why a request is refused, or nothing.
request_problem() { # request_problem REQUEST NAME KEY_TYPE
  local subject text found
  if [[ -L $1 || ! -f $1 ]]; then
    printf 'it is not a regular file\n'
  elif (((8#$(stat --format '%a' -- "$1") & 8#022) != 0)); then
    printf 'others can write to it\n'
  elif (($(stat --format '%s' -- "$1") > 65536)); then
    printf 'it is larger than 64 KiB\n'
  elif ! text=$(openssl req -in "$1" -noout -verify 2>&1) ||
    [[ ${text} != *'verify OK'* ]]; then
    printf 'it is damaged, or not signed by its own key\n'
  else
    text=$(openssl asn1parse -in "$1")
    subject=$(openssl req -in "$1" -noout -subject -nameopt RFC2253)
    found=$(key_type_of "$(openssl req -in "$1" -noout -pubkey)")
    if [[ ${subject} != "subject=CN=$2" ]]; then
      printf 'it asks for %s, and this CA certifies CN=%s here\n' \
        "${subject#subject=}" "$2"
    elif [[ ${found} != "$3" ]]; then
      printf 'its key is %s, and this CA certifies %s here\n' "${found}" "$3"
    elif [[ ${text} == *'Extension Request'* ]]; then
      printf 'it asks for extensions, and they are for the CA to decide\n'
    fi
  fi
}

# True when a party has a good certificate, of this CA or, while the CA is
# rolled over, of the previous one; a renewed one stands in the folder renewal.
has_certificate() { # has_certificate FOLDER NAMES
  local file authority
  for file in "$1" "$1/renewal"; do
    for authority in "${dir}/ca" "${dir}/ca/previous"; do
      if is_good_certificate "${file}/${certificate_file}" \
        "${authority}/${ca_certificate_file}" "$2" "${purpose}"; then
        return
      fi
    done
  done
  return 1
}

# True when there is nothing to sign: no newer key asks for a certificate.
is_signed() { # is_signed NAME NAMES
  local requested folder=${dir}/${party_folder}/$1
  has_certificate "${folder}" "$2" || return 1
  if [[ ! -e ${folder}/${request_file} ]]; then return; fi
  requested=$(openssl req -in "${folder}/${request_file}" -noout -pubkey) ||
    return 1
  [[ ${requested} == "$(public_key_of "${folder}/${certificate_file}")" ]]
} 2>/dev/null

# Prints the other party that has had a key before, or asks with it now.
owner_of() { # owner_of KEY_SHA256 PARTY
  local party digest
  if [[ ${asked[$1]:-$2} != "$2" ]]; then
    printf '%s\n' "${asked[$1]}"
    return
  fi
  # A CA that is not made yet, or was brought along, may have no ledger.
  if [[ ! -e ${ledger} ]]; then return; fi
  while read -r _ party _ _ _ digest _; do
    if [[ ${digest} == "$1" && ${party} != "$2" ]]; then
      printf '%s\n' "${party}"
      return
    fi
  done <"${ledger}"
}

# A party whose key is on this machine asks with that key alone: signing another
# one would leave it without a certificate.
other_key_problem() { # other_key_problem REQUEST FOLDER
  local requested key=$2/${key_file}
  [[ -e ${key} ]] || key=${2%/renewal}/${key_file}
  if [[ ! -e ${key} ]]; then return; fi
  requested=$(openssl req -in "$1" -noout -pubkey)
  [[ ${requested} == "$(openssl pkey -in "${key}" -passin pass: -pubout)" ]] ||
    printf 'the key of this party is here, %s, and the request is for %s\n' \
      "${key}" 'another one: a second user or machine is a party of its own'
}

# A refusal is kept in the log, and nothing is signed.
refuse() { # refuse REQUEST REASON
  if [[ ${verb} != check ]]; then
    printf '%s %s %s\n' "$(date --utc '+%FT%TZ')" "$1" "$2" >>"${refusals}"
  fi
  die 6 "refused $1: $2; ${leaves}"
}

# Sorts the rows into told (they know which CA to trust), to_sign (row, folder)
# and waiting (no request is here yet). A request that is refused stops the
# script before anything is signed.
check_requests() {
  local row folder
  for ((row = 0; row < ${#table[@]}; row += 4)); do
    folder=${dir}/${party_folder}/${table[row]}
    if [[ -e ${folder}/renewal/${request_file} ||
      -L ${folder}/renewal/${request_file} ]] ||
      is_issued "${row}" "${folder}/renewal"; then
      check_request "${row}" "${folder}/renewal"
    fi
    if [[ -e ${folder}/${ca_certificate_file} ]]; then told+=("${row}"); fi
    if is_signed "${table[row]}" "${table[row + 3]}"; then continue; fi
    if [[ -e ${folder}/${request_file} || -L ${folder}/${request_file} ]] ||
      is_issued "${row}" "${folder}"; then
      check_request "${row}" "${folder}"
    else
      waiting+=("${row}")
    fi
  done
}

check_request() { # check_request ROW FOLDER
  local name=${table[$1]} request=$2/${request_file} problem digest owner
  local party=${party_folder}/${name} folder
  for folder in "${dir}/${party_folder}" "${dir}/${party}" "$2"; do
    problem=$(why_unsafe "${folder}")
    [[ -z ${problem} ]] || refuse "${request}" "${problem}"
  done
  if ! is_issued "$1" "$2"; then
    problem=$(request_problem "${request}" "${name}" "${table[$1 + 1]}")
    [[ -n ${problem} ]] || problem=$(other_key_problem "${request}" "$2")
    [[ -z ${problem} ]] || refuse "${request}" "${problem}"
    digest=$(openssl req -in "${request}" -noout -pubkey | digest_of_key)
    owner=$(owner_of "${digest}" "${party}")
    [[ -z ${owner} ]] ||
      refuse "${request}" "its key is ${owner}'s: each party makes its own"
    asked[${digest}]=${party}
    note "${name} asks with public key sha256: ${digest}"
  fi
  to_sign+=("$1" "$2")
}

# A wrong clock must not sign.
check_ca() {
  local problem
  problem=$(why_not_valid "${ca_certificate}" "${ca_certificate}" any)
  [[ -z ${problem} ]] || die 2 "${ca_certificate}: ${problem}; ${leaves}"
}

# A certificate must not outlive its CA.
check_lifetime() { # check_lifetime DAYS
  openssl x509 -in "${ca_certificate}" -noout -checkend $(($1 * 86400)) \
    >/dev/null ||
    die 2 "the CA ends before a certificate of $1 days would; ${leaves}"
}

# The CA decides the names and the use, whatever the request asks for. Nothing
# that is not in the ledger gets a certificate's name.
issue() { # issue ROW FOLDER
  local names=${table[$1 + 3]}
  local certificate=$2/${certificate_file}
  write_file "$2/${extensions_file}" 0644 "$(extensions_for "${names}")"
  # D10, D14: openssl x509 -req -days 365 -sha256 -in request.csr
  #           -CA ca-public.pem -CAkey ca-private.pem -CAcreateserial
  #           -extfile extfile.cnf -out certificate.pem
  run_with_passphrase openssl x509 -req -days "${table[$1 + 2]}" -sha256 \
    -in "$2/${request_file}" \
    -CA "${ca_certificate}" \
    -CAkey "${ca_key}" \
    -CAcreateserial \
    -extfile "$2/${extensions_file}" \
    -out "${certificate}.new" -passin fd:3
  if [[ ${verb} != check ]]; then
    is_good_certificate "${certificate}.new" "${ca_certificate}" "${names}" \
      "${purpose}" ||
      die 1 \
        "${certificate}.new is not a good certificate; is the disk full?" \
        "${leaves}"
  fi
  if [[ ${verb} != check ]] && is_serial_used "${certificate}.new"; then
    note "${serial_file} is older than ${ledger}: a new serial is taken"
    run rm -f -- "${serial_file}"
    issue "$@"
    return
  fi
  run chmod 0644 -- "${certificate}.new"
  run sync -- "${certificate}.new"
  add_to_ledger "${party_folder}/${table[$1]}" "${certificate}.new" \
    "${ca_certificate}"
}

is_serial_used() { # is_serial_used CERTIFICATE
  [[ $'\n'$(<"${ledger}") == *$'\n'"$(serial_of "$1") "* ]]
}

# True when a killed run has signed the request and put the certificate into
# the ledger: all that is left to do is to give it its name.
is_issued() { # is_issued ROW FOLDER
  local requested certificate=$2/${certificate_file}.new
  is_good_certificate "${certificate}" "${ca_certificate}" \
    "${table[$1 + 3]}" "${purpose}" && is_in_ledger "${certificate}" || return 1
  [[ -e $2/${request_file} ]] || return 0
  requested=$(openssl req -in "$2/${request_file}" -noout -pubkey) || return 1
  [[ ${requested} == "$(public_key_of "${certificate}")" ]]
} 2>/dev/null

# A certificate of this CA that the ledger does not know, as after an old ledger
# was restored, gets its line now.
list_missing() { # list_missing ROW
  local party=${party_folder}/${table[$1]} file
  for file in "${dir}/${party}/${certificate_file}" \
    "${dir}/${party}/renewal/${certificate_file}"; do
    if is_good_certificate "${file}" "${ca_certificate}" "${table[$1 + 3]}" \
      "${purpose}" && ! is_in_ledger "${file}"; then
      note "${file} is not in ${ledger}: its line is added"
      add_to_ledger "${party}" "${file}" "${ca_certificate}"
    fi
  done
}

# What a party is to trust: this CA. While the CA is rolled over, both, once it
# has heard of one; but who joins after the switch never needs the old one.
authorities_for() { # authorities_for FILE
  local authorities=${dir}/ca/authorities.pem
  if [[ ! -e $1 || ! -e ${authorities} ]]; then
    authorities=${ca_certificate}
  elif [[ -e ${dir}/ca/previous ]] &&
    cmp --quiet -- "$1" "${ca_certificate}"; then
    authorities=${ca_certificate}
  fi
  printf '%s\n' "${authorities}"
}

hand_out_authorities() { # hand_out_authorities ROW
  local file=${dir}/${party_folder}/${table[$1]}/${ca_certificate_file}
  local authorities
  authorities=$(authorities_for "${file}")
  if [[ -f ${file} && ! -L ${file} ]] &&
    cmp --quiet -- "${file}" "${authorities}"; then
    return
  fi
  run cp --remove-destination -T -- "${authorities}" "${file}.new"
  run chmod 0644 -- "${file}.new"
  run sync -- "${file}.new"
  run mv -fT -- "${file}.new" "${file}"
}

# A request that was answered goes: nothing signs it again on another day.
hand_out() { # hand_out ROW FOLDER
  local certificate=$2/${certificate_file}
  hand_out_authorities "$1"
  # D15: requests and extension files are not needed any more.
  run rm -f -- "$2/${request_file}" "$2/${extensions_file}"
  run mv -fT -- "${certificate}.new" "${certificate}"
  run sync -- "$2"
}

sign() { # sign ROW FOLDER
  if ! is_issued "$@"; then issue "$@"; fi
  hand_out "$@"
}

# --check shows what will run once the request is here.
wait_for() { # wait_for ROW
  local before=${changed}
  waits=1
  note "waiting for the request of ${table[$1]}: bring it to" \
    "${dir}/${party_folder}/${table[$1]}/${request_file} and run this again"
  if [[ ${verb} == check ]]; then
    sign "$1" "${dir}/${party_folder}/${table[$1]}"
  fi
  changed=${before}
}

undo() {
  local row folder part
  for ((row = 0; row < ${#table[@]}; row += 4)); do
    folder=${dir}/${party_folder}/${table[row]}
    for part in "${folder}" "${folder}/renewal"; do
      if [[ -e ${part}/${extensions_file} ]]; then
        run rm -f -- "${part}/${extensions_file}"
      fi
      undo_working_files "${part}/${certificate_file}" \
        "${part}/${ca_certificate_file}"
    done
    undo_folder "${folder}/renewal"
    undo_folder "${folder}"
  done
}

main() {
  local row job
  local -a to_sign=() waiting=() told=()
  local -A asked=()
  parse_options "$@"
  need_openssl
  ca_key=${dir}/ca/${ca_key_file}
  ca_certificate=${dir}/ca/${ca_certificate_file}
  serial_file=${ca_certificate%.*}.srl
  ledger=${dir}/ca/${ledger_file}
  refusals=${dir}/ca/refused.txt
  if [[ ${verb} == undo ]]; then
    undo
    finish
  fi
  if [[ ! -e ${ca_key} || ! -e ${ca_certificate} ]]; then
    [[ ${verb} == check ]] ||
      die 2 "there is no CA in ${dir}/ca: run ca/10-create-ca.sh first"
  else
    open_party "${dir}/ca"
    check_ca
  fi
  if [[ -e ${ca_certificate} ]] && ! is_in_ledger "${ca_certificate}"; then
    add_to_ledger ca "${ca_certificate}" "${ca_certificate}"
  fi
  for ((row = 0; row < ${#table[@]}; row += 4)); do list_missing "${row}"; done
  check_requests
  for row in "${told[@]}"; do hand_out_authorities "${row}"; done
  for row in "${waiting[@]}"; do wait_for "${row}"; done
  if ((${#to_sign[@]} == 0)); then
    show_authorities "${ca_certificate}"
    finish
  fi
  if [[ ${verb} != check ]]; then
    for ((job = 0; job < ${#to_sign[@]}; job += 2)); do
      check_lifetime "${table[to_sign[job] + 2]}"
    done
    # An unfinished serial file would stop openssl; it makes a random one.
    if [[ -e ${serial_file} &&
      ! $(<"${serial_file}") =~ ^[0-9A-F]+$ ]]; then
      run rm -f -- "${serial_file}"
    fi
    get_passphrase "${ca_key}"
  fi
  for ((job = 0; job < ${#to_sign[@]}; job += 2)); do
    sign "${to_sign[@]:job:2}"
  done
  show_authorities "${ca_certificate}"
  finish
}

main "$@"
