# ---- Which CAs dockerd trusts -----------------------------------------------

readonly restart_dockerd='run: systemctl restart docker.service'

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

# Prints when dockerd was started, in hundredths of a second since 1970: the
# kernel counts them from its boot, in field 22 of proc_pid_stat(5).
daemon_start() {
  local pid text now uptime
  local -a fields
  pid=$(daemon_property MainPID)
  text=$(cat -- "/proc/${pid}/stat")
  read -r -a fields <<<"${text##*) }"
  now=$(date '+%s%2N')
  read -r uptime _ </proc/uptime
  printf '%d\n' "$((now - 10#${uptime/./} + fields[19]))"
}

# Prints what changed after dockerd had read it, at its start. A time of change
# cannot be set back; the folder's and its link's are those of a rename.
unread_change() { # unread_change FILE
  local start changed path
  start=$(daemon_start)
  while read -r changed path; do
    if ((${changed/./} >= start)); then
      printf '%s has changed since dockerd started and read it; ' "${path}"
    fi
  done < <(
    stat --format '%.2Z %n' -- "${tls_directory}"
    stat --dereference --format '%.2Z %n' -- "${tls_directory}" "$1"
  )
}

verify_authorities() {
  local file digests='' problem remedy
  local what="every CA that dockerd trusts is the site's, or announced by it"
  if [[ ${daemon_mode} == server-only ]]; then
    report CERT-5 SKIP "${what}" \
      'mode server-only: no client certificate is asked for' ''
    return
  fi
  remedy='carry ca-public.pem from the CA again; run 20-configure-daemon.sh'
  file=$(trusted_file)
  asked="the sha256 of each certificate in ${file}, in DER; stat"
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
    if [[ -z ${problem} ]]; then
      problem=$(unread_change "${file}")
      remedy=${restart_dockerd}
    fi
  fi
  judge CERT-5 "${what}" "${problem%; }" \
    "sha256 ${digests//$'\n'/, sha256 }" "${remedy}"
}
