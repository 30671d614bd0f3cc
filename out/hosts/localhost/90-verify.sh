#!/usr/bin/env bash
# Verifies one Docker host: its files, its daemon, and who gets an answer from
# it. Shown by handshakes, each refusal beside a client that is answered.
#
# Reads:      /etc/docker/tls/: ca-public.pem, certificate.pem, server-key.pem;
#             /etc/systemd/system/docker.service.d/override.conf;
#             DIR/hosts/localhost/ca-public.pem; DIR/ca/ca-public.pem;
#             DIR/clients/client/: client-key.pem, client-certificate.pem
# Writes:     nothing
# Temporary:  /run/dockseal-confined.RANDOM/
# Restarts:   nothing
# Needs root: yes
# Undo:       nothing to undo: it is read-only
# Options:    --dir DIR (~/docker-tls)  --json  --yes  --check
#             --undo [--remove-keys]  --help
# Status:     0 every control holds, 2 wrong use, 4 a control does not hold

POSIXLY_CORRECT=1 # why: begin.sh
case $0 in "${BASH_SOURCE-}") lib=$0 ;; *) lib= ;; esac
lib=$(/usr/bin/realpath -e -- "${lib:?run: bash FILE}") || exit 2
. "${lib%/*/*/*}/lib/begin.sh"

readonly script='hosts/localhost/90-verify.sh'
# mutual: TLS on both sides; server-only: without client certificates.
readonly daemon_mode='mutual'
readonly alternative_names='DNS:localhost,IP:127.0.0.1'
readonly drop_in='/etc/systemd/system/docker.service.d/override.conf'
readonly tls_directory='/etc/docker/tls'
readonly probe_address='127.0.0.1'
readonly probe_name='localhost'
readonly listen='127.0.0.1:2376'
readonly listen_port=2376
# The address in hexadecimal, in network byte order, as the kernel lists it.
readonly listen_hex='7F000001'
readonly key_file='server-key.pem'
readonly certificate_file='certificate.pem'
readonly ca_certificate_file='ca-public.pem'
readonly client_key_file='client-key.pem'
readonly client_certificate_file='client-certificate.pem'
readonly -a client_folders=(
  'clients/client'
)
readonly warn_days=30
readonly userns_remap=''
# D16, D22: what dockerd has from 20-configure-daemon.sh, in this order.
readonly -a dockerd_words=(
  -H unix:///var/run/docker.sock
  -H tcp://127.0.0.1:2376
  --tlsverify
  --tlscacert=/etc/docker/tls/ca-public.pem
  --tlscert=/etc/docker/tls/certificate.pem
  --tlskey=/etc/docker/tls/server-key.pem
)

# ==== Below this line every site has the same bytes ====

. "${lib}/common.sh"
. "${lib}/confine.sh"
. "${lib}/confine_verification.sh"
. "${lib}/change.sh"
. "${lib}/certificates.sh"
. "${lib}/handshake.sh"
. "${lib}/daemon.sh"

# What follows this runs in the sandbox of confine.sh alone.
if ! is_confined; then
  begin_verification "$@"
  need_openssl
  ask_first
  ask_as_client
  run_confined
  exit 0
fi

. "${lib}/explain.sh"
. "${lib}/listeners.sh"
. "${lib}/plain_request.sh"
. "${lib}/accounts.sh"
. "${lib}/subordinate_ids.sh"
. "${lib}/report.sh"
. "${lib}/judge.sh"
. "${lib}/judge_daemon.sh"
. "${lib}/judge_words.sh"
. "${lib}/verify_host.sh"

verify_docker_host "$@"
