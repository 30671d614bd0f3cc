#!/usr/bin/env bash
# Runs the scripts of this machine's parties, in order: makes the CA and the
# certificates, configures dockerd and docker, and verifies the result. Nothing
# is changed before each script has found what it needs; see its own --help.
#
# Usage:      setup.sh [--as PARTY]... [OPTION]... [STEP]...
#             PARTY is ca, hosts/NAME or clients/NAME; STEP is one script
# @{manual}
# Options:    --dir DIR (~/docker-tls)  --passphrase-file FILE  --yes
#             --no-containers  --check  --undo [--remove-keys]  --help
#             --signers FILE  run what one of them has signed, or nothing
#             --exchange FOLDER  take from there what others made for this
#             machine, and leave there what they wait for
# Status:     0 done, 1 failed, 2 wrong use, 3 --check found changes to make,
#             4 a control does not hold, 5 waits for a file that has to be
#             carried here, 6 refused a request

POSIXLY_CORRECT=1 # why: begin.sh
case $0 in "${BASH_SOURCE-}") lib=$0 ;; *) lib= ;; esac
lib=$(/usr/bin/realpath -e -- "${lib:?run: bash FILE}") || exit 2
. "${lib%/*}/lib/begin.sh"

readonly script=@{script}
readonly ca_common_name=@{ca_common_name}
readonly ca_certificate=@{ca_certificate}
readonly ca_key=@{ca_key}
readonly hosts=@{hosts}
# Where a dockerd of this site finds the CA that it trusts.
readonly -a installed_authorities=(
  #% for file in installed_authorities
  @{file}
  #% endfor
)
# Party; in its folder its key, its request and its certificate; who signs it.
readonly -a party_rows=(
  #% for row in party_rows
  @{row}
  #% endfor
)
# Script, party, what steers it, and what is said of it before it runs:
#   on-demand  it runs only when it is named
#   looks      it runs even where there is nothing to change
#   needs:     passphrase, dockerd, docker-client or probe-image has to be here
#   asks:      what its changes make the operator be asked: passphrase, restart
#   awaits:    what may have to be carried here before: requests, certificate
readonly -a step_rows=(
  #% for row in step_rows
  @{row}
  #% endfor
)

# ==== Below this line every site has the same bytes ====

. "${lib}/common.sh"
. "${lib}/change.sh"
. "${lib}/passphrase.sh"
. "${lib}/setup.sh"

set_up "$@"
