# Prints the names of a certificate as in an extension file.
names_of() { # names_of CERTIFICATE
  local text
  text=$(openssl x509 -in "$1" -noout -ext subjectAltName 2>/dev/null) ||
    return 1
  text=${text#*$'\n'}
  text=${text//IP Address:/IP:}
  printf '%s\n' "${text//[[:space:]]/}"
}
