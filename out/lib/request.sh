# ---- A private key and a certificate signing request ------------------------

accepts=' --dir --renew --new-key --yes --check --undo --remove-keys --help '
readonly accepts

create_key() {
  run rm -f -- "${key}.new"
  make_key run "${key}.new"
  if [[ ${verb} != check ]]; then
    # openssl exits with 0 when the disk is full: read the key back.
    openssl pkey -in "${key}.new" -noout ||
      die 1 "${key}.new is not a whole key; is the disk full? ${leaves}"
  fi
  put_key_in_place "${key}"
}

# True when a request is what the CA will sign: of this key, for this name in a
# type that it takes, with no extensions, and not a byte beside it.
is_good_request() { # is_good_request REQUEST
  local text
  if [[ ! -f $1 || ! -f ${key} ]]; then return 1; fi
  text=$(openssl req -in "$1" -noout -verify -subject -nameopt RFC2253 \
    -config "${lib}/openssl.cnf" 2>/dev/null) || return 1
  if [[ ${text} != *"subject=CN=${name}" ]]; then return 1; fi
  text=$(openssl req -in "$1" -config "${lib}/openssl.cnf") || return 1
  cmp --quiet -- "$1" <(printf '%s\n' "${text}") || return 1
  text=$(openssl asn1parse -in "$1")
  if [[ ${text} == *'Extension Request'* ||
    ! ${text} =~ (UTF8|PRINTABLE)STRING\ *:"${name}"$'\n' ]]; then
    return 1
  fi
  [[ $(key_of_request "$1") == "$(
    openssl pkey -in "${key}" -passin pass: -pubout
  )" ]]
}

create_request() {
  # D07: openssl req -subj "/CN=example.com" -sha256 -new
  #      -key server-key.pem -out request.csr
  # D12: openssl req -subj '/CN=client' -new
  #      -key client-key.pem -out client-request.csr
  run rm -f -- "${request}.new"
  run openssl req -subj "/CN=${name}" -sha256 -new -key "${key}" \
    -config "${lib}/openssl.cnf" -out "${request}.new"
  if [[ ${verb} != check ]]; then
    is_good_request "${request}.new" ||
      die 1 "${request}.new is not a whole request; is the disk full? ${leaves}"
  fi
  put_in_place "${request}"
}

# What the operator compares by voice with what the CA machine shows.
show_public_key() {
  local digest
  digest=$(openssl pkey -in "${key}" -pubout -outform DER | sha256sum)
  note "public key sha256: ${digest%% *}"
}

# The renewal is made beside the pair in use, which stays as it is until
# 20-configure-* switches over.
choose_renewal() {
  local renewal=${folder}/renewal
  open_folder "${renewal}"
  if ((new_key)) || [[ -e ${renewal}/${key_file} ]]; then
    key=${renewal}/${key_file}
  fi
  request=${renewal}/${request_file}
  certificate=${renewal}/${certificate_file}
}

undo_request() {
  local file renewal=${folder}/renewal
  for file in "${folder}" "${renewal}"; do
    need_no_links "${file}"
    remove_file "${file}/${request_file}"
    remove_file "${file}/${request_file}.new"
  done
  # A killed run leaves a key under a name that ends with .new.
  for file in "${renewal}" "${folder}/previous"; do
    undo_working_files "${file}/${key_file}"{,.new} \
      "${file}/${certificate_file}"{,.new}
  done
  undo_working_files "${key}" "${key}.new"
  # Where this machine has no CA, these were carried here.
  if [[ ! -e ${dir}/ca ]]; then
    undo_working_files "${certificate}" "${folder}/${ca_certificate_file}"
  fi
  undo_folder "${renewal}"
  undo_folder "${folder}/previous"
  undo_folder "${folder}"
}

need_what_is_to_be_renewed() {
  [[ -e ${key} && -e ${certificate} ]] ||
    die 2 \
      "there is no ${certificate} to renew. Run this as the user who has it" \
      '(with sudo, where that is root), or give its --dir; for a first' \
      'certificate run this without --renew'
}

open_key() {
  if [[ ! -e ${key} ]]; then
    create_key
  elif ! openssl pkey -in "${key}" -passin pass: -noout 2>/dev/null; then
    die 2 "${key} exists and is not an unencrypted private key; move it away"
  fi
}

# A certificate that begins later is the clock's fault, or that of the CA's.
need_begun_certificate() {
  local problem
  if [[ -e ${certificate} && -e ${folder}/${ca_certificate_file} &&
    ! -e ${folder}/renewal ]]; then
    problem=$(why_not_valid "${certificate}" \
      "${folder}/${ca_certificate_file}" "${purpose}")
    [[ ${problem} != *'not yet valid'* ]] ||
      die 2 "${certificate}: ${problem}; where the clock here is right, run" \
        "this with --renew, then setup.sh"
  fi
}

has_good_certificate() {
  is_good_certificate "${certificate}" "${folder}/${ca_certificate_file}" \
    "${alternative_names}" "${purpose}" &&
    has_same_key "${certificate}" "${key}"
}

make_request() {
  parse_options "$@"
  need_openssl
  folder=${dir}/${script%/*}
  need_access "${folder}"
  key=${folder}/${key_file}
  request=${folder}/${request_file}
  certificate=${folder}/${certificate_file}
  if [[ ${verb} == undo ]]; then
    undo_request
    finish
  fi
  need_plain "${key}" "${certificate}" "${folder}/${ca_certificate_file}"
  need_private "make a new one (${script} --renew --new-key)" \
    "${folder}"{,/renewal}/"${key_file}"
  if ((renew)); then need_what_is_to_be_renewed; fi
  open_party "${folder}"
  if ((renew)); then choose_renewal; fi
  need_plain "${key}" "${request}" "${certificate}"
  open_key
  need_begun_certificate
  if ! is_good_request "${request}" && ! has_good_certificate; then
    create_request
    if [[ ${verb} != check ]]; then show_public_key; fi
  fi
  finish
}
