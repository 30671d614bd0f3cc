# Prints why openssl does not accept a certificate, or nothing.
why_not_valid() { # why_not_valid CERTIFICATE CA PURPOSE
  local text
  if text=$(openssl verify -x509_strict -purpose "$3" -CAfile "$2" "$1" \
    2>&1); then
    return
  fi
  text=${text#*lookup: }
  printf '%s\n' "${text%%$'\n'*}"
}
