# ---- The CA of this site, made once -----------------------------------------

accepts=' --dir --passphrase-file --yes --check --undo --remove-keys --help '
readonly accepts

# Stops when what is there is not this CA. Neither file is ever replaced.
check_existing() {
  local subject
  need_plain "${key}" "${certificate}"
  need_ledger
  need_private "${new_ca}" "${key}"
  if [[ -e ${key} && $(cat -- "${key}") != *ENCRYPTED* ]]; then
    die 2 "${key} exists and is not an encrypted private key; move it away"
  fi
  if [[ ! -e ${certificate} ]]; then return; fi
  [[ -e ${key} ]] ||
    die 2 \
      "${certificate} exists without its key ${key}; put the key back, or" \
      'move the certificate away'
  need_whole "${certificate}"
  subject=$(openssl x509 -in "${certificate}" -noout -subject \
    -nameopt RFC2253)
  [[ ${subject} == "subject=CN=${ca_common_name}" ]] ||
    die 2 \
      "${certificate} has ${subject}, not CN=${ca_common_name}; give another" \
      '--dir'
  need_valid_ca "${certificate}"
}

create_authority() {
  parse_options "$@"
  need_openssl
  folder=${dir}/ca
  key=${folder}/${ca_key_file}
  certificate=${folder}/${ca_certificate_file}
  ledger=${folder}/${ledger_file}
  if [[ ${verb} == undo ]]; then
    undo_authority "${folder}"
    remove_file "${ledger}.new"
    undo_working_files "${certificate%.*}.srl" "${ledger}" \
      "${folder}/refused.txt"
    undo_folder "${folder}"
    finish
  fi
  need_access "${folder}"
  open_party "${folder}"
  check_existing
  if [[ -e ${key} && -e ${certificate} ]]; then
    show_authorities "${certificate}"
    finish
  fi
  if [[ ${verb} != check ]]; then get_passphrase "${key}"; fi
  if [[ ! -e ${key} ]]; then create_ca_key; fi
  create_ca_certificate
  show_authorities "${certificate}"
  finish
}
