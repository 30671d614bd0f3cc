#!/usr/bin/env bash
# Creates the certificate authority: an encrypted key and its certificate.
# An existing key is never replaced.
#
# Reads:      nothing
# Writes:     DIR/ca/{ca-private.pem,ca-public.pem,ledger.txt}
# Restarts:   nothing
# Needs root: no
# Undo:       lists these files and ca-public.srl (the last serial) and keeps
#             them, unless --remove-keys
# Options:    --dir DIR (docker-tls)  --passphrase-file FILE  --yes
#             --check  --undo [--remove-keys]  --help
# Status:     0 done, 1 failed, 2 wrong use, 3 --check found changes to make
#% include "parts/guard.sh"

readonly script=@{script}
readonly ca_common_name=@{ca_common_name}
readonly ca_key_type=@{ca_key_type}
readonly ca_days=@{ca_days}
readonly ca_key_file=@{ca_key_file}
readonly ca_certificate_file=@{ca_certificate_file}
readonly ledger_file=@{ledger_file}

#% include "parts/common.sh"

#% include "parts/change.sh"

#% include "parts/write.sh"

#% include "parts/finish.sh"

#% include "parts/folder.sh"

#% include "parts/lock.sh"

#% include "parts/party.sh"

#% include "parts/section_certificates.sh"

#% include "parts/names_of.sh"

#% include "parts/why_not_valid.sh"

#% include "parts/ledger.sh"

#% include "parts/undo.sh"

#% include "parts/terminal.sh"

#% include "parts/passphrase.sh"

#% include "parts/run_with_passphrase.sh"

# ---- This script ------------------------------------------------------------

accepts=' --dir --passphrase-file --yes --check --undo --remove-keys --help '
readonly accepts

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

create_key() {
  make_encrypted_key "${key}.new"
  if [[ ${verb} != check ]]; then
    # openssl exits with 0 when the disk is full: read the key back.
    is_right_passphrase "${key}.new" ||
      die 1 "${key}.new is not a whole key; is the disk full? ${leaves}"
  fi
  run sync -- "${key}.new"
  run mv -nT -- "${key}.new" "${key}"
  leaves="the CA key is in ${key}, the CA certificate is not made yet"
}

# Explicit extensions: the installed openssl.cnf has no say in them.
certificate_settings() {
  printf '%s\n' '[req]' 'prompt = no' 'distinguished_name = subject' \
    'x509_extensions = ca' '[subject]' "CN = ${ca_common_name}" '[ca]' \
    'basicConstraints = critical, CA:TRUE, pathlen:0' \
    'keyUsage = critical, keyCertSign, cRLSign' \
    'subjectKeyIdentifier = hash'
}

issue_certificate() {
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
  run chmod 0644 -- "${certificate}.new"
  run sync -- "${certificate}.new"
  add_to_ledger ca "${certificate}.new"
}

# A killed run may have made it already, and put it into the ledger.
create_certificate() {
  if ! is_in_ledger "${certificate}.new"; then issue_certificate; fi
  run mv -fT -- "${certificate}.new" "${certificate}"
  run rm -f -- "${settings}"
}

# Stops when what is there is not this CA. Neither file is ever replaced.
check_existing() {
  local subject problem
  if [[ -e ${key} && $(<"${key}") != *ENCRYPTED* ]]; then
    die 2 "${key} exists and is not an encrypted private key; move it away"
  fi
  [[ -e ${certificate} ]] || return 0
  [[ -e ${key} ]] ||
    die 2 \
      "${certificate} exists without its key ${key}; put the key back, or" \
      'move the certificate away'
  subject=$(openssl x509 -in "${certificate}" -noout -subject \
    -nameopt RFC2253) ||
    die 2 \
      "${certificate} is not a certificate; move it away"
  [[ ${subject} == "subject=CN=${ca_common_name}" ]] ||
    die 2 \
      "${certificate} has ${subject}, not CN=${ca_common_name}; give another" \
      '--dir'
  problem=$(why_not_valid "${certificate}" "${certificate}" any)
  [[ -z ${problem} ]] || die 2 "${certificate} is not valid: ${problem}"
}

main() {
  parse_options "$@"
  need_openssl
  folder=${dir}/ca
  key=${folder}/${ca_key_file}
  certificate=${folder}/${ca_certificate_file}
  settings=${folder}/ca-extensions.cnf
  ledger=${folder}/${ledger_file}
  if [[ ${verb} == undo ]]; then
    undo_working_files "${certificate}" "${key}" "${certificate%.*}.srl" \
      "${ledger}"
    undo_folder "${folder}"
    finish
  fi
  open_party "${folder}"
  check_existing
  if [[ -e ${key} && -e ${certificate} ]]; then finish; fi
  if [[ ${verb} != check ]]; then get_passphrase "${key}"; fi
  if [[ ! -e ${key} ]]; then create_key; fi
  create_certificate
  finish
}

main "$@"
