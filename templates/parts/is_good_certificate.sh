# True when the CA issued the certificate for these names and this purpose
# (sslserver or sslclient), it follows RFC 5280, and it is valid now.
is_good_certificate() { # is_good_certificate CERTIFICATE CA NAMES PURPOSE
  [[ -f $1 && -f $2 && $(names_of "$1") == "$3" ]] &&
    openssl verify -x509_strict -purpose "$4" -CAfile "$2" "$1" &>/dev/null
}
