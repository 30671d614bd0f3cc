#!/usr/bin/env bash
# Makes the private key and the certificate signing request of one server.
# An existing key is never replaced, and it never leaves this machine.
#
# @{manual}
# Options:    --dir DIR (~/docker-tls)  --renew [--new-key]  --yes  --check
#             --undo [--remove-keys]  --help
# Status:     0 done, 1 failed, 2 wrong use, 3 --check found changes to make
#% include "parts/guard.sh"

readonly script=@{script}
readonly name=@{name}
readonly key_type=@{key_type}
readonly alternative_names=@{alternative_names}
readonly key_file=@{key_file}
readonly request_file=@{request_file}
readonly certificate_file=@{certificate_file}
readonly ca_certificate_file=@{ca_certificate_file}

#% include "parts/common.sh"

#% include "parts/change.sh"

#% include "parts/write.sh"

#% include "parts/finish.sh"

#% include "parts/folder.sh"

#% include "parts/lock.sh"

#% include "parts/party.sh"

#% include "parts/section_certificates.sh"

#% include "parts/names_of.sh"

#% include "parts/request_settings.sh"

#% include "parts/why_not_plain.sh"

#% include "parts/public_key_of.sh"

#% include "parts/has_same_key.sh"

#% include "parts/is_good_certificate.sh"

#% include "parts/why_not_valid.sh"

#% include "parts/undo.sh"

# ---- This script ------------------------------------------------------------

accepts=' --dir --renew --new-key --yes --check --undo --remove-keys --help '
readonly accepts
readonly purpose=sslserver

#% include "parts/request.sh"
