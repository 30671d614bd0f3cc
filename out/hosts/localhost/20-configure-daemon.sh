#!/usr/bin/env bash
# Lets dockerd answer clients of this CA alone, and proves it, or puts all back.
#
# Reads:      DIR/hosts/localhost/: server-key.pem, certificate.pem,
#             ca-public.pem; /etc/docker/daemon.json
# Writes:     /etc/docker/tls; /etc/docker/tls-DIGEST/: ca-public.pem,
#             certificate.pem, server-key.pem; DIR/hosts/localhost/:
#             server-key.pem, certificate.pem; DIR/hosts/localhost/previous/:
#             server-key.pem, certificate.pem;
#             /etc/systemd/system/docker.service.d/override.conf;
#             /run/dockseal.lock
# Removes:    DIR/hosts/localhost/: request.csr, extfile.cnf;
#             DIR/hosts/localhost/renewal/: server-key.pem, certificate.pem,
#             request.csr, extfile.cnf
# Temporary:  /etc/docker/tls.previous/; /run/dockseal-confined.RANDOM/
# Restarts:   docker.service, docker.socket
# Needs root: yes
# Undo:       removes the drop-in, and what was installed, and restarts;
#             /run/dockseal.lock stays
# Options:    --dir DIR (~/docker-tls)  --yes  --check
#             --undo [--remove-keys]  --help
# Status:     0 done, 1 failed, 2 wrong use, 3 --check: changes, 5 waits

POSIXLY_CORRECT=1 # why: begin.sh
case $0 in "${BASH_SOURCE-}") lib=$0 ;; *) lib= ;; esac
lib=$(/usr/bin/realpath -e -- "${lib:?run: bash FILE}") || exit 2
. "${lib%/*/*/*}/lib/begin.sh"

readonly script='hosts/localhost/20-configure-daemon.sh'
readonly alternative_names='DNS:localhost,IP:127.0.0.1'
readonly listen='127.0.0.1:2376'
readonly listen_port=2376
# The address in hexadecimal, in network byte order, as the kernel lists it.
readonly listen_hex='7F000001'
# Where this script itself connects to, and the name that it expects there.
readonly probe_address='127.0.0.1'
readonly probe_name='localhost'
readonly tls_directory='/etc/docker/tls'
readonly drop_in='/etc/systemd/system/docker.service.d/override.conf'
readonly key_file='server-key.pem'
readonly certificate_file='certificate.pem'
readonly ca_certificate_file='ca-public.pem'
readonly request_file='request.csr'
readonly extensions_file='extfile.cnf'
readonly -a client_folders=(
  'clients/client'
)
readonly client_key_file='client-key.pem'
readonly client_certificate_file='client-certificate.pem'
readonly userns_remap=''
# D16, D22: what dockerd gets from this script, word by word and in this order.
readonly -a dockerd_words=(
  -H unix:///var/run/docker.sock
  -H tcp://127.0.0.1:2376
  --tlsverify
  --tlscacert=/etc/docker/tls/ca-public.pem
  --tlscert=/etc/docker/tls/certificate.pem
  --tlskey=/etc/docker/tls/server-key.pem
)
. "${lib}/daemon_mutual.sh"

# ==== Below this line every site has the same bytes ====

. "${lib}/common.sh"
. "${lib}/change.sh"
. "${lib}/certificates.sh"
. "${lib}/renewal.sh"
. "${lib}/handshake.sh"
. "${lib}/daemon.sh"
. "${lib}/userns.sh"
. "${lib}/daemon_unit.sh"
. "${lib}/daemon_change.sh"
. "${lib}/daemon_tls.sh"
. "${lib}/confine.sh"

# What would make dockerd refuse is looked for in the sandbox of confine.sh.
if is_confined; then
  . "${lib}/listeners.sh"
  . "${lib}/daemon_conflicts.sh"
  check_tls_conflicts "$@"
fi

configure_daemon "$@"
