#!/usr/bin/env bash
# Makes the private key and the certificate signing request of one server.
# An existing key is never replaced, and it never leaves this machine.
#
# @{manual}
# Options:    --dir DIR (~/docker-tls)  --renew [--new-key]  --yes  --check
#             --undo [--remove-keys]  --help
# Status:     0 done, 1 failed, 2 wrong use, 3 --check found changes to make

POSIXLY_CORRECT=1 # why: begin.sh
case $0 in "${BASH_SOURCE-}") lib=$0 ;; *) lib= ;; esac
lib=$(/usr/bin/realpath -e -- "${lib:?run: bash FILE}") || exit 2
. "${lib%/*/*/*}/lib/begin.sh"

readonly script=@{script}
readonly name=@{name}
readonly alternative_names=@{alternative_names}
readonly key_file=@{key_file}
readonly request_file=@{request_file}
readonly certificate_file=@{certificate_file}
readonly ca_certificate_file=@{ca_certificate_file}
# D06: openssl genrsa -out server-key.pem 4096
readonly -a key_command=(
  #% for words in key_command
  @{words}
  #% endfor
)

# ==== Below this line every site has the same bytes ====

. "${lib}/common.sh"
. "${lib}/change.sh"
. "${lib}/certificates.sh"
readonly purpose=sslserver
. "${lib}/request.sh"

make_request "$@"
