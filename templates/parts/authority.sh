# ---- The CA's key and certificate -------------------------------------------

make_encrypted_key() { # make_encrypted_key FILE
  case ${ca_key_type} in
    rsa:*)
      # D04: openssl genrsa -aes256 -out ca-private.pem 4096
      run_with_passphrase openssl genrsa -aes256 -passout fd:3 \
        -out "$1" "${ca_key_type#rsa:}"
      ;;
    ec:*)
      run_with_passphrase openssl genpkey -algorithm EC \
        -pkeyopt "ec_paramgen_curve:${ca_key_type#ec:}" \
        -pkeyopt ec_param_enc:named_curve -aes256 -pass fd:3 -out "$1"
      ;;
    *)
      run_with_passphrase openssl genpkey -algorithm ED25519 \
        -aes256 -pass fd:3 -out "$1"
      ;;
  esac
}

# A guess at the passphrase costs an attacker as much as one at the back-up's.
slow_down_guesses() { # slow_down_guesses FILE NEW_FILE
  run_with_passphrase openssl pkcs8 -topk8 -v2 aes-256-cbc \
    -v2prf hmacWithSHA256 -iter 600000 -in "$1" -passin fd:3 \
    -passout fd:4 -out "$2" 4< <(printf '%s\n' "${passphrase}")
}

create_ca_key() {
  run rm -f -- "${key}.first.new" "${key}.new"
  make_encrypted_key "${key}.first.new"
  if [[ ${verb} != check ]]; then
    is_right_passphrase "${key}.first.new" ||
      die 1 "${key}.first.new is not a whole key; is the disk full? ${leaves}"
  fi
  slow_down_guesses "${key}.first.new" "${key}.new"
  run rm -f -- "${key}.first.new"
  if [[ ${verb} != check ]]; then
    # openssl exits with 0 when the disk is full: read the key back.
    is_right_passphrase "${key}.new" ||
      die 1 "${key}.new is not a whole key; is the disk full? ${leaves}"
  fi
  run sync -- "${key}.new"
  run mv -nT -- "${key}.new" "${key}"
  run sync -- "${key%/*}"
}

# Explicit extensions: the installed openssl.cnf has no say in them.
certificate_settings() {
  printf '%s\n' '[req]' 'prompt = no' 'distinguished_name = subject' \
    'x509_extensions = ca' '[subject]' "CN = ${ca_common_name}" '[ca]' \
    'basicConstraints = critical, CA:TRUE, pathlen:0' \
    'keyUsage = critical, keyCertSign, cRLSign' \
    'subjectKeyIdentifier = hash'
}

issue_ca_certificate() {
  run rm -f -- "${certificate}.new"
  write_file "${settings}" 0600 "$(certificate_settings)"
  # D05: openssl req -new -x509 -days N -key ca-private.pem -sha256
  #      -out ca-public.pem
  run_with_passphrase openssl req -new -x509 -days "${ca_days}" \
    -key "${key}" -sha256 -out "${certificate}.new" \
    -config "${settings}" -passin fd:3
  if [[ ${verb} != check ]]; then
    openssl verify -x509_strict -check_ss_sig -CAfile "${certificate}.new" \
      "${certificate}.new" >/dev/null ||
      die 1 \
        "${certificate}.new is not a valid certificate; is the disk full?" \
        "${leaves}"
  fi
  run rm -f -- "${settings}"
  run chmod 0644 -- "${certificate}.new"
  run sync -- "${certificate}.new"
  add_to_ledger ca "${certificate}.new" "${certificate}.new"
}

# A killed run may have made it already, and put it into the ledger.
create_ca_certificate() {
  if ! is_in_ledger "${certificate}.new"; then issue_ca_certificate; fi
  run mv -fT -- "${certificate}.new" "${certificate}"
  run sync -- "${certificate%/*}"
}
