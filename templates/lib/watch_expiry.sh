# ---- The check --------------------------------------------------------------

# Where 20-configure-client.sh installs root's own client.
readonly root_folder=/root/.docker
readonly accepts=' --dir --now --yes --check --undo --remove-keys --help '
readonly how_to_renew="bash ${script%/*}/10-request-certificate.sh --renew,\
 then setup.sh; on a site with a CA machine carry the request there"

readonly make_it_roots="chown root ${textfile_directory};\
 chmod go-w ${textfile_directory}"

# The certificate that dockerd shows may be older than the one installed: it is
# read at start only.
check_served() {
  local address=${probe_address} served=${scratch}/served.pem
  local installed=${tls_directory}/${certificate_file}
  if [[ ${address} == *:* ]]; then address="[${address}]"; fi
  timeout --foreground 10 openssl s_client \
    -connect "${address}:${listen_port}" -servername "${probe_name}" </dev/null 2>/dev/null |
    openssl x509 -out "${served}" 2>/dev/null || true
  if [[ ! -s ${served} ]]; then
    report_bad "dockerd shows no certificate on ${address}:${listen_port}" \
      'systemctl status docker.service'
    return
  fi
  check_life "${served}" "shown on ${address}:${listen_port}" "${how_to_renew}"
  if [[ -f ${installed} ]] &&
    ! is_same_certificate "${served}" "${installed}"; then
    too_late=1
    printf '             do: %s\n' \
      "dockerd shows another certificate than ${installed}: run" \
      'systemctl restart docker.service'
  fi
}

is_same_certificate() { # is_same_certificate CERTIFICATE CERTIFICATE
  [[ $(openssl x509 -in "$1") == "$(openssl x509 -in "$2")" ]]
}

# Prints why others could make names in a folder, or nothing. The node_exporter
# only reads it.
why_not_roots() { # why_not_roots FOLDER
  local owner mode
  read -r owner mode < <(stat --dereference --format '%u %a' -- "$1")
  if ((owner != 0)) || (((8#${mode} & 8#022) != 0)); then
    printf 'others can write to %s' "${textfile_directory}"
  fi
}

print_metrics() {
  local number metric=dockseal_certificate_not_after_seconds
  printf '# HELP %s Unix time at which the certificate ends.\n' "${metric}"
  printf '# TYPE %s gauge\n' "${metric}"
  for ((number = 0; number < ${#found[@]}; number += 2)); do
    printf '%s{certificate="%s"} %d\n' "${metric}" "${found[@]:number:2}"
  done
}

# Whole or not at all. It is written in the very folder that was looked at: only
# root can make a name there, whoever may replace the folders above it.
write_textfile() {
  local file=dockseal.prom problem
  if [[ -z ${textfile_directory} ]]; then return; fi
  if ! cd -P -- "${textfile_directory}" 2>/dev/null; then
    report_bad "there is no folder ${textfile_directory}" 'make it'
    return
  fi
  problem=$(why_not_roots .)
  if [[ -n ${problem} ]]; then
    report_bad "${problem}" "${make_it_roots}"
    return
  fi
  rm -f -- "${file}.new"
  set -o noclobber
  print_metrics >"${file}.new"
  set +o noclobber
  chmod -- 0644 "${file}.new"
  mv -fT -- "${file}.new" "${file}"
}

check_now() {
  local folder
  scratch=$(mktemp -d)
  trap 'rm -rf -- "${scratch}"' EXIT
  check_served
  check_file "${tls_directory}/${ca_certificate_file}" \
    'the CA ends: roll it over, with ca/60-roll-over-ca.sh'
  for folder in "${client_folders[@]}"; do
    check_file "${dir}/${folder}/${client_certificate_file}" \
      "bash ${folder}/10-request-certificate.sh --renew, then setup.sh"
  done
  check_file "${root_folder}/cert.pem" \
    'clients/NAME/10-request-certificate.sh --renew, then setup.sh'
  write_textfile
  if ((too_late)); then exit 4; fi
  exit 0
}

# ---- The timer --------------------------------------------------------------

readonly home=/usr/local/lib/dockseal
readonly program=${home}/${script}
readonly -a program_folders=("${home}" "${home}/lib" "${home}/hosts"
  "${program%/*}")
readonly unit=dockseal-watch-expiry
readonly units=/etc/systemd/system

# The service reads certificates, connects to dockerd alone, and writes nothing
# but dockseal.prom: systemd takes from it what it does not need for that.
service_text() {
  printf '%s\n' "# Written by dockseal ${script}; --undo removes it." \
    '[Unit]' 'Description=Check when the certificates of dockerd end' \
    'After=docker.service' '' '[Service]' 'Type=oneshot' \
    "ExecStart=$(command -v bash) ${program} --now --dir ${dir}" \
    'TimeoutStartSec=2min' 'UMask=0077' 'NoNewPrivileges=yes' \
    'CapabilityBoundingSet=' 'ProtectSystem=strict'
  if [[ -n ${textfile_directory} ]]; then
    printf 'ReadWritePaths=-%s\n' "${textfile_directory}"
  fi
  printf '%s\n' 'ProtectHome=read-only' 'PrivateTmp=yes' 'PrivateDevices=yes' \
    'ProtectClock=yes' 'ProtectControlGroups=yes' 'ProtectHostname=yes' \
    'ProtectKernelLogs=yes' 'ProtectKernelModules=yes' \
    'ProtectKernelTunables=yes' 'ProtectProc=invisible' 'ProcSubset=pid' \
    'RestrictAddressFamilies=AF_INET AF_INET6' 'IPAddressDeny=any' \
    "IPAddressAllow=${probe_address}" 'RestrictNamespaces=yes' \
    'RestrictRealtime=yes' 'RestrictSUIDSGID=yes' 'LockPersonality=yes' \
    'MemoryDenyWriteExecute=yes' 'SystemCallArchitectures=native' \
    'SystemCallFilter=@system-service' 'SystemCallFilter=~@privileged'
}

timer_text() {
  printf '%s\n' "# Written by dockseal ${script}; --undo removes it." \
    '[Unit]' 'Description=Check daily when the certificates of dockerd end' \
    '' '[Timer]' 'OnCalendar=daily' 'Persistent=true' \
    'RandomizedDelaySec=1h' '' '[Install]' 'WantedBy=timers.target'
}

# The very files that were reviewed: their digests are in the manifest.
install_program() {
  local file here
  here=$(realpath -- "$0")
  for file in "${program_folders[@]}"; do
    if [[ ! -d ${file} ]]; then run mkdir -m 0755 -- "${file}"; fi
  done
  for file in "${program_files[@]}"; do
    install_copy "${here%/"${script}"}/${file}" "${home}/${file}" 644
  done
}

is_ours() { # is_ours FILE
  [[ ! -e $1 || $(<"$1") == *"dockseal ${script};"* ||
  $(<"$1") == *"readonly script='${script}'"* ]]
}

refuse_others_files() {
  local file
  for file in "${program}" "${units}/${unit}".{service,timer}; do
    is_ours "${file}" ||
      die 2 "${file} is there and not of this script; move it away; ${leaves}"
  done
}

# What the service could not read, or not write to; where somebody else could
# change what it runs.
check_folders() {
  local problem='' folder
  for folder in "${home%/*}" "${program_folders[@]}"; do
    if [[ ! -e ${folder} ]]; then continue; fi
    problem=$(why_unsafe "${folder}")
    [[ -z ${problem} ]] ||
      die 2 "${problem%; take another one}; root alone may change what the" \
        "service runs; ${leaves}"
  done
  # systemd gives these another meaning.
  [[ ${dir} =~ ^[A-Za-z0-9/._@+-]+$ ]] ||
    die 2 "${dir} has characters that a systemd unit cannot hold: give another"
  [[ ! ${dir}/ =~ ^(/var)?/tmp/ ]] ||
    die 2 "${dir} does not last, and the service has its own /tmp: give another"
  if [[ -n ${textfile_directory} && -d ${textfile_directory} ]]; then
    problem=$(why_not_roots "${textfile_directory}")
  fi
  [[ -z ${problem} ]] || die 2 "${problem}; run: ${make_it_roots}; ${leaves}"
}

start_watching() {
  check_folders
  refuse_others_files
  install_program
  write_file "${units}/${unit}.service" 0644 "$(service_text)"
  write_file "${units}/${unit}.timer" 0644 "$(timer_text)"
  if ((changed)) || ! systemctl --quiet is-active "${unit}.timer"; then
    run systemctl daemon-reload
    run systemctl enable --now "${unit}.timer"
    run systemctl restart "${unit}.timer"
  fi
  finish
}

# Prints what this script leaves, and what of it an interrupted run leaves.
files_left() {
  local file
  printf '%s\n' "${units}/${unit}".{timer,service}{,.new} \
    "/var/lib/systemd/timers/stamp-${unit}.timer"
  for file in "${program_files[@]}"; do
    printf '%s\n' "${home}/${file}"{,.new}
  done
  if [[ -n ${textfile_directory} ]]; then
    printf '%s\n' "${textfile_directory}/dockseal.prom"{,.new}
  fi
}

# What somebody else has put there stays, and its folder with it.
remove_program_folder() { # remove_program_folder FOLDER
  local text
  if [[ ! -d $1 ]]; then return; fi
  text=$(ls -A -- "$1")
  if [[ -z ${text} ]]; then
    run rmdir -- "$1"
  else
    note "kept: $1, which holds ${text//$'\n'/, }"
  fi
}

stop_watching() {
  local file
  refuse_others_files
  if [[ -e ${units}/${unit}.timer ]]; then
    run systemctl disable --now "${unit}.timer"
  fi
  while read -r file; do
    if [[ -e ${file} || -L ${file} ]]; then run rm -f -- "${file}"; fi
  done < <(files_left)
  while read -r file; do
    remove_program_folder "${file}"
  done < <(printf '%s\n' "${program_folders[@]}" | sort --reverse)
  if ((changed)); then run systemctl daemon-reload; fi
  if systemctl --quiet is-failed "${unit}.service"; then
    run systemctl reset-failed "${unit}.service"
  fi
  finish
}

watch_expiry() {
  parse_options "$@"
  need_openssl
  ((EUID == 0)) || die 2 'this needs root: run it with sudo'
  if ((now)) && [[ ${verb} != apply ]]; then
    die 2 "--now does not go with --${verb}"
  fi
  if [[ ${verb} != undo ]]; then
    need_safe_folders
    if [[ -d ${root_folder} ]]; then need_safe "${root_folder}"; fi
  fi
  if ((now)); then check_now; fi
  [[ -d /run/systemd/system ]] || die 2 "systemd is needed; ${leaves}"
  if [[ ${verb} != check ]]; then lock /run/dockseal.lock; fi
  if [[ ${verb} == undo ]]; then stop_watching; else start_watching; fi
}
