#!/usr/bin/env bash
# Runs the scripts of this machine's parties, in order: makes the CA and the
# certificates, configures dockerd and docker, and verifies the result. Nothing
# is changed before each script has found what it needs; see its own --help.
#
# Usage:      setup.sh [--as PARTY]... [OPTION]... [STEP]...
#             PARTY is ca, hosts/NAME or clients/NAME; STEP is one script
# Reads:      OUT/: SHA256SUMS, SHA256SUMS.sig; /etc/docker/tls/ca-public.pem;
#             FILE (--exchange)
# Writes:     DIR/: parties.txt, .lock; ~/docker-tls.link; FILE (--exchange)
# Restarts:   docker.service, docker.socket
# Needs root: where this machine is a Docker host
# Undo:       undoes the same scripts, the last one first
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

readonly script='setup.sh'
readonly ca_common_name='dockseal CA'
readonly ca_certificate='ca-public.pem'
readonly ca_key='ca/ca-private.pem'
readonly hosts=1
# Where a dockerd of this site finds the CA that it trusts.
readonly -a installed_authorities=(
  '/etc/docker/tls/ca-public.pem'
)
# Party; in its folder its key, its request and its certificate; who signs it.
readonly -a party_rows=(
  'ca ca-private.pem - - -'
  'hosts/localhost server-key.pem request.csr certificate.pem ca/20-sign-servers.sh'
  'clients/client client-key.pem client-request.csr client-certificate.pem ca/30-sign-clients.sh'
)
# Script, party, what steers it, and what is said of it before it runs:
#   on-demand  it runs only when it is named
#   looks      it runs even where there is nothing to change
#   needs:     passphrase, dockerd, docker-client or probe-image has to be here
#   asks:      what its changes make the operator be asked: passphrase, restart
#   awaits:    what may have to be carried here before: requests, certificate
readonly -a step_rows=(
  'ca/10-create-ca.sh ca needs:passphrase asks:passphrase : has changes to make'
  'hosts/localhost/10-request-certificate.sh hosts/localhost asks:passphrase : has changes to make'
  'ca/20-sign-servers.sh ca needs:passphrase asks:passphrase awaits:requests : signs what is requested'
  'clients/client/10-request-certificate.sh clients/client asks:passphrase : has changes to make'
  'ca/30-sign-clients.sh ca needs:passphrase asks:passphrase awaits:requests : signs what is requested'
  'hosts/localhost/20-configure-daemon.sh hosts/localhost needs:dockerd asks:restart awaits:certificate : has changes to make'
  'hosts/localhost/30-create-networks.sh hosts/localhost needs:dockerd : has changes to make'
  'clients/client/20-configure-client.sh clients/client awaits:certificate : has changes to make'
  'hosts/localhost/40-show-namespaces.sh hosts/localhost looks needs:dockerd needs:probe-image : shows'
  'clients/client/50-show-tls-modes.sh clients/client looks needs:docker-client : shows'
  'hosts/localhost/60-watch-expiry.sh hosts/localhost on-demand needs:dockerd : has changes to make'
  'clients/client/60-check-expiry.sh clients/client on-demand : has changes to make'
  'ca/60-roll-over-ca.sh ca on-demand needs:passphrase asks:passphrase : has changes to make'
  'ca/70-back-up-ca.sh ca on-demand needs:passphrase asks:passphrase : has changes to make'
  'ca/80-list-certificates.sh ca on-demand : has changes to make'
  'hosts/localhost/90-verify.sh hosts/localhost looks needs:dockerd : verifies'
  'hosts/localhost/91-prove-isolation.sh hosts/localhost looks needs:dockerd needs:probe-image : verifies'
  'clients/client/90-verify.sh clients/client looks : verifies'
)

# ==== Below this line every site has the same bytes ====

. "${lib}/common.sh"
. "${lib}/change.sh"
. "${lib}/passphrase.sh"
. "${lib}/setup.sh"

set_up "$@"
