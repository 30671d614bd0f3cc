#!/usr/bin/env bash
# Verifies one Docker host: its files, its daemon, and who gets an answer from
# it. Shown by handshakes, each refusal beside a client that is answered.
#
# @{manual}
# Options:    --dir DIR (~/docker-tls)  --json  --yes  --check
#             --undo [--remove-keys]  --help
# Status:     0 every control holds, 2 wrong use, 4 a control does not hold

POSIXLY_CORRECT=1 # why: begin.sh
case $0 in "${BASH_SOURCE-}") lib=$0 ;; *) lib= ;; esac
lib=$(/usr/bin/realpath -e -- "${lib:?run: bash FILE}") || exit 2
. "${lib%/*/*/*}/lib/begin.sh"

readonly script=@{script}
# mutual: TLS on both sides; server-only: without client certificates.
readonly daemon_mode=@{daemon_mode}
readonly alternative_names=@{alternative_names}
readonly drop_in=@{drop_in}
readonly tls_directory=@{tls_directory}
readonly probe_address=@{probe_address}
readonly probe_name=@{probe_name}
readonly listen=@{listen}
readonly listen_port=@{listen_port}
# The address in hexadecimal, in network byte order, as the kernel lists it.
readonly listen_hex=@{listen_hex}
readonly key_file=@{key_file}
readonly certificate_file=@{certificate_file}
readonly ca_certificate_file=@{ca_certificate_file}
readonly client_key_file=@{client_key_file}
readonly client_certificate_file=@{client_certificate_file}
readonly -a client_folders=(
  #% for folder in client_folders
  @{folder}
  #% endfor
)
readonly warn_days=@{warn_days}
readonly userns_remap=@{userns_remap}
# D16, D22: what dockerd has from 20-configure-daemon.sh, in this order.
readonly -a dockerd_words=(
  #% for words in dockerd_words
  @{words}
  #% endfor
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
