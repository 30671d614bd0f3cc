# Prints the version and the extensions of a certificate, sorted, one a line, in
# small letters without blanks; of a key identifier only that it is there.
extensions_of() { # extensions_of CERTIFICATE
  local line text=''
  while IFS= read -r line; do
    if [[ ${line} =~ ^\ {0,12}[^\ ] ]]; then text+=$'\n'; fi
    text+=${line//[[:space:]]/}
    if [[ ${text} =~ KeyIdentifier:[^$'\n']*$ ]]; then
      text=${text%KeyIdentifier:*}KeyIdentifier:
    fi
  done < <(openssl x509 -in "$1" -noout -text \
    -certopt no_header,no_serial,no_signame,no_validity,no_subject,no_issuer \
    -certopt no_pubkey,no_sigdump,no_aux)
  sort <<<"${text,,}"
}

# Prints the same of a certificate as this CA makes it.
expected_extensions() { # expected_extensions NAMES PURPOSE KEY_USAGE
  local text use=server
  if [[ $2 == sslclient ]]; then use=client; fi
  printf -v text '%s\n' 'Version:3(0x2)' 'X509v3extensions:' \
    "X509v3SubjectAlternativeName:${1//IP:/IPAddress:}" \
    "X509v3ExtendedKeyUsage:TLSWeb${use}Authentication" \
    'X509v3BasicConstraints:criticalCA:FALSE' \
    "X509v3KeyUsage:critical${3// /}" \
    'X509v3SubjectKeyIdentifier:' 'X509v3AuthorityKeyIdentifier:'
  sort <<<"${text,,}"
}

# True when a certificate has these names, is for this purpose, and has nothing
# else in it. RSA keys of earlier versions have no keyEncipherment.
is_of_profile() { # is_of_profile CERTIFICATE NAMES PURPOSE
  local found use
  found=$(extensions_of "$1") || return 1
  for use in digitalSignature 'digitalSignature, keyEncipherment'; do
    if [[ ${found} == "$(expected_extensions "$2" "$3" "${use}")" ]]; then
      return
    fi
  done
  return 1
}

# True when the CA issued the certificate for these names and this purpose
# (sslserver or sslclient) and nothing else, and it is valid now.
is_good_certificate() { # is_good_certificate CERTIFICATE CA NAMES PURPOSE
  [[ -f $1 && -f $2 ]] && (($(stat --format '%s' -- "$1") <= 65536)) &&
    openssl verify -x509_strict -purpose "$4" -CAfile "$2" "$1" &>/dev/null &&
    is_of_profile "$1" "$3" "$4"
}
