#!/usr/bin/env bash
# Watches the certificates of one Docker host: a systemd timer checks daily the
# certificate that dockerd shows, its CA, and clients' certificates that are
# here. The service fails when one ends soon, and its journal says what to do.
#
# Reads:      /etc/docker/tls/: certificate.pem, ca-public.pem;
#             DIR/clients/client/client-certificate.pem; /root/.docker/cert.pem
# Writes:     /usr/local/lib/dockseal/hosts/localhost/60-watch-expiry.sh;
#             /usr/local/lib/dockseal/lib/: begin.sh, common.sh, change.sh,
#             certificates.sh, expiry.sh, watch_expiry.sh; /etc/systemd/system/:
#             dockseal-watch-expiry.service, dockseal-watch-expiry.timer;
#             /var/lib/systemd/timers/stamp-dockseal-watch-expiry.timer;
#             /run/dockseal.lock
# Temporary:  /tmp/RANDOM/
# Restarts:   nothing
# Needs root: yes
# Undo:       stops the timer and removes its files; /run/dockseal.lock stays
# Options:    --dir DIR (~/docker-tls)  --now (check and say)  --yes  --check
#             --undo [--remove-keys]  --help
# Status:     0 done, 1 failed, 2 wrong use, 3 --check found changes to make,
#             4 with --now: a certificate ends soon

POSIXLY_CORRECT=1 # why: begin.sh
case $0 in "${BASH_SOURCE-}") lib=$0 ;; *) lib= ;; esac
lib=$(/usr/bin/realpath -e -- "${lib:?run: bash FILE}") || exit 2
. "${lib%/*/*/*}/lib/begin.sh"

readonly script='hosts/localhost/60-watch-expiry.sh'
readonly listen_port=2376
# Where this script itself connects to, and the name that it expects there.
readonly probe_address='127.0.0.1'
readonly probe_name='localhost'
readonly tls_directory='/etc/docker/tls'
readonly certificate_file='certificate.pem'
readonly ca_certificate_file='ca-public.pem'
readonly -a client_folders=(
  'clients/client'
)
readonly client_certificate_file='client-certificate.pem'
readonly warn_days=30
# What root's timer runs: this script and what it loads.
readonly -a program_files=(
  'hosts/localhost/60-watch-expiry.sh'
  'lib/begin.sh'
  'lib/common.sh'
  'lib/change.sh'
  'lib/certificates.sh'
  'lib/expiry.sh'
  'lib/watch_expiry.sh'
)
# Where the node_exporter reads its text files; empty for none.
readonly textfile_directory=''

# ==== Below this line every site has the same bytes ====

. "${lib}/common.sh"
. "${lib}/change.sh"
. "${lib}/certificates.sh"
. "${lib}/expiry.sh"
. "${lib}/watch_expiry.sh"

watch_expiry "$@"
