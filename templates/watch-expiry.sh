#!/usr/bin/env bash
# Watches the certificates of one Docker host: a systemd timer checks daily the
# certificate that dockerd shows, its CA, and clients' certificates that are
# here. The service fails when one ends soon, and its journal says what to do.
#
# @{manual}
# Options:    --dir DIR (~/docker-tls)  --now (check and say)  --yes  --check
#             --undo [--remove-keys]  --help
# Status:     0 done, 1 failed, 2 wrong use, 3 --check found changes to make,
#             4 with --now: a certificate ends soon

POSIXLY_CORRECT=1 # why: begin.sh
case $0 in "${BASH_SOURCE-}") lib=$0 ;; *) lib= ;; esac
lib=$(/usr/bin/realpath -e -- "${lib:?run: bash FILE}") || exit 2
. "${lib%/*/*/*}/lib/begin.sh"

readonly script=@{script}
readonly listen_port=@{listen_port}
# Where this script itself connects to, and the name that it expects there.
readonly probe_address=@{probe_address}
readonly probe_name=@{probe_name}
readonly tls_directory=@{tls_directory}
readonly certificate_file=@{certificate_file}
readonly ca_certificate_file=@{ca_certificate_file}
readonly -a client_folders=(
  #% for folder in client_folders
  @{folder}
  #% endfor
)
readonly client_certificate_file=@{client_certificate_file}
readonly warn_days=@{warn_days}
# What root's timer runs: this script and what it loads.
readonly -a program_files=(
  #% for file in program_files
  @{file}
  #% endfor
)
# Where the node_exporter reads its text files; empty for none.
readonly textfile_directory=@{textfile_directory}

# ==== Below this line every site has the same bytes ====

. "${lib}/common.sh"
. "${lib}/change.sh"
. "${lib}/certificates.sh"
. "${lib}/expiry.sh"
. "${lib}/watch_expiry.sh"

watch_expiry "$@"
