# The configuration of every look at a request: the machine's openssl.cnf has no
# say in it.
request_settings() {
  printf '%s\n' '[req]' 'distinguished_name = subject' '[subject]'
}

key_of_request() { # key_of_request REQUEST
  openssl req -in "$1" -noout -pubkey -config <(request_settings)
}
