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
