#!/usr/bin/env bash
# Shows what each of docker's TLS modes really does, measured at each Docker
# host and at an impostor, beside what the guide and docker's manual say of it.
#
# Reads:      ~/.docker/: ca.pem, cert.pem, key.pem
# Writes:     nothing
# Temporary:  /tmp/RANDOM/; a TLS server of an impostor, on a loopback address
# Restarts:   nothing
# Needs root: no
# Undo:       nothing to undo: it is read-only
# Options:    --dir DIR (not used)  --json   --yes  --check
#             --undo [--remove-keys]  --help
# Status:     0 shown, 2 wrong use or no docker client

POSIXLY_CORRECT=1 # why: begin.sh
case $0 in "${BASH_SOURCE-}") lib=$0 ;; *) lib= ;; esac
lib=$(/usr/bin/realpath -e -- "${lib:?run: bash FILE}") || exit 2
. "${lib%/*/*/*}/lib/begin.sh"

readonly script='clients/client/50-show-tls-modes.sh'
# docker context, the address of its host, name or address, port
readonly -a hosts=(
  'localhost' 'tcp://localhost:2376' 'localhost' 2376
)

# ==== Below this line every site has the same bytes ====

. "${lib}/common.sh"
. "${lib}/report.sh"
. "${lib}/caller.sh"
. "${lib}/impostor.sh"
. "${lib}/measure_docker.sh"
. "${lib}/modes_table.sh"

show_tls_modes "$@"
