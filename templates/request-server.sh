#!/usr/bin/env bash
# Makes the private key and the certificate signing request of one server.
# An existing key is never replaced, and it never leaves this machine.
#
# @{manual}
# Options:    --dir DIR (~/docker-tls)  --renew [--new-key]  --yes  --check
#             --undo [--remove-keys]  --help
# Status:     0 done, 1 failed, 2 wrong use, 3 --check found changes to make

# In POSIX mode no exported function takes the place of `.`.
POSIXLY_CORRECT=1
lib=$(/usr/bin/dirname -- "$0")/@{library}
. "${lib}/begin.sh"

readonly script=@{script}
readonly name=@{name}
readonly key_type=@{key_type}
readonly alternative_names=@{alternative_names}
readonly key_file=@{key_file}
readonly request_file=@{request_file}
readonly certificate_file=@{certificate_file}
readonly ca_certificate_file=@{ca_certificate_file}

# ==== Below this line every site has the same bytes ==========================

. "${lib}/common.sh"
. "${lib}/change.sh"
. "${lib}/certificates.sh"

# ---- This script ------------------------------------------------------------

accepts=' --dir --renew --new-key --yes --check --undo --remove-keys --help '
readonly accepts
readonly purpose=sslserver

. "${lib}/request.sh"

make_request "$@"
