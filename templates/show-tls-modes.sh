#!/usr/bin/env bash
# Shows what each of docker's TLS modes really does, measured at each Docker
# host and at an impostor, beside what the guide and docker's manual say of it.
#
# @{manual}
# Options:    --dir DIR (not used)  --json   --yes  --check
#             --undo [--remove-keys]  --help
# Status:     0 shown, 2 wrong use or no docker client

POSIXLY_CORRECT=1 # why: begin.sh
case $0 in "${BASH_SOURCE-}") lib=$0 ;; *) lib= ;; esac
lib=$(/usr/bin/realpath -e -- "${lib:?run: bash FILE}") || exit 2
. "${lib%/*/*/*}/lib/begin.sh"

readonly script=@{script}
# docker context, the address of its host, name or address, port
readonly -a hosts=(
  #% for row in rows
  @{row.name} @{row.docker_host} @{row.connect} @{row.port}
  #% endfor
)

# ==== Below this line every site has the same bytes ====

. "${lib}/common.sh"
. "${lib}/report.sh"
. "${lib}/caller.sh"
. "${lib}/impostor.sh"
. "${lib}/measure_docker.sh"
. "${lib}/modes_table.sh"

show_tls_modes "$@"
