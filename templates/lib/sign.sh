# ---- Checks requests and signs certificates ---------------------------------

accepts=' --dir --passphrase-file --yes --check --undo --remove-keys --help '
readonly accepts

# The table of the script, by the party's name.
parties=()
declare -A type_wanted=() usage_wanted=() days_wanted=() names_wanted=()
for ((row = 0; row < ${#table[@]}; row += 5)); do
  parties+=("${table[row]}")
  type_wanted[${table[row]}]=${table[row + 1]}
  usage_wanted[${table[row]}]=${table[row + 2]}
  days_wanted[${table[row]}]=${table[row + 3]}
  names_wanted[${table[row]}]=${table[row + 4]}
done

# D08, D09, D13: what stands in a certificate, whatever the request asks for.
extensions_for() { # extensions_for NAME
  printf '%s\n' "subjectAltName = ${names_wanted[$1]}" \
    "extendedKeyUsage = ${extended_key_usage}" \
    'basicConstraints = critical, CA:FALSE' \
    "keyUsage = critical, ${usage_wanted[$1]}" \
    'subjectKeyIdentifier = hash' 'authorityKeyIdentifier = keyid'
}

# ---- What is asked for ------------------------------------------------------

# Prints the key type of a public key in this site's words. A point that is not
# written whole would give the same key another sha256 in the ledger.
key_type_of() { # key_type_of PUBLIC_KEY
  local text whole_point=$'pub:\n    04:'
  text=$(printf '%s\n' "$1" | openssl pkey -pubin -noout -text)
  case ${text} in
    *PSS*) printf 'RSA-PSS, which is another type than rsa\n' ;;
    *"${whole_point}"*'ASN1 OID: prime256v1'*) printf 'ec:P-256\n' ;;
    *"${whole_point}"*'ASN1 OID: secp384r1'*) printf 'ec:P-384\n' ;;
    *'ASN1 OID: prime256v1'* | *'ASN1 OID: secp384r1'*)
      printf 'ec with a compressed or hybrid point (write the key anew: openssl'
      printf ' ec -in KEY -conv_form uncompressed -out NEW)\n'
      ;;
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
  local text end='-----END CERTIFICATE REQUEST-----'
  if [[ -L $1 || ! -f $1 ]]; then
    printf 'it is not a regular file\n'
  elif (((8#$(stat --format '%a' -- "$1") & 8#022) != 0)); then
    printf 'others can write to it; run: chmod go-w %s\n' "$1"
  elif (($(stat --format '%s' -- "$1") > 65536)); then
    printf 'it is larger than 64 KiB\n'
  else
    text=$(tr -d '\0' <"$1")
    if [[ ${text} == $'\x30'[$'\x80'-$'\xff']* ]]; then
      printf 'it is in DER, and PEM is expected; convert it: openssl req'
      printf ' -inform DER -in %s -out NEW\n' "$1"
    elif [[ ${text} != '-----BEGIN CERTIFICATE REQUEST-----'$'\n'* ]]; then
      printf 'it does not begin with a certificate request in PEM\n'
    elif [[ ${text} == *"${end}"*[![:space:]]* ]] || [[ ${text} == *:* ]] ||
      ! cmp --quiet -- "$1" <(tr -d '\0' <"$1"); then
      printf 'it holds more than a certificate request\n'
    fi
  fi
}

# The control: a request that was made here is good.
can_verify_requests() {
  local config=${lib}/openssl.cnf
  openssl req -new -newkey rsa:2048 -nodes -keyout /dev/null -subj /CN=control \
    -config "${config}" 2>/dev/null |
    openssl req -noout -verify -config "${config}" 2>/dev/null
}

# Prints why a request is refused, or nothing. A machine whose openssl verifies
# no request says nothing about this one.
request_problem() { # request_problem REQUEST NAME
  local text
  text=$(request_form_problem "$1")
  if [[ -n ${text} ]]; then
    printf '%s\n' "${text}"
  elif text=$(openssl req -in "$1" -noout -verify \
    -config "${lib}/openssl.cnf" 2>&1) && [[ ${text} == *'verify OK'* ]]; then
    content_problem "$@"
  elif can_verify_requests; then
    printf 'it is damaged, or not signed by its own key\n'
  else
    die 1 "openssl does not work here: ${text}; ${leaves}"
  fi
}

# The same of what a request asks for.
content_problem() { # content_problem REQUEST NAME
  local structure subject type
  structure=$(openssl asn1parse -in "$1")
  subject=$(openssl req -in "$1" -noout -subject -nameopt RFC2253 \
    -config "${lib}/openssl.cnf")
  type=$(key_type_of "$(key_of_request "$1")")
  if [[ ${subject} != "subject=CN=$2" ]]; then
    printf 'it asks for %s, and this CA certifies CN=%s here\n' \
      "${subject#subject=}" "$2"
  elif [[ ! ${structure} =~ (UTF8|PRINTABLE)STRING\ *:"$2"$'\n' ]]; then
    printf 'its name is written neither in UTF-8 nor as a printable string\n'
  elif [[ ${type} != "${type_wanted[$2]}" ]]; then
    printf 'its key is %s, and this CA certifies %s here\n' "${type}" \
      "${type_wanted[$2]}"
  elif [[ ${structure} == *'Extension Request'* ]]; then
    printf 'it asks for extensions, and they are for the CA to decide; make it'
    printf ' again with 10-request-certificate.sh\n'
  fi
}

# Prints the other party that has had a key before, or asks with it now.
owner_of() { # owner_of KEY_SHA256 PARTY
  local party
  local -a owners
  read -r -a owners <<<"${had_key[$1]:-} ${asked[$1]:-}"
  for party in "${owners[@]}"; do
    if [[ ${party} != "$2" ]]; then
      printf '%s\n' "${party}"
      return
    fi
  done
}

# A party whose key is here asks with that key, or with that of its own renewal:
# a certificate for another one would leave it without.
other_key_problem() { # other_key_problem FOLDER PARTY REQUEST
  local key=${dir}/$2/${key_file}
  if [[ ! -f ${key} ]]; then return; fi
  if [[ $1 == */renewal && -f $1/${key_file} ]]; then key=$1/${key_file}; fi
  if [[ $(key_of_request "$3") != "$(
    openssl pkey -in "${key}" -passin pass: -pubout
  )" ]]; then
    printf 'the key of this party is here, %s, and the request is for %s\n' \
      "${key}" 'another one: a second user or machine is a party of its own'
  fi
}

# A refusal is kept in the log, and nothing is signed.
refuse() { # refuse REQUEST REASON
  if [[ ${verb} != check ]]; then
    printf '%s %s\n' "$(date --utc '+%FT%TZ')" "$(plain_text "$1 $2")" \
      >>"${refusals}"
  fi
  die 6 "refused $1: $2; ${leaves}"
}

# Where the CA has its own copy of a request. In a party's name no letter is a
# capital.
copy_of_request() { # copy_of_request NAME FOLDER
  local part=$1
  if [[ $2 == */renewal ]]; then part+=.RENEWAL; fi
  printf '%s/ca/%s-%s.%s.new\n' "${dir}" "${party_folder}" "${part}" \
    "${request_file}"
}

# Whoever brought a file may have it open still: the CA looks at a copy of its
# own, shows the key of that one, and signs it.
take_copy() { # take_copy FILE COPY
  copies+=("$2")
  rm -f -- "$2"
  set -o noclobber
  head --bytes=65537 -- "$1" >"$2"
  set +o noclobber
}

check_request() { # check_request NAME FOLDER
  local request=$2/${request_file} party=${party_folder}/$1
  local taken problem digest owner folder
  for folder in "${dir}/${party_folder}" "${dir}/${party}" "$2"; do
    problem=$(why_unsafe "${folder}")
    [[ -z ${problem} ]] || refuse "${request}" "${problem}"
  done
  problem=$(request_form_problem "${request}")
  [[ -z ${problem} ]] || refuse "${request}" "${problem}"
  taken=${request}
  if [[ ${verb} != check ]]; then
    taken=$(copy_of_request "$@")
    take_copy "${request}" "${taken}"
  fi
  problem=$(request_problem "${taken}" "$1") || exit
  [[ -z ${problem} ]] || refuse "${request}" "${problem}"
  if is_issued "$1" "${taken}"; then return; fi
  digest=$(key_of_request "${taken}" | digest_of_key)
  owner=$(owner_of "${digest}" "${party}")
  [[ -z ${owner} ]] ||
    refuse "${request}" "its key is ${owner}'s: each party makes its own"
  problem=$(other_key_problem "$2" "${party}" "${taken}")
  [[ -z ${problem} ]] || refuse "${request}" "${problem}"
  asked[${digest}]=${party}
  note "$1 asks with public key sha256: ${digest}"
}

# ---- What has been signed ---------------------------------------------------

# Where a certificate is made: in the CA's own folder, where nobody else writes.
new_certificate_of() { # new_certificate_of NAME
  printf '%s/ca/%s-%s.%s.new\n' "${dir}" "${party_folder}" "$1" \
    "${certificate_file}"
}

# Keeps in mind what the ledger says: of each certificate, by its sha256, and
# who has had a public key, by that one's.
load_ledger() {
  local mark party begins ends digest key issuer names
  local -A others=()
  if [[ ! -f ${ledger} ]]; then return; fi
  while read -r mark party begins ends digest key issuer names _; do
    if [[ ${mark} == '#' ]]; then continue; fi
    listed[${digest}]="${party} ${begins} ${ends} ${issuer} ${names}"
    had_key[${key}]+=" ${party}"
    if [[ ${party} == "${party_folder}"/* && ${ends} > ${now} &&
      -z ${names_wanted[${party#*/}]:-} ]]; then
      others[${party}]=1
    fi
  done <"${ledger}"
  ((! ${#others[@]})) ||
    note "certified by this CA, and not of this site: ${!others[*]}." \
      'Two sites want two CAs, each with a --dir of its own'
}

# True when a party's certificate is in the ledger, for its names, and valid
# now. It was judged whole before it came in there.
is_listed() { # is_listed NAME CERTIFICATE
  local digest party begins ends issuer names
  if [[ ! -f $2 ]] || ! digest=$(digest_of "$2"); then return 1; fi
  read -r party begins ends issuer names <<<"${listed[${digest}]:-}"
  [[ ${party} == "${party_folder}/$1" && ${names} == "${names_wanted[$1]}" &&
    " ${issuers[*]} " == *" ${issuer} "* &&
    ! ${begins} > ${now} && ${ends} > ${now} ]]
}

# Prints the CA that has issued a good certificate: this one or, while the CA is
# rolled over, the previous one.
issuer_of() { # issuer_of NAME CERTIFICATE
  local authority
  for authority in "${authorities[@]}"; do
    if is_good_certificate "$2" "${authority}" "${names_wanted[$1]}" \
      "${purpose}"; then
      printf '%s\n' "${authority}"
      return
    fi
  done
}

# Keeps in mind who has a certificate; a renewed one stands in the folder
# renewal. One that the ledger does not know, as after an old ledger was
# restored, gets its line now.
find_certificates() { # find_certificates NAME
  local file issuer
  for file in "${dir}/${party_folder}/$1"{,/renewal}/"${certificate_file}"; do
    if [[ ! -f ${file} ]]; then continue; fi
    if is_listed "$1" "${file}"; then
      certified[$1]=1
      continue
    fi
    issuer=$(issuer_of "$1" "${file}")
    if [[ -z ${issuer} ]]; then continue; fi
    certified[$1]=1
    if ! is_in_ledger "${file}"; then list_found "$1" "${file}"; fi
  done
}

# Whoever brought the file may have it open still: the line is that of a copy,
# which is judged again.
list_found() { # list_found NAME CERTIFICATE
  local issuer='' copy=${dir}/ca/found.new
  note "$2 is not in ${ledger}: its line is added"
  if [[ ${verb} != check ]]; then
    take_copy "$2" "${copy}"
    issuer=$(issuer_of "$1" "${copy}")
    [[ -n ${issuer} ]] || die 2 "$2 was changed meanwhile; ${leaves}"
  fi
  add_to_ledger "${party_folder}/$1" "${copy}" "${issuer}" \
    "${names_wanted[$1]}"
}

# True when there is nothing to sign: no newer key asks for a certificate, and
# no killed run has left one to be handed out.
is_signed() { # is_signed NAME
  local requested folder=${dir}/${party_folder}/$1
  if [[ -z ${certified[$1]:-} ]]; then return 1; fi
  if [[ ! -e ${folder}/${request_file} ]]; then return; fi
  if is_issued "$1" "${folder}/${request_file}" ||
    [[ -n $(request_form_problem "${folder}/${request_file}") ]]; then
    return 1
  fi
  requested=$(key_of_request "${folder}/${request_file}") || return 1
  [[ ${requested} == "$(public_key_of "${folder}/${certificate_file}")" ]]
}

# ---- Signing ----------------------------------------------------------------

# A certificate must not outlive its CA.
check_lifetime() { # check_lifetime DAYS
  openssl x509 -in "${ca_certificate}" -noout -checkend $(($1 * 86400)) \
    >/dev/null ||
    die 2 \
      "the CA ends before a certificate of $1 days would: ${new_ca}; ${leaves}"
}

# Runs openssl with the CA's key, which was opened once, on file descriptor 3.
run_with_key() { # run_with_key COMMAND...
  print_command "$@"
  if [[ ${verb} == check ]]; then return; fi
  doing=$*
  "$@" 3< <(printf '%s\n' "${opened_key}") || return
  doing=''
}

# The CA decides the names and the use. Nothing that is not in the ledger gets a
# certificate's name. Without the serial file each certificate gets a random
# serial of its own.
issue() { # issue NAME REQUEST
  local certificate problem extensions=${dir}/ca/${extensions_file}
  certificate=$(new_certificate_of "$1")
  run rm -f -- "${serial_file}" "${certificate}"
  write_file "${extensions}" 0600 "$(extensions_for "$1")"
  # D10, D14: openssl x509 -req -days 365 -sha256 -in request.csr
  #           -CA ca-public.pem -CAkey ca-private.pem -CAcreateserial
  #           -extfile extfile.cnf -out certificate.pem
  run_with_key openssl x509 -req -days "${days_wanted[$1]}" -sha256 \
    -in "$2" \
    -CA "${ca_certificate}" \
    -CAkey /dev/fd/3 \
    -CAcreateserial \
    -extfile "${extensions}" \
    -out "${certificate}"
  if [[ ${verb} != check ]]; then
    problem=$(issue_problem "$1" "$2" "${certificate}")
    [[ -z ${problem} ]] ||
      die 1 "${certificate} is not what was to be signed: ${problem}; ${leaves}"
  fi
  run rm -f -- "${extensions}"
  run chmod 0644 -- "${certificate}"
  run sync -- "${certificate}"
  add_to_ledger "${party_folder}/$1" "${certificate}" "${ca_certificate}" \
    "${names_wanted[$1]}"
}

# openssl reads the clock for the beginning, and again for the end.
is_so_long() { # is_so_long BEGINS ENDS DAYS
  local longer=$(($2 - $1 - $3 * 86400))
  ((longer >= 0 && longer <= 60))
}

# Prints what is wrong with a certificate that was just signed, or nothing.
issue_problem() { # issue_problem NAME REQUEST CERTIFICATE
  local -A found
  if ! read_certificate found "$3" ||
    [[ -n $(why_not_valid "$3" "${ca_certificate}" "${purpose}") ]]; then
    printf 'it is not a good certificate; is the disk full?\n'
  elif [[ $(extensions_of "$3") != "$(expected_extensions \
    "${names_wanted[$1]}" "${purpose}" "${usage_wanted[$1]}")" ]]; then
    printf 'its extensions are others\n'
  elif [[ ${found[subject]} != "CN=$1" ]]; then
    printf 'it is for %s\n' "${found[subject]}"
  elif [[ ${found[key]} != "$(key_of_request "$2")" ]]; then
    printf 'its key is not the one of the request\n'
  elif ! is_so_long "${found[begins]}" "${found[ends]}" "${days_wanted[$1]}"; then
    printf 'its lifetime is not %d days\n' "${days_wanted[$1]}"
  fi
}

# True when a killed run has signed the request and put the certificate into
# the ledger: all that is left to do is to give it its name.
is_issued() { # is_issued NAME REQUEST
  local certificate
  certificate=$(new_certificate_of "$1")
  [[ -f ${certificate} && -f $2 ]] && is_in_ledger "${certificate}" &&
    [[ -z $(issue_problem "$1" "$2" "${certificate}") ]]
}

# ---- Handing out ------------------------------------------------------------

# What is handed out takes the place of a file, never of a folder, and stands in
# the party's own one.
need_room() { # need_room FOLDER
  local name
  need_no_links "$1/renewal"
  for name in "${ca_certificate_file}" "${certificate_file}" \
    "renewal/${certificate_file}"; do
    need_plain "$1/${name}" "$1/${name}.new"
  done
  for name in "${certificate_file}" "renewal/${certificate_file}"; do
    need_one_certificate "$1/${name}"
  done
}

# What a party is to trust: this CA. While the CA is rolled over, both, once it
# has heard of one; who joins after the switch gets the new one alone, and
# reaches a host once that has renewed.
authorities_for() { # authorities_for FILE
  local both=${dir}/ca/authorities.pem
  if [[ ! -e $1 || ! -e ${both} ]]; then
    both=${ca_certificate}
  elif [[ -e ${dir}/ca/previous ]] &&
    is_same_file "$1" "${ca_certificate}"; then
    both=${ca_certificate}
  fi
  printf '%s\n' "${both}"
}

hand_out_authorities() { # hand_out_authorities NAME
  local file=${dir}/${party_folder}/$1/${ca_certificate_file} authorities
  authorities=$(authorities_for "${file}")
  if [[ ! -L ${file} ]] && is_same_file "${file}" "${authorities}"; then
    return
  fi
  if [[ -d ${file%/*} ]]; then need_safe "${file%/*}"; fi
  run install -m 0644 -T -- "${authorities}" "${file}.new"
  put_in_place "${file}"
}

# A request that was answered goes: nothing signs it again on another day.
hand_out() { # hand_out NAME FOLDER
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

sign() { # sign NAME FOLDER
  local request looked_at
  request=$(copy_of_request "$@")
  looked_at=${request}
  if [[ ${verb} == check ]]; then looked_at=$2/${request_file}; fi
  if ! is_issued "$1" "${looked_at}"; then issue "$1" "${request}"; fi
  hand_out "$@"
}

# What is left of a certificate that was handed out by a run that was killed.
forget_handed_out() { # forget_handed_out NAME
  local file folder=${dir}/${party_folder}/$1
  if [[ -e ${folder}/${request_file} ||
    -e ${folder}/renewal/${request_file} ]]; then
    return
  fi
  for file in "$(new_certificate_of "$1")" \
    "$(copy_of_request "$1" "${folder}")" \
    "$(copy_of_request "$1" "${folder}/renewal")"; do
    if [[ -e ${file} ]]; then run rm -f -- "${file}"; fi
  done
}

# Before there is a CA, --check shows what will run once the requests are here.
wait_for() { # wait_for NAME
  local before=${changed} folder=${dir}/${party_folder}/$1
  waits=1
  note "waiting for the request of $1: bring it to" \
    "${folder}/${request_file} and run this again"
  if [[ ${verb} == check && ! -e ${ca_key} ]]; then sign "$1" "${folder}"; fi
  changed=${before}
}

# ---- The verbs --------------------------------------------------------------

# Where the key is on another machine, the request was carried here.
undo_carried_request() { # undo_carried_request FOLDER PART
  if [[ ! -e $1/${key_file} ]]; then
    remove_file "$2/${request_file}"
    remove_file "$2/${request_file}.new"
  fi
}

undo_signing() {
  local name folder part
  for name in "${parties[@]}"; do
    folder=${dir}/${party_folder}/${name}
    for part in "${folder}" "${folder}/renewal"; do
      need_no_links "${part}"
      remove_file "${part}/${extensions_file}"
      # A killed run leaves these.
      remove_file "${part}/${certificate_file}.new"
      remove_file "${part}/${ca_certificate_file}.new"
      undo_working_files "${part}/${certificate_file}" \
        "${part}/${ca_certificate_file}"
      undo_carried_request "${folder}" "${part}"
    done
    undo_folder "${folder}/renewal"
    undo_folder "${folder}"
    for part in "$(new_certificate_of "${name}")" \
      "$(copy_of_request "${name}" "${folder}")" \
      "$(copy_of_request "${name}" "${folder}/renewal")"; do
      remove_file "${part}"
    done
  done
  remove_file "${dir}/ca/${extensions_file}"
  remove_file "${dir}/ca/${extensions_file}.new"
  remove_file "${dir}/ca/found.new"
  finish
}

open_authority() {
  local file
  if [[ ! -e ${ca_key} || ! -e ${ca_certificate} ]]; then
    [[ ${verb} == check ]] ||
      die 2 "there is no CA in ${dir}/ca: run ca/10-create-ca.sh first"
    return
  fi
  open_party "${dir}/ca"
  need_plain "${ca_key}" "${ca_certificate}"
  need_ledger
  need_private "${new_ca}" "${ca_key}"
  need_valid_ca "${ca_certificate}"
  if ! is_in_ledger "${ca_certificate}"; then
    add_to_ledger ca "${ca_certificate}" "${ca_certificate}" -
  fi
  for file in "${ca_certificate}" \
    "${dir}/ca/previous/${ca_certificate_file}"; do
    if [[ -f ${file} ]]; then
      authorities+=("${file}")
      issuers+=("$(serial_of "${file}")")
    fi
  done
  load_ledger
}

# Sorts the parties into told (they know which CA to trust), to_sign (name and
# folder) and waiting (no request is here yet). A request that is refused stops
# the script before anything is signed.
check_requests() {
  local name folder renews
  for name in "${parties[@]}"; do
    folder=${dir}/${party_folder}/${name}
    renews=0
    if [[ -e ${folder}/renewal/${request_file} ||
      -L ${folder}/renewal/${request_file} ]]; then
      check_request "${name}" "${folder}/renewal"
      to_sign+=("${name}" "${folder}/renewal")
      renews=1
    fi
    if [[ -e ${folder}/${ca_certificate_file} ||
      -n ${certified[${name}]:-} ]]; then
      told+=("${name}")
    fi
    if is_signed "${name}"; then continue; fi
    if [[ -e ${folder}/${request_file} || -L ${folder}/${request_file} ]]; then
      check_request "${name}" "${folder}"
      to_sign+=("${name}" "${folder}")
    elif ((! renews)); then
      waiting+=("${name}")
    fi
  done
}

sign_all() {
  local job
  if [[ ${verb} != check ]]; then
    for ((job = 0; job < ${#to_sign[@]}; job += 2)); do
      check_lifetime "${days_wanted[${to_sign[job]}]}"
    done
    get_passphrase "${ca_key}"
  fi
  for ((job = 0; job < ${#to_sign[@]}; job += 2)); do
    sign "${to_sign[@]:job:2}"
  done
}

sign_requests() {
  local name now
  local -a copies=() to_sign=() waiting=() told=() authorities=() issuers=()
  local -A asked=() listed=() had_key=() certified=()
  parse_options "$@"
  need_openssl
  ca_key=${dir}/ca/${ca_key_file}
  ca_certificate=${dir}/ca/${ca_certificate_file}
  serial_file=${ca_certificate%.*}.srl
  ledger=${dir}/ca/${ledger_file}
  refusals=${dir}/ca/refused.txt
  if [[ ${verb} == undo ]]; then undo_signing; fi
  trap 'rm -f -- "${copies[@]}"' EXIT
  now=$(date --utc '+%FT%TZ')
  open_authority
  for name in "${parties[@]}"; do
    forget_handed_out "${name}"
    need_room "${dir}/${party_folder}/${name}"
    find_certificates "${name}"
  done
  check_requests
  for name in "${told[@]}"; do hand_out_authorities "${name}"; done
  if ((${#to_sign[@]})); then sign_all; fi
  # The last line says what is awaited.
  show_authorities "${ca_certificate}"
  for name in "${waiting[@]}"; do wait_for "${name}"; done
  finish
}
