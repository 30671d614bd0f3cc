#!/usr/bin/env bash
# Checks when the certificates of one docker client end; says what to do and
# fails when one ends soon. For cron: 0 8 * * * bash 60-check-expiry.sh
#
# Reads:      ~/.docker/: ca.pem, cert.pem
# Writes:     nothing
# Restarts:   nothing
# Needs root: no
# Undo:       nothing to undo: it is read-only
# Options:    --dir DIR (not used)  --yes  --check
#             --undo [--remove-keys]  --help
# Status:     0 no certificate ends soon, 2 wrong use, 4 one does

POSIXLY_CORRECT=1 # why: begin.sh
case $0 in "${BASH_SOURCE-}") lib=$0 ;; *) lib= ;; esac
lib=$(/usr/bin/realpath -e -- "${lib:?run: bash FILE}") || exit 2
. "${lib%/*/*/*}/lib/begin.sh"

readonly script='clients/client/60-check-expiry.sh'
readonly warn_days=30

# ==== Below this line every site has the same bytes ====

. "${lib}/common.sh"
. "${lib}/change.sh"
. "${lib}/certificates.sh"
. "${lib}/expiry.sh"

# ---- This script ------------------------------------------------------------

readonly accepts=' --dir --yes --check --undo --remove-keys --help '

main() {
  parse_options "$@"
  need_openssl
  if [[ ${verb} != apply ]]; then exit 0; fi
  need_access "${HOME}/.docker/cert.pem"
  [[ -e ${HOME}/.docker/cert.pem ]] ||
    die 2 \
      "${HOME}/.docker/cert.pem is not there: run 20-configure-client.sh first"
  need_safe "${HOME}/.docker"
  check_file "${HOME}/.docker/cert.pem" \
    "bash ${script%/*}/10-request-certificate.sh --renew, then setup.sh; on a\
 site with a CA machine carry the request there"
  check_file "${HOME}/.docker/ca.pem" \
    'the CA ends: whoever runs it rolls it over, with ca/60-roll-over-ca.sh'
  if ((too_late)); then exit 4; fi
}

main "$@"
