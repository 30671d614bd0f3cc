# Stops unless key, certificate and CA are here and fit together.
check_certificate() {
  local problem file
  need_access "${folder}"
  [[ -e ${key} ]] ||
    die 2 \
      "${key} is not here: run ${script%/*}/10-request-certificate.sh, or run" \
      'this as the user who did (with sudo, where that was root), or give the' \
      "--dir of that run; ${leaves}"
  for file in "${certificate}" "${ca}"; do
    [[ -e ${file} ]] ||
      die 5 \
        "${file} is not here: carry ${folder}/${request_file} to the CA, run" \
        "${signer} there, and bring ${certificate_file} and" \
        "${ca_certificate_file} back; ${leaves}"
  done
  for file in "${key}" "${certificate}" "${ca}"; do
    [[ -f ${file} ]] || die 2 "${file} is not a regular file; ${leaves}"
  done
  problem=$(why_not_valid "${certificate}" "${ca}" "${purpose}")
  [[ -z ${problem} ]] ||
    die 2 "${certificate} is not valid here: ${problem}; ${leaves}"
  [[ $(names_of "${certificate}") == "${alternative_names}" ]] ||
    die 2 \
      "${certificate} is for $(names_of "${certificate}"), not for" \
      "${alternative_names}; make a new request and sign it; ${leaves}"
  has_same_key "${certificate}" "${key}" ||
    die 2 "${key} does not belong to ${certificate}; ${leaves}"
}
