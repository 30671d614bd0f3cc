has_same_key() { # has_same_key CERTIFICATE KEY
  [[ $(public_key_of "$1") == "$(openssl pkey -in "$2" -pubout)" ]]
} 2>/dev/null
