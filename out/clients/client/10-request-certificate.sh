#!/usr/bin/env bash
# Makes the private key and the certificate signing request of one client.
# An existing key is never replaced, and it never leaves this machine.
#
# Reads:      DIR/clients/client/: client-certificate.pem, ca-public.pem
# Writes:     DIR/clients/client/: client-key.pem, client-request.csr, .lock;
#             DIR/clients/client/renewal/: client-key.pem, client-request.csr
# Restarts:   nothing
# Needs root: no
# Undo:       removes the requests; lists the keys and keeps them, unless
#             --remove-keys
# Options:    --dir DIR (~/docker-tls)  --renew [--new-key]  --yes  --check
#             --undo [--remove-keys]  --help
# Status:     0 done, 1 failed, 2 wrong use, 3 --check found changes to make

POSIXLY_CORRECT=1 # why: begin.sh
case $0 in "${BASH_SOURCE-}") lib=$0 ;; *) lib= ;; esac
lib=$(/usr/bin/realpath -e -- "${lib:?run: bash FILE}") || exit 2
. "${lib%/*/*/*}/lib/begin.sh"

readonly script='clients/client/10-request-certificate.sh'
readonly name='client'
readonly alternative_names='DNS:client'
readonly key_file='client-key.pem'
readonly request_file='client-request.csr'
readonly certificate_file='client-certificate.pem'
readonly ca_certificate_file='ca-public.pem'
# D11: openssl genrsa -out client-key.pem 4096
readonly -a key_command=(
  openssl genrsa -out FILE 4096
)

# ==== Below this line every site has the same bytes ====

. "${lib}/common.sh"
. "${lib}/change.sh"
. "${lib}/certificates.sh"
readonly purpose=sslclient
. "${lib}/request.sh"

make_request "$@"
