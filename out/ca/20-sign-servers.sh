#!/usr/bin/env bash
# Signs the servers' certificates. The table below is all that this CA will
# certify: names, use and lifetime come from it, never from a request.
#
# Reads:      DIR/ca/: ca-private.pem, ca-public.pem;
#             DIR/hosts/localhost/request.csr
# Writes:     DIR/hosts/localhost/: certificate.pem, ca-public.pem;
#             DIR/hosts/localhost/renewal/certificate.pem; DIR/ca/:
#             ca-public.srl, ledger.txt, refused.txt, .lock
# Removes:    DIR/hosts/localhost/: request.csr, extfile.cnf;
#             DIR/hosts/localhost/renewal/: request.csr, extfile.cnf
# Temporary:  DIR/ca/extfile.cnf
# Restarts:   nothing
# Needs root: no
# Undo:       lists the certificates and keeps them, unless --remove-keys
# Options:    --dir DIR (~/docker-tls)  --passphrase-file FILE  --yes
#             --check  --undo [--remove-keys]  --help
# Status:     0 done, 1 failed, 2 wrong use, 3 --check found changes to make,
#             5 waits for a request, 6 refused one

POSIXLY_CORRECT=1 # why: begin.sh
case $0 in "${BASH_SOURCE-}") lib=$0 ;; *) lib= ;; esac
lib=$(/usr/bin/realpath -e -- "${lib:?run: bash FILE}") || exit 2
. "${lib%/*/*}/lib/begin.sh"

readonly script='ca/20-sign-servers.sh'
readonly ca_key_file='ca-private.pem'
readonly ca_certificate_file='ca-public.pem'
readonly ledger_file='ledger.txt'
readonly key_file='server-key.pem'
readonly request_file='request.csr'
readonly extensions_file='extfile.cnf'
readonly certificate_file='certificate.pem'
# name, key type, key usage, days, subject alternative names
readonly -a table=(
  'localhost' 'rsa:4096' 'digitalSignature, keyEncipherment' 365
  'DNS:localhost,IP:127.0.0.1'
)

# ==== Below this line every site has the same bytes ====

. "${lib}/common.sh"
. "${lib}/change.sh"
. "${lib}/certificates.sh"
. "${lib}/passphrase.sh"
. "${lib}/ledger.sh"
. "${lib}/authority.sh"
readonly party_folder=hosts purpose=sslserver extended_key_usage=serverAuth
. "${lib}/sign.sh"

sign_requests "$@"
