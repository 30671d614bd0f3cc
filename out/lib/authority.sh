# ---- The CA's key and certificate -------------------------------------------

# A wrong clock must not sign. Of a CA that has ended, nobody trusts what it
# signs, nor another CA that it announces.
need_valid_ca() { # need_valid_ca CERTIFICATE
  local problem
  need_whole "$1"
  problem=$(why_not_valid "$1" "$1" any)
  case ${problem} in
    '') ;;
    *'has expired'*)
      die 2 "$1: ${problem%; renew it*}. Where that is right, move ${1%/*}" \
        "away and keep it, make a new CA (setup.sh --dir ${dir}), and run" \
        "setup.sh --undo and setup.sh on each host and client; ${leaves}"
      ;;
    *) die 2 "$1: ${problem}; ${leaves}" ;;
  esac
}

# Who can read its key can guess at the passphrase, too.
readonly new_ca='replace the CA (first: ca/60-roll-over-ca.sh --begin)'

# A guess at the passphrase costs an attacker as much as one at the back-up's.
slow_down_guesses() { # slow_down_guesses FILE NEW_FILE
  run_with_passphrase openssl pkcs8 -topk8 -v2 aes-256-cbc \
    -v2prf hmacWithSHA256 -iter 600000 -in "$1" -passin fd:3 \
    -passout fd:4 -out "$2" 4< <(printf '%s\n' "${passphrase}")
}

create_ca_key() {
  run rm -f -- "${key}.first.new" "${key}.new"
  make_key run_with_passphrase "${key}.first.new"
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
  put_key_in_place "${key}"
}

issue_ca_certificate() {
  run rm -f -- "${certificate}.new"
  # D05: openssl req -new -x509 -days N -key ca-private.pem -sha256
  #      -out ca-public.pem
  run_with_passphrase openssl req -new -x509 -days "${ca_days}" \
    -subj "/CN=${ca_common_name}" -key "${key}" -sha256 \
    -config "${lib}/openssl.cnf" -extensions ca \
    -passin fd:3 -out "${certificate}.new"
  if [[ ${verb} != check ]]; then
    openssl verify -x509_strict -check_ss_sig -CAfile "${certificate}.new" \
      "${certificate}.new" >/dev/null ||
      die 1 \
        "${certificate}.new is not a valid certificate; is the disk full?" \
        "${leaves}"
  fi
  run chmod 0644 -- "${certificate}.new"
  run sync -- "${certificate}.new"
  add_to_ledger ca "${certificate}.new" "${certificate}.new" -
}

# A killed run may have made it already, and put it into the ledger.
create_ca_certificate() {
  if ! is_in_ledger "${certificate}.new"; then issue_ca_certificate; fi
  run mv -fT -- "${certificate}.new" "${certificate}"
  run sync -- "${certificate%/*}"
}

# ---- Undo -------------------------------------------------------------------

# Removes what a killed run left in a folder with a CA, and lists the CA and
# keeps it, unless --remove-keys. A key that is half made counts as one.
undo_authority() { # undo_authority FOLDER
  local file
  need_no_links "$1"
  for file in announcement.{srl,pem.new}; do
    remove_file "$1/${file}"
  done
  undo_working_files "$1/${ca_certificate_file}"{,.new} \
    "$1/${ca_key_file}"{,.first.new,.new}
}
