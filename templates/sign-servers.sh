#!/usr/bin/env bash
# Signs the servers' certificates. The table below is all that this CA will
# certify: names, use and lifetime come from it, never from a request.
#
# @{manual}
# Options:    --dir DIR (~/docker-tls)  --passphrase-file FILE  --yes
#             --check  --undo [--remove-keys]  --help
# Status:     0 done, 1 failed, 2 wrong use, 3 --check found changes to make,
#             5 waits for a request, 6 refused one

POSIXLY_CORRECT=1 # why: begin.sh
case $0 in "${BASH_SOURCE-}") lib=$0 ;; *) lib= ;; esac
lib=$(/usr/bin/realpath -e -- "${lib:?run: bash FILE}") || exit 2
. "${lib%/*/*}/lib/begin.sh"

readonly script=@{script}
readonly ca_key_file=@{ca_key_file}
readonly ca_certificate_file=@{ca_certificate_file}
readonly ledger_file=@{ledger_file}
readonly key_file=@{key_file}
readonly request_file=@{request_file}
readonly extensions_file=@{extensions_file}
readonly certificate_file=@{certificate_file}
# name, key type, key usage, days, subject alternative names
readonly -a table=(
  #% for row in rows
  @{row.name} @{row.key_type} @{row.key_usage} @{row.days}
  @{row.alternative_names}
  #% endfor
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
