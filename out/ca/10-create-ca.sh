#!/usr/bin/env bash
# Creates the certificate authority: an encrypted key and its certificate.
# An existing key is never replaced.
#
# Reads:      nothing
# Writes:     DIR/ca/: ca-private.pem, ca-public.pem, ledger.txt, .lock
# Restarts:   nothing
# Needs root: no
# Undo:       lists key, certificate and ca/ca-public.srl and keeps them, unless
#             --remove-keys
# Options:    --dir DIR (~/docker-tls)  --passphrase-file FILE  --yes
#             --check  --undo [--remove-keys]  --help
# Status:     0 done, 1 failed, 2 wrong use, 3 --check found changes to make

POSIXLY_CORRECT=1 # why: begin.sh
case $0 in "${BASH_SOURCE-}") lib=$0 ;; *) lib= ;; esac
lib=$(/usr/bin/realpath -e -- "${lib:?run: bash FILE}") || exit 2
. "${lib%/*/*}/lib/begin.sh"

readonly script='ca/10-create-ca.sh'
readonly ca_common_name='dockseal CA'
readonly ca_days=3650
readonly ca_key_file='ca-private.pem'
readonly ca_certificate_file='ca-public.pem'
readonly ledger_file='ledger.txt'
# D04: openssl genrsa -aes256 -out ca-private.pem 4096
readonly -a key_command=(
  openssl genrsa -aes256 -passout fd:3 -out FILE 4096
)

# ==== Below this line every site has the same bytes ====

. "${lib}/common.sh"
. "${lib}/change.sh"
. "${lib}/certificates.sh"
. "${lib}/passphrase.sh"
. "${lib}/ledger.sh"
. "${lib}/authority.sh"
. "${lib}/create_ca.sh"

create_authority "$@"
