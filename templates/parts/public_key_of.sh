public_key_of() { # public_key_of CERTIFICATE
  openssl x509 -in "$1" -noout -pubkey 2>/dev/null
}
