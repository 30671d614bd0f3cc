#!/usr/bin/env bash
#% if is_mutual
# Lets dockerd answer clients of this CA alone, and proves it, or puts all back.
#% endif
#% if is_server_only
# Lets dockerd show a certificate and answer everyone; proves it, or puts back
# what was there.
#% endif
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
readonly listen=@{listen}
readonly listen_port=@{listen_port}
# The address in hexadecimal, in network byte order, as the kernel lists it.
readonly listen_hex=@{listen_hex}
# Where this script itself connects to, and the name that it expects there.
readonly probe_address=@{probe_address}
readonly probe_name=@{probe_name}
readonly tls_directory=@{tls_directory}
readonly drop_in=@{drop_in}
readonly key_file=@{key_file}
readonly certificate_file=@{certificate_file}
readonly ca_certificate_file=@{ca_certificate_file}
readonly request_file=@{request_file}
readonly extensions_file=@{extensions_file}
readonly -a client_folders=(
  #% for folder in client_folders
  @{folder}
  #% endfor
)
readonly client_key_file=@{client_key_file}
readonly client_certificate_file=@{client_certificate_file}
readonly userns_remap=@{userns_remap}
# D16, D22: what dockerd gets from this script, word by word and in this order.
readonly -a dockerd_words=(
  #% for words in dockerd_words
  @{words}
  #% endfor
)
#% if is_mutual
. "${lib}/daemon_mutual.sh"
#% endif
#% if is_server_only
. "${lib}/plain_request.sh"
. "${lib}/daemon_server_only.sh"
#% endif
#% if userns_remap
. "${lib}/userns_on.sh"
. "${lib}/accounts.sh"
. "${lib}/subordinate_ids.sh"
. "${lib}/remap_ids.sh"
#% endif

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
