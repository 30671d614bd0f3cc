#!/usr/bin/env bash
# Creates the certificate authority: an encrypted key and its certificate.
# An existing key is never replaced.
#
# @{manual}
# Options:    --dir DIR (~/docker-tls)  --passphrase-file FILE  --yes
#             --check  --undo [--remove-keys]  --help
# Status:     0 done, 1 failed, 2 wrong use, 3 --check found changes to make

POSIXLY_CORRECT=1 # why: begin.sh
case $0 in "${BASH_SOURCE-}") lib=$0 ;; *) lib= ;; esac
lib=$(/usr/bin/realpath -e -- "${lib:?run: bash FILE}") || exit 2
. "${lib%/*/*}/lib/begin.sh"

readonly script=@{script}
readonly ca_common_name=@{ca_common_name}
readonly ca_days=@{ca_days}
readonly ca_key_file=@{ca_key_file}
readonly ca_certificate_file=@{ca_certificate_file}
readonly ledger_file=@{ledger_file}
# D04: openssl genrsa -aes256 -out ca-private.pem 4096
readonly -a key_command=(
  #% for words in key_command
  @{words}
  #% endfor
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
