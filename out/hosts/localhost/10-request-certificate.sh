#!/usr/bin/env bash
# Makes the private key and the certificate signing request of one server.
# An existing key is never replaced, and it never leaves this machine.
#
# Reads:      DIR/hosts/localhost/: certificate.pem, ca-public.pem
# Writes:     DIR/hosts/localhost/: server-key.pem, request.csr, .lock;
#             DIR/hosts/localhost/renewal/: server-key.pem, request.csr
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

readonly script='hosts/localhost/10-request-certificate.sh'
readonly name='localhost'
readonly alternative_names='DNS:localhost,IP:127.0.0.1'
readonly key_file='server-key.pem'
readonly request_file='request.csr'
readonly certificate_file='certificate.pem'
readonly ca_certificate_file='ca-public.pem'
# D06: openssl genrsa -out server-key.pem 4096
readonly -a key_command=(
  openssl genrsa -out FILE 4096
)

# ==== Below this line every site has the same bytes ====

. "${lib}/common.sh"
. "${lib}/change.sh"
. "${lib}/certificates.sh"
readonly purpose=sslserver
. "${lib}/request.sh"

make_request "$@"
