#!/usr/bin/env bash
# Configures the docker client of the user who runs it: certificates in
# ~/.docker and a docker context for each Docker host.
#
# Reads:      DIR/clients/client/: client-key.pem, client-certificate.pem,
#             ca-public.pem
# Writes:     ~/.docker/: ca.pem, cert.pem, key.pem; ~/.docker/before-dockseal/:
#             record, digests, trusted.pem, key.pem, cert.pem, ca.pem;
#             ~/.docker/contexts/meta/DIGEST/meta.json;
#             ~/.docker/contexts/tls/DIGEST/docker/: ca.pem, cert.pem, key.pem;
#             DIR/clients/client/: client-key.pem, client-certificate.pem,
#             .lock; DIR/clients/client/previous/: client-key.pem,
#             client-certificate.pem
# Removes:    DIR/clients/client/: client-request.csr, extfile-client.cnf;
#             DIR/clients/client/renewal/: client-key.pem,
#             client-certificate.pem, client-request.csr, extfile-client.cnf
# Restarts:   nothing
# Needs root: no; it configures the user who runs it
# Undo:       removes all of it outside DIR, and puts back what was in ~/.docker
#             before
# Options:    --dir DIR (~/docker-tls)  --yes  --check
#             --undo [--remove-keys]  --help
# Status:     0 done, 1 failed, 2 wrong use, 3 --check: changes, 5 waits

POSIXLY_CORRECT=1 # why: begin.sh
case $0 in "${BASH_SOURCE-}") lib=$0 ;; *) lib= ;; esac
lib=$(/usr/bin/realpath -e -- "${lib:?run: bash FILE}") || exit 2
. "${lib%/*/*/*}/lib/begin.sh"

readonly script='clients/client/20-configure-client.sh'
readonly alternative_names='DNS:client'
readonly key_file='client-key.pem'
readonly certificate_file='client-certificate.pem'
readonly ca_certificate_file='ca-public.pem'
readonly request_file='client-request.csr'
readonly extensions_file='extfile-client.cnf'
# Below the home folder; empty for none.
readonly shell_profile=''
# docker context, the address of its host
readonly -a contexts=(
  'localhost' 'tcp://localhost:2376'
)

# ==== Below this line every site has the same bytes ====

. "${lib}/common.sh"
. "${lib}/change.sh"
. "${lib}/caller.sh"
. "${lib}/certificates.sh"
. "${lib}/renewal.sh"
. "${lib}/client_files.sh"
. "${lib}/client_contexts.sh"
. "${lib}/client.sh"

configure_client "$@"
