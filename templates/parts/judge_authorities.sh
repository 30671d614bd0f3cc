# ---- Which CAs dockerd trusts -----------------------------------------------

# Prints the file of the CAs that the running dockerd trusts, or nothing. Of two
# options the last one counts.
trusted_file() {
  local word before='' file=''
  while IFS= read -r word; do
    if [[ ${before} == --tlscacert ]]; then
      file=${word}
    elif [[ ${word} == --tlscacert=* ]]; then
      file=${word#*=}
    fi
    before=${word}
  done < <(running_arguments)
  printf '%s\n' "${file}"
}

# Prints the CAs of a file that are not in the site's own, where that is here:
# the host's, which the CA's machine gave it, or the CA's.
strange_authorities() { # strange_authorities FILE
  local own=${dir}/${script%/*}/${ca_certificate_file} known digest
  if [[ ! -f ${own} ]]; then own=${dir}/ca/${ca_certificate_file}; fi
  if [[ ! -f ${own} ]]; then return; fi
  known=$(ca_digests_of "${own}") || known=''
  while read -r digest; do
    if [[ $'\n'${known}$'\n' != *$'\n'"${digest}"$'\n'* ]]; then
      printf 'sha256 %s is not in %s; ' "${digest}" "${own}"
    fi
  done < <(ca_digests_of "$1")
}

verify_authorities() {
  local file digests='' problem
  local what="every CA that dockerd trusts is the site's, or announced by it"
  if [[ ${daemon_mode} == server-only ]]; then
    report CERT-5 SKIP "${what}" \
      'mode server-only: no client certificate is asked for' ''
    return
  fi
  file=$(trusted_file)
  asked="the sha256 of each certificate in ${file}, in DER"
  if [[ ! -f ${file} ]]; then
    problem="dockerd trusts no file that is there: --tlscacert=${file}"
  else
    digests=$(ca_digests_of "${file}") || digests=unreadable
    problem=$(why_not_trusted "${file}" "${file}")
    if [[ -n ${problem} ]]; then
      problem="${file}: ${problem}; sha256 ${digests//$'\n'/, sha256 }"
    else
      problem=$(strange_authorities "${file}")
    fi
  fi
  judge CERT-5 "${what}" "${problem%; }" \
    "sha256 ${digests//$'\n'/, sha256 }" \
    'carry ca-public.pem from the CA again; run 20-configure-daemon.sh'
}
