# ---- Checks requests and signs certificates ---------------------------------

# Prints the key type of a public key in this site's words.
key_type_of() { # key_type_of PUBLIC_KEY
  local text
  text=$(printf '%s\n' "$1" | openssl pkey -pubin -noout -text)
  case ${text} in
    *PSS*) printf 'RSA-PSS, which is another type than rsa\n' ;;
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

# Prints why a file is no request that can be read, or nothing.
request_form_problem() { # request_form_problem REQUEST
  local first=''
  if [[ -L $1 || ! -f $1 ]]; then
    printf 'it is not a regular file\n'
  elif (((8#$(stat --format '%a' -- "$1") & 8#022) != 0)); then
    printf 'others can write to it; run: chmod go-w %s\n' "$1"
  elif (($(stat --format '%s' -- "$1") > 65536)); then
    printf 'it is larger than 64 KiB\n'
  else
    IFS= read -r -n 64 first < <(tr -d '\0' <"$1") || true
    if [[ ${first} == '-----BEGIN CERTIFICATE REQUEST-----' ]]; then
      return
    elif [[ ${first} == $'\x30'[$'\x80'-$'\xff']* ]]; then
      printf 'it is in DER, and PEM is expected; convert it: openssl req'
      printf ' -inform DER -in %s -out NEW\n' "$1"
    else
      printf 'it does not begin with a certificate request in PEM\n'
    fi
  fi
}

# Prints why a request is refused, or nothing. A machine whose openssl cannot
# read this CA's own certificate says nothing about a request.
request_problem() { # request_problem REQUEST NAME KEY_TYPE
  local subject text found
  text=$(request_form_problem "$1")
  if [[ -n ${text} ]]; then
    printf '%s\n' "${text}"
  elif ! text=$(openssl req -in "$1" -noout -verify \
    -config <(request_settings) 2>&1) ||
    [[ ${text} != *'verify OK'* ]]; then
    [[ ! -e ${ca_certificate} ]] ||
      openssl x509 -in "${ca_certificate}" -noout ||
      die 1 "openssl does not work here: ${text}; ${leaves}"
    printf 'it is damaged, or not signed by its own key\n'
  else
    text=$(openssl asn1parse -in "$1")
    subject=$(openssl req -in "$1" -noout -subject -nameopt RFC2253 \
      -config <(request_settings))
    found=$(key_type_of "$(key_of_request "$1")")
    if [[ ${subject} != "subject=CN=$2" ]]; then
      printf 'it asks for %s, and this CA certifies CN=%s here\n' \
        "${subject#subject=}" "$2"
    elif [[ ${found} != "$3" ]]; then
      printf 'its key is %s, and this CA certifies %s here\n' "${found}" "$3"
    elif [[ ${text} == *'Extension Request'* ]]; then
      printf 'it asks for extensions, and they are for the CA to decide; make'
      printf ' it again with 10-request-certificate.sh\n'
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

# True when there is nothing to sign: no newer key asks for a certificate, and
# no killed run has left one to be handed out.
is_signed() { # is_signed ROW
  local requested name=${table[$1]} folder
  folder=${dir}/${party_folder}/${name}
  has_certificate "${folder}" "${table[$1 + 3]}" || return 1
  if [[ ! -e ${folder}/${request_file} ]]; then return; fi
  if is_issued "$1" "${folder}"; then return 1; fi
  if [[ -n $(request_form_problem "${folder}/${request_file}") ]]; then
    return 1
  fi
  requested=$(key_of_request "${folder}/${request_file}") || return 1
  [[ ${requested} == "$(public_key_of "${folder}/${certificate_file}")" ]]
}

# Prints the other party that has had a key before, or asks with it now.
owner_of() { # owner_of KEY_SHA256 PARTY
  local party digest
  if [[ -f ${ledger} ]]; then
    while read -r _ party _ _ _ digest _; do
      if [[ ${digest} == "$1" && ${party} != "$2" ]]; then
        printf '%s\n' "${party}"
        return
      fi
    done <"${ledger}"
  fi
  [[ ${asked[$1]:-$2} == "$2" ]] || printf '%s\n' "${asked[$1]}"
}

# A party whose key is here asks with that key, or with that of its own renewal:
# a certificate for another one would leave it without.
other_key_problem() { # other_key_problem REQUEST PARTY
  local folder=${dir}/$2 key requested
  key=${folder}/${key_file}
  [[ -f ${key} ]] || return 0
  if [[ $1 == */renewal/* && -f ${folder}/renewal/${key_file} ]]; then
    key=${folder}/renewal/${key_file}
  fi
  requested=$(key_of_request "$1")
  [[ ${requested} == "$(openssl pkey -in "${key}" -passin pass: -pubout)" ]] ||
    printf 'the key of this party is here, %s, and the request is for %s\n' \
      "${key}" 'another one: a second user or machine is a party of its own'
}

# A refusal is kept in the log, and nothing is signed.
refuse() { # refuse REQUEST REASON
  if [[ ${verb} != check ]]; then
    printf '%s %s\n' "$(date --utc '+%FT%TZ')" "$(plain_text "$1 $2")" \
      >>"${refusals}"
  fi
  die 6 "refused $1: $2; ${leaves}"
}

# What is handed out takes the place of a file, never of a folder.
need_room() { # need_room FOLDER
  local name
  for name in "${ca_certificate_file}" "${certificate_file}" \
    "renewal/${certificate_file}"; do
    need_plain "$1/${name}" "$1/${name}.new"
  done
}

# Sorts the rows into told (they know which CA to trust), to_sign (row, folder)
# and waiting (no request is here yet). A request that is refused stops the
# script before anything is signed.
check_requests() {
  local row folder
  for ((row = 0; row < ${#table[@]}; row += 4)); do
    folder=${dir}/${party_folder}/${table[row]}
    need_room "${folder}"
    if [[ -e ${folder}/renewal/${request_file} ||
      -L ${folder}/renewal/${request_file} ]]; then
      check_request "${row}" "${folder}/renewal"
    fi
    if [[ -e ${folder}/${ca_certificate_file} ]]; then told+=("${row}"); fi
    if is_signed "${row}"; then continue; fi
    if [[ -e ${folder}/${request_file} || -L ${folder}/${request_file} ]]; then
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
  problem=$(request_problem "${request}" "${name}" "${table[$1 + 1]}") || exit
  [[ -z ${problem} ]] || refuse "${request}" "${problem}"
  if ! is_issued "$1" "$2"; then
    digest=$(key_of_request "${request}" | digest_of_key)
    owner=$(owner_of "${digest}" "${party}")
    [[ -z ${owner} ]] ||
      refuse "${request}" "its key is ${owner}'s: each party makes its own"
    problem=$(other_key_problem "${request}" "${party}")
    [[ -z ${problem} ]] || refuse "${request}" "${problem}"
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

# Where a certificate is made: in the CA's own folder, where nobody else writes.
new_certificate_of() { # new_certificate_of ROW
  printf '%s/%s-%s.%s.new\n' "${dir}/ca" "${party_folder}" "${table[$1]}" \
    "${certificate_file}"
}

# Runs openssl with the CA's key, which was opened once, on file descriptor 3.
run_with_key() { # run_with_key COMMAND...
  print_command "$@"
  [[ ${verb} != check ]] || return 0
  doing=$*
  "$@" 3< <(printf '%s\n' "${opened_key}") || return
  doing=''
}

# The opened key lives in this shell variable alone, which is not exported.
open_key() {
  get_passphrase "${ca_key}"
  opened_key=$(openssl pkey -in "${ca_key}" -passin fd:3 3< <(
    printf '%s\n' "${passphrase}"
  ))
}

# The CA decides the names and the use, whatever the request asks for. Nothing
# that is not in the ledger gets a certificate's name. Without the serial file
# each certificate gets a random serial of its own.
issue() { # issue ROW FOLDER
  local names=${table[$1 + 3]} extensions=${dir}/ca/${extensions_file}
  local certificate problem
  certificate=$(new_certificate_of "$1")
  run rm -f -- "${serial_file}" "${certificate}"
  write_file "${extensions}" 0600 \
    "$(extensions_for "${names}" "${table[$1 + 1]}")"
  # D10, D14: openssl x509 -req -days 365 -sha256 -in request.csr
  #           -CA ca-public.pem -CAkey ca-private.pem -CAcreateserial
  #           -extfile extfile.cnf -out certificate.pem
  run_with_key openssl x509 -req -days "${table[$1 + 2]}" -sha256 \
    -in "$2/${request_file}" \
    -CA "${ca_certificate}" \
    -CAkey /dev/fd/3 \
    -CAcreateserial \
    -extfile "${extensions}" \
    -out "${certificate}"
  if [[ ${verb} != check ]]; then
    problem=$(issue_problem "$1" "$2/${request_file}" "${certificate}")
    [[ -z ${problem} ]] ||
      die 1 "${certificate} is not what was to be signed: ${problem}; ${leaves}"
  fi
  run rm -f -- "${extensions}"
  run chmod 0644 -- "${certificate}"
  run sync -- "${certificate}"
  add_to_ledger "${party_folder}/${table[$1]}" "${certificate}" \
    "${ca_certificate}"
}

# Prints what is wrong with a certificate that was just signed, or nothing.
issue_problem() { # issue_problem ROW REQUEST CERTIFICATE
  local names=${table[$1 + 3]} use subject
  use=$(key_usage_for "${table[$1 + 1]}")
  if ! is_good_certificate "$3" "${ca_certificate}" "${names}" \
    "${purpose}"; then
    printf 'it is not a good certificate; is the disk full?\n'
    return
  fi
  subject=$(openssl x509 -in "$3" -noout -subject -nameopt RFC2253)
  if [[ $(extensions_of "$3") != "$(
    expected_extensions "${names}" "${purpose}" "${use}"
  )" ]]; then
    printf 'its extensions are others\n'
  elif [[ ${subject} != "subject=CN=${table[$1]}" ]]; then
    printf 'it is for %s\n' "${subject#subject=}"
  elif [[ $(public_key_of "$3") != "$(key_of_request "$2")" ]]; then
    printf 'its key is not the one of the request\n'
  elif (($(seconds_of "$3") != table[$1 + 2] * 86400)); then
    printf 'its lifetime is not %d days\n' "${table[$1 + 2]}"
  fi
}

# Prints how long a certificate is valid.
seconds_of() { # seconds_of CERTIFICATE
  local begins ends
  begins=$(openssl x509 -in "$1" -noout -startdate)
  ends=$(openssl x509 -in "$1" -noout -enddate)
  begins=$(date --date "${begins#*=}" '+%s')
  ends=$(date --date "${ends#*=}" '+%s')
  printf '%d\n' "$((ends - begins))"
}

# True when a killed run has signed the request and put the certificate into
# the ledger: all that is left to do is to give it its name.
is_issued() { # is_issued ROW FOLDER
  local certificate
  certificate=$(new_certificate_of "$1")
  [[ -f ${certificate} && -f $2/${request_file} ]] &&
    is_in_ledger "${certificate}" &&
    [[ -z $(issue_problem "$1" "$2/${request_file}" "${certificate}") ]]
}

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
  if [[ -d ${file%/*} ]]; then need_safe "${file%/*}"; fi
  run install -m 0644 -T -- "${authorities}" "${file}.new"
  run sync -- "${file}.new"
  run mv -fT -- "${file}.new" "${file}"
}

# A request that was answered goes: nothing signs it again on another day.
hand_out() { # hand_out ROW FOLDER
  local certificate=$2/${certificate_file} made
  made=$(new_certificate_of "$1")
  hand_out_authorities "$1"
  keep_copy "${made}" "${certificate}.new"
  run mv -fT -- "${certificate}.new" "${certificate}"
  run sync -- "$2"
  # D15: requests and extension files are not needed any more.
  run rm -f -- "$2/${request_file}" "$2/${extensions_file}"
  run rm -f -- "${made}"
}

sign() { # sign ROW FOLDER
  if ! is_issued "$@"; then issue "$@"; fi
  hand_out "$@"
}

# Before there is a CA, --check shows what will run once the requests are here.
wait_for() { # wait_for ROW
  local before=${changed} folder=${dir}/${party_folder}/${table[$1]}
  waits=1
  note "waiting for the request of ${table[$1]}: bring it to" \
    "${folder}/${request_file} and run this again"
  if [[ ${verb} == check && ! -e ${ca_key} ]]; then sign "$1" "${folder}"; fi
  changed=${before}
}

# The last line says what is awaited.
finish_signing() {
  local row
  show_authorities "${ca_certificate}"
  for row in "${waiting[@]}"; do wait_for "${row}"; done
  finish
}

undo_signing() {
  local row folder part
  for ((row = 0; row < ${#table[@]}; row += 4)); do
    folder=${dir}/${party_folder}/${table[row]}
    for part in "${folder}" "${folder}/renewal"; do
      need_no_links "${part}"
      if [[ -e ${part}/${extensions_file} ]]; then
        run rm -f -- "${part}/${extensions_file}"
      fi
      undo_working_files "${part}/${certificate_file}" \
        "${part}/${ca_certificate_file}"
    done
    undo_folder "${folder}/renewal"
    undo_folder "${folder}"
    part=$(new_certificate_of "${row}")
    remove_file "${part}"
  done
  remove_file "${dir}/ca/${extensions_file}"
}

# What is left of a certificate that was handed out by a run that was killed.
forget_handed_out() { # forget_handed_out ROW
  local made folder=${dir}/${party_folder}/${table[$1]}
  made=$(new_certificate_of "$1")
  if [[ -e ${made} && ! -e ${folder}/${request_file} &&
    ! -e ${folder}/renewal/${request_file} ]]; then
    run rm -f -- "${made}"
  fi
}

open_authority() {
  if [[ ! -e ${ca_key} || ! -e ${ca_certificate} ]]; then
    [[ ${verb} == check ]] ||
      die 2 "there is no CA in ${dir}/ca: run ca/10-create-ca.sh first"
    return
  fi
  open_party "${dir}/ca"
  need_plain "${ca_key}" "${ca_certificate}" "${ledger}"
  check_ca
  if ! is_in_ledger "${ca_certificate}"; then
    add_to_ledger ca "${ca_certificate}" "${ca_certificate}"
  fi
}

sign_all() {
  local job
  if [[ ${verb} != check ]]; then
    for ((job = 0; job < ${#to_sign[@]}; job += 2)); do
      check_lifetime "${table[to_sign[job] + 2]}"
    done
    open_key
  fi
  for ((job = 0; job < ${#to_sign[@]}; job += 2)); do
    sign "${to_sign[@]:job:2}"
  done
}

sign_requests() {
  local row opened_key=''
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
    undo_signing
    finish
  fi
  open_authority
  for ((row = 0; row < ${#table[@]}; row += 4)); do
    forget_handed_out "${row}"
    list_missing "${row}"
  done
  check_requests
  for row in "${told[@]}"; do hand_out_authorities "${row}"; done
  if ((${#to_sign[@]})); then sign_all; fi
  finish_signing
}
