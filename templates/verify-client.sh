#!/usr/bin/env bash
# Verifies one docker client: its files, and that each of its Docker hosts
# answers it and shows a certificate of the site's CA.
#
# @{manual}
# Options:    --dir DIR (~/docker-tls)  --json   --yes  --check
#             --undo [--remove-keys]  --help
# Status:     0 every control holds, 2 wrong use, 4 a control does not hold

POSIXLY_CORRECT=1 # why: begin.sh
case $0 in "${BASH_SOURCE-}") lib=$0 ;; *) lib= ;; esac
lib=$(/usr/bin/realpath -e -- "${lib:?run: bash FILE}") || exit 2
. "${lib%/*/*/*}/lib/begin.sh"

readonly script=@{script}
# Below the home folder; empty for none.
readonly shell_profile=@{shell_profile}
readonly warn_days=@{warn_days}
# docker context, the address of its host, name or address, port
readonly -a hosts=(
  #% for row in rows
  @{row.name} @{row.docker_host} @{row.connect} @{row.port}
  #% endfor
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
