#!/usr/bin/env bash
# Creates the docker networks of one host; icc false keeps containers apart.
#
# Reads:      /etc/docker/daemon.json
# Writes:     /run/dockseal.lock; network isolated
# Restarts:   nothing
# Needs root: yes
# Undo:       removes the networks that this script made, except those that
#             containers are attached to: it names them, and ends with 1;
#             /run/dockseal.lock stays
# Options:    --dir DIR (~/docker-tls)  --yes  --check
#             --undo [--remove-keys]  --help
# Status:     0 done, 1 failed, 2 wrong use, 3 --check found changes to make

POSIXLY_CORRECT=1 # why: begin.sh
case $0 in "${BASH_SOURCE-}") lib=$0 ;; *) lib= ;; esac
lib=$(/usr/bin/realpath -e -- "${lib:?run: bash FILE}") || exit 2
. "${lib%/*/*/*}/lib/begin.sh"

readonly script='hosts/localhost/30-create-networks.sh'
# Name, icc, internal, subnet ('' is docker's choice), IPv6 subnet ('' is none).
readonly -a networks=(
  'isolated' 'false' 'false' '' ''
)

# ==== Below this line every site has the same bytes ====

. "${lib}/common.sh"
. "${lib}/change.sh"
. "${lib}/daemon.sh"
. "${lib}/networks.sh"
. "${lib}/create_networks.sh"

create_networks "$@"
