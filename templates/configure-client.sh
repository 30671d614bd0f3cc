#!/usr/bin/env bash
# Configures the docker client of the user who runs it: certificates in
# ~/.docker and a docker context for each Docker host.
#
# @{manual}
# Options:    --dir DIR (~/docker-tls)  --yes  --check
#             --undo [--remove-keys]  --help
# Status:     0 done, 1 failed, 2 wrong use, 3 --check: changes, 5 waits

POSIXLY_CORRECT=1 # why: begin.sh
case $0 in "${BASH_SOURCE-}") lib=$0 ;; *) lib= ;; esac
lib=$(/usr/bin/realpath -e -- "${lib:?run: bash FILE}") || exit 2
. "${lib%/*/*/*}/lib/begin.sh"

readonly script=@{script}
readonly alternative_names=@{alternative_names}
readonly key_file=@{key_file}
readonly certificate_file=@{certificate_file}
readonly ca_certificate_file=@{ca_certificate_file}
readonly request_file=@{request_file}
readonly extensions_file=@{extensions_file}
# Below the home folder; empty for none.
readonly shell_profile=@{shell_profile}
#% if shell_profile
. "${lib}/client_profile.sh"
#% endif
# docker context, the address of its host
readonly -a contexts=(
  #% for row in rows
  @{row.name} @{row.docker_host}
  #% endfor
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
