# Stops unless key, certificate and CA are here and fit together.
need_pair_here() {
  local file
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
}

check_certificate() {
  local problem
  need_pair_here
  need_one_certificate "${certificate}"
  if is_cut_off "${ca}"; then
    refuse_pair "${ca} is empty, cut off or no certificate: bring it from the" \
      "CA again; ${leaves}"
  fi
  problem=$(why_not_valid "${certificate}" "${ca}" "${purpose}")
  [[ -z ${problem} ]] ||
    refuse_pair "${certificate} is not valid here: ${problem}; ${leaves}"
  [[ $(names_of "${certificate}") == "${alternative_names}" ]] ||
    refuse_pair \
      "${certificate} is for $(names_of "${certificate}"), not for" \
      "${alternative_names}; make a new request and sign it; ${leaves}"
  has_same_key "${certificate}" "${key}" ||
    refuse_pair "${key} does not belong to ${certificate}; ${leaves}"
}

# The signing of this run may bring another certificate: --check waits for it.
refuse_pair() { # refuse_pair MESSAGE...
  if [[ ${verb} == check ]]; then die 5 "$@"; fi
  die 2 "$@"
}

# D15: requests and extension files are not needed any more.
remove_request() {
  local file
  for file in "${folder}/${request_file}" "${folder}/${extensions_file}"; do
    if [[ -e ${file} ]]; then run rm -f -- "${file}"; fi
  done
}

# ---- A renewed pair ---------------------------------------------------------

# 10-request-certificate.sh --renew makes a request in the folder renewal, with
# the same key or with a new one in there. The certificate comes back to it.

# True when a certificate has been asked for and is not here yet.
is_renewal_awaited() {
  [[ -e ${folder}/renewal/${request_file} &&
    ! -e ${folder}/renewal/${certificate_file} ]]
}

# Sets key and certificate to the renewed pair once both halves are here. A
# killed run may have moved one of them already: then it is found at its place.
choose_pair() {
  local renewed_key=${folder}/renewal/${key_file}
  local renewed_certificate=${folder}/renewal/${certificate_file} file
  need_no_links "${folder}/renewal"
  if [[ -e ${folder}/previous || -L ${folder}/previous ]]; then
    open_folder "${folder}/previous"
  fi
  for file in "${renewed_key}" "${renewed_certificate}" "${key}" \
    "${certificate}" \
    "${folder}/previous/"{"${key_file}","${certificate_file}"}{,.new}; do
    [[ ! -e ${file} || -f ${file} ]] ||
      die 2 "${file} is not a regular file; ${leaves}"
  done
  [[ -e ${renewed_key} ]] || renewed_key=${key}
  [[ -e ${renewed_certificate} ]] || renewed_certificate=${certificate}
  if [[ ! -e ${renewed_key} || ! -e ${renewed_certificate} ]]; then return; fi
  has_same_key "${renewed_certificate}" "${renewed_key}" || return 0
  key=${renewed_key}
  certificate=${renewed_certificate}
}

# The pair that was in use is kept in the folder previous, beside what somebody
# has put there. After a killed run it is still in use, and is copied again.
keep_previous_pair() {
  local file
  open_folder "${folder}/previous"
  for file in "${key_file}" "${certificate_file}"; do
    keep_copy "${folder}/${file}" "${folder}/previous/${file}.new"
    run mv -fT -- "${folder}/previous/${file}.new" "${folder}/previous/${file}"
  done
}

# The renewed pair takes its place: the certificate first, then the key.
finish_renewal() {
  local renewal=${folder}/renewal file
  local -a gone=()
  if [[ ! -d ${renewal} ]]; then return; fi
  if [[ ${certificate} == "${renewal}"/* || ${key} == "${renewal}"/* ]]; then
    for file in "${request_file}" "${extensions_file}"; do
      if [[ -e ${renewal}/${file} ]]; then run rm -f -- "${renewal}/${file}"; fi
      gone+=("${file}")
    done
  fi
  if [[ ${certificate} == "${renewal}"/* ]]; then
    keep_previous_pair
    run mv -fT -- "${certificate}" "${folder}/${certificate_file}"
    certificate=${folder}/${certificate_file}
    gone+=("${certificate_file}")
  fi
  if [[ ${key} == "${renewal}"/* ]]; then
    run mv -fT -- "${key}" "${folder}/${key_file}"
    key=${folder}/${key_file}
    gone+=("${key_file}")
  fi
  # With --check all of it is still there.
  while IFS= read -r file; do
    if [[ -n ${file} && " ${gone[*]} " != *" ${file} "* ]]; then return; fi
  done <<<"$(ls -A -- "${renewal}")"
  run rmdir -- "${renewal}"
}
