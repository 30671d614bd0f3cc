#!/usr/bin/env bash
# Verifies one docker client: its files, and that each of its Docker hosts
# answers it and shows a certificate of the site's CA.
#
# Reads:      ~/.docker/: ca.pem, cert.pem, key.pem
# Writes:     nothing
# Temporary:  /tmp/RANDOM/; a TLS server of an impostor, on a loopback address
# Restarts:   nothing
# Needs root: no
# Undo:       nothing to undo: it is read-only
# Options:    --dir DIR (~/docker-tls)  --json   --yes  --check
#             --undo [--remove-keys]  --help
# Status:     0 every control holds, 2 wrong use, 4 a control does not hold

POSIXLY_CORRECT=1 # why: begin.sh
case $0 in "${BASH_SOURCE-}") lib=$0 ;; *) lib= ;; esac
lib=$(/usr/bin/realpath -e -- "${lib:?run: bash FILE}") || exit 2
. "${lib%/*/*/*}/lib/begin.sh"

readonly script='clients/client/90-verify.sh'
# Below the home folder; empty for none.
readonly shell_profile=''
readonly warn_days=30
# docker context, the address of its host, name or address, port
readonly -a hosts=(
  'localhost' 'tcp://localhost:2376' 'localhost' 2376
)

# ==== Below this line every site has the same bytes ====

. "${lib}/common.sh"
. "${lib}/caller.sh"
. "${lib}/change.sh"
. "${lib}/certificates.sh"
. "${lib}/handshake.sh"
. "${lib}/explain.sh"
. "${lib}/report.sh"
. "${lib}/accounts.sh"
. "${lib}/judge.sh"
. "${lib}/impostor.sh"
. "${lib}/measure_docker.sh"
. "${lib}/plain_text.sh"
. "${lib}/verify_client.sh"

verify_docker_client "$@"
