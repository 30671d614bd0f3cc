# ---- The ledger: one line for each certificate ------------------------------

# Serial, party, first and last moment (UTC), sha256 of the certificate and of
# its public key, serial of its CA's certificate, names, subject. A line is
# added before a certificate gets its name, and none is ever changed: what is
# not here was not handed out.
ledger_header='# serial party begins ends sha256 key_sha256 issuer names'
ledger_header+=' subject'
readonly ledger_header

digest_of() { # digest_of CERTIFICATE
  local digest
  digest=$(openssl x509 -in "$1" -outform DER | sha256sum)
  printf '%s\n' "${digest%% *}"
}

# Prints the sha256 of a public key in PEM, read from standard input.
digest_of_key() {
  local digest
  digest=$(openssl pkey -pubin -outform DER | sha256sum)
  printf '%s\n' "${digest%% *}"
}

is_in_ledger() { # is_in_ledger CERTIFICATE
  local digest
  [[ -f $1 && -f ${ledger} ]] || return 1
  digest=$(openssl x509 -in "$1" -outform DER 2>/dev/null | sha256sum) ||
    return 1
  [[ $(<"${ledger}") == *" ${digest%% *} "* ]]
}

serial_of() { # serial_of CERTIFICATE
  local serial
  serial=$(openssl x509 -in "$1" -noout -serial)
  printf '%s\n' "${serial#serial=}"
}

# Prints the line of a certificate.
ledger_line() { # ledger_line PARTY CERTIFICATE CA
  local key value names
  local -A found=()
  while IFS='=' read -r key value; do
    found[${key}]=${value}
  done < <(openssl x509 -in "$2" -noout -serial -startdate -enddate \
    -subject -nameopt RFC2253)
  names=$(names_of "$2") || names=''
  plain_text "$(printf '%s %s %s %s %s %s %s %s %s\n' "${found[serial]}" "$1" \
    "$(date --utc --date "${found[notBefore]}" '+%FT%TZ')" \
    "$(date --utc --date "${found[notAfter]}" '+%FT%TZ')" \
    "$(digest_of "$2")" "$(public_key_of "$2" | digest_of_key)" \
    "$(serial_of "$3")" "${names:--}" "${found[subject]}")"
}

# Prints the ledger with one more line.
new_ledger() { # new_ledger LINE
  if [[ -e ${ledger} ]]; then
    cat -- "${ledger}"
  else
    printf '%s\n' "${ledger_header}"
  fi
  printf '%s\n' "$1"
}

# Adds the line of a certificate to a copy, which then takes the ledger's name:
# there is no moment at which the ledger is half written.
add_to_ledger() { # add_to_ledger PARTY CERTIFICATE CA
  local line
  begin_change
  if [[ ${verb} == check ]]; then
    printf '%s\n' "# a line for $1 is added to ${ledger}"
    return
  fi
  line=$(ledger_line "$@")
  printf "+ cat >>%q <<'END'\n%s\nEND\n" "${ledger}" "${line}" >&2
  rm -f -- "${ledger}.new"
  set -o noclobber
  new_ledger "${line}" >"${ledger}.new"
  set +o noclobber
  cmp --quiet -- "${ledger}.new" <(new_ledger "${line}") ||
    die 1 "${ledger}.new did not read back; is the disk full? ${leaves}"
  chmod 0644 -- "${ledger}.new"
  sync -- "${ledger}.new"
  mv -fT -- "${ledger}.new" "${ledger}"
  sync -- "${ledger%/*}"
}

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
