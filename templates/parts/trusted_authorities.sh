# ---- Which CA certificates are to be trusted --------------------------------

# A bundle is a file of CA certificates (ca-public.pem). It holds
#   one CA, or
#   while the CA is rolled over: the old CA, the new one, and the announcement,
#   which is a certificate for the new CA's key that the old CA has signed
#   ("NewWithOld" of RFC 4210, 4.4). Nobody else can make one.
# and nothing else: no text, no other PEM block, no third CA.
#
# why_not_trusted BUNDLE INSTALLED [CERTIFICATE] prints why a bundle is refused,
#   or nothing. INSTALLED is the bundle that is trusted here now: of two CAs the
#   one that announces must be in it. Where nothing is trusted yet (INSTALLED is
#   empty, or not there) it must have signed CERTIFICATE, the party's own. With
#   BUNDLE itself as INSTALLED a bundle is judged alone, as a verification does.
#   One CA is never refused for being new: people compare its digest. Dates are
#   not judged: why_not_valid does that.
# ca_digests_of BUNDLE prints the sha256 of each CA, one a line, as people
#   compare them by voice. The announcement is no CA of its own.

readonly ca_constraints='X509v3BasicConstraints:criticalCA:TRUE,pathlen:0'
readonly ca_key_usage='X509v3KeyUsage:criticalCertificateSign,CRLSign'

# Reads a file as certificates, PEM text each, into the array certificates of
# its caller; false when openssl would not write the very same file.
read_certificates() { # read_certificates FILE; sets certificates
  local line text='' written
  certificates=()
  while IFS= read -r line || [[ -n ${line} ]]; do
    text+=${line}$'\n'
    if [[ ${line} == '-----END CERTIFICATE-----' ]]; then
      written=$(printf '%s' "${text}" | openssl x509 2>/dev/null) || return 1
      [[ ${written}$'\n' == "${text}" ]] || return 1
      certificates+=("${written}")
      text=''
    fi
  done < <(tr -d '\0' <"$1")
  ((${#certificates[@]} > 0)) &&
    cmp --quiet -- "$1" <(printf '%s\n' "${certificates[@]}")
}

# True when each certificate has the extensions of this product's CAs.
are_of_ca_profile() { # are_of_ca_profile PEM...
  local certificate text
  for certificate in "$@"; do
    text=$(openssl x509 -noout -ext basicConstraints,keyUsage \
      <<<"${certificate}" 2>/dev/null) || return 1
    [[ ${text//[[:space:]]/} == "${ca_constraints}${ca_key_usage}" ||
      ${text//[[:space:]]/} == "${ca_key_usage}${ca_constraints}" ]] ||
      return 1
  done
}

# True when CA has signed the certificate PEM; a CA has signed itself.
is_signed_by() { # is_signed_by PEM CA
  openssl verify -x509_strict -check_ss_sig -no_check_time \
    -CAfile <(printf '%s\n' "$2") <<<"$1" &>/dev/null
}

# Prints what an announcement has in common with the CA that it announces.
key_and_name_of() { # key_and_name_of PEM
  openssl x509 -noout -pubkey -subject <<<"$1"
}

# Prints the sha256 of a certificate in DER.
digest_of_pem() { # digest_of_pem PEM
  local digest
  digest=$(openssl x509 -outform DER <<<"$1" | sha256sum)
  printf '%s\n' "${digest%% *}"
}

# Sorts the certificates of a file into CAs and announcements.
sort_certificates() { # sort_certificates FILE; sets roots, announcements
  local certificate
  local -a certificates=()
  roots=()
  announcements=()
  read_certificates "$1" || return 1
  for certificate in "${certificates[@]}"; do
    if is_signed_by "${certificate}" "${certificate}"; then
      roots+=("${certificate}")
    else
      announcements+=("${certificate}")
    fi
  done
}

# Prints the CA that has announced the other one, or nothing.
announcer_of() { # announcer_of CA CA ANNOUNCEMENT
  local announced
  announced=$(key_and_name_of "$3")
  if [[ ${announced} == "$(key_and_name_of "$2")" ]] &&
    is_signed_by "$3" "$1"; then
    printf '%s\n' "$1"
  elif [[ ${announced} == "$(key_and_name_of "$1")" ]] &&
    is_signed_by "$3" "$2"; then
    printf '%s\n' "$2"
  fi
}

# Prints why two CAs are refused of which one has announced the other.
why_not_announced() { # why_not_announced ANNOUNCER INSTALLED CERTIFICATE
  local authority
  local -a roots=() announcements=()
  if [[ -f $2 ]]; then
    sort_certificates "$2" || roots=()
    for authority in "${roots[@]}"; do
      if [[ ${authority} == "$1" ]]; then return; fi
    done
  elif [[ -f $3 ]] && is_signed_by "$(cat -- "$3")" "$1"; then
    return
  fi
  printf 'it holds two CAs, and the one that announces the other is not'
  printf ' trusted here: sha256 %s\n' "$(digest_of_pem "$1")"
}

why_not_trusted() { # why_not_trusted BUNDLE INSTALLED [CERTIFICATE]
  local announcer
  local -a roots=() announcements=()
  if [[ ! -f $1 ]] ||
    (($(stat --dereference --format '%s' -- "$1") > 65536)); then
    printf 'it is not a file of 64 KiB at most\n'
  elif ! sort_certificates "$1"; then
    printf 'it holds something else than certificates as openssl writes them\n'
  elif ! are_of_ca_profile "${roots[@]}" "${announcements[@]}"; then
    printf 'it holds a certificate that is not of a CA of this kind\n'
  elif ((${#roots[@]} == 2 && ${#announcements[@]} == 1)); then
    announcer=$(announcer_of "${roots[@]}" "${announcements[@]}")
    if [[ -z ${announcer} ]]; then
      printf 'it holds two CAs, and neither has announced the other\n'
    elif [[ ! $1 -ef $2 ]]; then
      why_not_announced "${announcer}" "$2" "${3:-}"
    fi
  elif ((${#roots[@]} != 1 || ${#announcements[@]} != 0)); then
    printf 'it holds %d CAs and %d announcements; expected is one CA, or,' \
      "${#roots[@]}" "${#announcements[@]}"
    printf ' while the CA is rolled over, two and the announcement of one\n'
  fi
}

ca_digests_of() { # ca_digests_of BUNDLE
  local certificate
  local -a roots=() announcements=()
  sort_certificates "$1" || return 1
  for certificate in "${roots[@]}"; do
    digest_of_pem "${certificate}"
  done
}
