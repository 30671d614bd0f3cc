# ---- The ledger: one line for each certificate ------------------------------

# Serial, party, first and last moment (UTC), sha256 of the certificate and of
# its public key, serial of its CA's certificate, names, subject. A line is
# added before a certificate gets its name, and none is ever changed: what is
# not here was not handed out.
ledger_header='# serial party begins ends sha256 key_sha256 issuer names'
ledger_header+=' subject'
readonly ledger_header

# Prints the sha256 of a public key in PEM, read from standard input.
digest_of_key() {
  local digest
  digest=$(openssl pkey -pubin -outform DER | sha256sum)
  printf '%s\n' "${digest%% *}"
}

# Prints the first line after the header that is none of a ledger.
line_that_is_none() {
  local line number=0
  while IFS= read -r line; do
    number=$((number + 1))
    if ((number > 1)) && [[ ! ${line} =~ ^[0-9A-F]+(\ [^ ]+){8} ||
      ${line} == *$'\r'* ]]; then
      printf 'line %d: %s\n' "${number}" "${line}"
      return
    fi
  done <"${ledger}"
}

# Stops where the ledger is cut off, as by a full disk, or has a line that is
# none, or twice: who has which certificate would be forgotten. It may be of any
# size.
need_ledger() {
  if [[ ! -e ${ledger} && ! -L ${ledger} ]]; then return; fi
  [[ -f ${ledger} && -r ${ledger} ]] ||
    die 2 "${ledger} is no regular file that $(user_name) may read; ${leaves}"
  [[ $(head --lines=1 -- "${ledger}") == "${ledger_header}" &&
    $(tail --bytes=1 -- "${ledger}" | wc --lines) == 1 &&
    -z $(line_that_is_none)$(sort -- "${ledger}" | uniq --repeated) ]] ||
    die 2 \
      "${ledger} is empty, cut off or edited: bring it back from a back-up," \
      'or move it away and run ca/20-sign-servers.sh and' \
      "ca/30-sign-clients.sh, which write it anew; ${leaves}"
}

is_in_ledger() { # is_in_ledger CERTIFICATE
  local digest
  if [[ ! -f $1 || ! -f ${ledger} ]]; then return 1; fi
  digest=$(digest_of "$1") || return 1
  [[ $(<"${ledger}") == *" ${digest} "* ]]
}

serial_of() { # serial_of CERTIFICATE
  local serial
  serial=$(openssl x509 -in "$1" -noout -serial)
  printf '%s\n' "${serial#serial=}"
}

# Prints the line of a certificate.
ledger_line() { # ledger_line PARTY CERTIFICATE CA NAMES
  local begins ends
  local -A found
  read_certificate found "$2"
  TZ=UTC printf -v begins '%(%FT%TZ)T' "${found[begins]}"
  TZ=UTC printf -v ends '%(%FT%TZ)T' "${found[ends]}"
  printf '%s %s %s %s %s %s %s %s %s\n' "${found[serial]}" "$1" "${begins}" \
    "${ends}" "${found[sha256]}" "$(digest_of_key <<<"${found[key]}")" \
    "$(serial_of "$3")" "$4" "$(plain_text "${found[subject]}")"
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
add_to_ledger() { # add_to_ledger PARTY CERTIFICATE CA NAMES
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
