#!/usr/bin/env bash
# Creates the certificate authority: an encrypted key and its certificate.
# An existing key is never replaced.
#
# Reads:      nothing
# Writes:     DIR/ca/: ca-private.pem, ca-public.pem, ledger.txt, .lock
# Temporary:  DIR/ca/ca-extensions.cnf
# Restarts:   nothing
# Needs root: no
# Undo:       lists key, certificate and ca/ca-public.srl and keeps them, unless
#             --remove-keys
# Options:    --dir DIR (~/docker-tls)  --passphrase-file FILE  --yes
#             --check  --undo [--remove-keys]  --help
# Status:     0 done, 1 failed, 2 wrong use, 3 --check found changes to make

# In POSIX mode no exported function takes the place of `.`.
POSIXLY_CORRECT=1
lib=$(/usr/bin/dirname -- "$0")/'../lib'
. "${lib}/begin.sh"

readonly script='ca/10-create-ca.sh'
readonly ca_common_name='dockseal CA'
readonly ca_key_type='rsa:4096'
readonly ca_days=3650
readonly ca_key_file='ca-private.pem'
readonly ca_certificate_file='ca-public.pem'
readonly ledger_file='ledger.txt'

# ==== Below this line every site has the same bytes ==========================

. "${lib}/common.sh"
. "${lib}/change.sh"
. "${lib}/certificates.sh"
. "${lib}/passphrase.sh"
. "${lib}/authority.sh"

# ---- This script ------------------------------------------------------------

accepts=' --dir --passphrase-file --yes --check --undo --remove-keys --help '
readonly accepts

# Stops when what is there is not this CA. Neither file is ever replaced.
check_existing() {
  local subject problem
  need_plain "${key}" "${certificate}" "${ledger}"
  if [[ -e ${key} && $(cat -- "${key}") != *ENCRYPTED* ]]; then
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
      "${ledger}" "${folder}/refused.txt"
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

main "$@"
