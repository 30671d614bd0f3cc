#!/usr/bin/env bash
# Proves with packets between throwaway containers what the networks of one host
# isolate: what arrives is counted, beside an ordinary network.
#
# Reads:      DIR/probe-image.tar; /etc/docker/daemon.json
# Writes:     /run/dockseal.lock
# Temporary:  /run/dockseal-probe.RANDOM/; throwaway containers, networks and an
#             image
# Restarts:   nothing
# Needs root: yes
# Undo:       removes what a killed run left; /run/dockseal.lock stays
# Options:    --dir DIR (~/docker-tls)  --json  --yes  --check
#             --undo [--remove-keys]  --help
# Status:     0 every control holds, 2 wrong use, 4 a control does not hold

POSIXLY_CORRECT=1 # why: begin.sh
case $0 in "${BASH_SOURCE-}") lib=$0 ;; *) lib= ;; esac
lib=$(/usr/bin/realpath -e -- "${lib:?run: bash FILE}") || exit 2
. "${lib%/*/*/*}/lib/begin.sh"

readonly script='hosts/localhost/91-prove-isolation.sh'
# true: containers of the default bridge reach each other.
readonly icc='true'
readonly probe_image=''
# Name, icc, internal, subnet ('' is docker's choice), IPv6 subnet ('' is none).
readonly -a networks=(
  'isolated' 'false' 'false' '' ''
)

# ==== Below this line every site has the same bytes ====

. "${lib}/common.sh"
. "${lib}/change.sh"
. "${lib}/daemon.sh"
. "${lib}/report.sh"
. "${lib}/probe.sh"
. "${lib}/networks.sh"
. "${lib}/isolation.sh"

prove_isolation "$@"
