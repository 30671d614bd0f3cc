#!/usr/bin/env bash
# Runs the scripts of this machine's parties, in order: makes the CA and the
# certificates, configures dockerd and docker, and verifies the result.
# Nothing is changed before every script has found what it needs. What each one
# reads and writes stands in its own --help.
#
# Usage:      setup.sh [--as PARTY]... [OPTION]... [STEP]...
#             PARTY is ca, hosts/NAME or clients/NAME; STEP is one script
# Reads:      OUT/SHA256SUMS; /etc/docker/tls/ca-public.pem
# Writes:     DIR/: parties.txt, .lock
# Restarts:   docker.service, docker.socket
# Needs root: where this machine is a Docker host
# Undo:       undoes the same scripts, the last one first
# Options:    --dir DIR (~/docker-tls)  --passphrase-file FILE  --yes
#             --no-containers  --check  --undo [--remove-keys]  --help
# Status:     0 done, 1 failed, 2 wrong use, 3 --check found changes to make,
#             4 a control does not hold, 5 waits for a file that has to be
#             carried here, 6 refused a request

# In POSIX mode no exported function takes the place of `.`.
POSIXLY_CORRECT=1
lib=$(/usr/bin/dirname -- "$0")/'lib'
. "${lib}/begin.sh"

readonly script='setup.sh'
readonly ca_common_name='dockseal CA'
readonly ca_key_file='ca-private.pem'
readonly server_key_file='server-key.pem'
readonly server_request_file='request.csr'
readonly server_certificate_file='certificate.pem'
readonly client_key_file='client-key.pem'
readonly client_request_file='client-request.csr'
readonly client_certificate_file='client-certificate.pem'
readonly ca_certificate_file='ca-public.pem'
# Where a dockerd of this site finds the CA that it trusts.
readonly -a installed_authorities=(
  '/etc/docker/tls/ca-public.pem'
)
readonly -a parties=(
  'ca'
  'hosts/localhost'
  'clients/client'
)
# script, party, what it needs, when it runs: always, or on-demand
readonly -a steps=(
  'ca/10-create-ca.sh' 'ca' 'passphrase' 'always'
  'hosts/localhost/10-request-certificate.sh' 'hosts/localhost' 'nothing' 'always'
  'ca/20-sign-servers.sh' 'ca' 'passphrase' 'always'
  'clients/client/10-request-certificate.sh' 'clients/client' 'nothing' 'always'
  'ca/30-sign-clients.sh' 'ca' 'passphrase' 'always'
  'hosts/localhost/20-configure-daemon.sh' 'hosts/localhost' 'dockerd' 'always'
  'hosts/localhost/30-create-networks.sh' 'hosts/localhost' 'dockerd' 'always'
  'clients/client/20-configure-client.sh' 'clients/client' 'nothing' 'always'
  'hosts/localhost/40-show-namespaces.sh' 'hosts/localhost' 'probe-image' 'always'
  'hosts/localhost/60-watch-expiry.sh' 'hosts/localhost' 'dockerd' 'on-demand'
  'clients/client/60-check-expiry.sh' 'clients/client' 'nothing' 'on-demand'
  'ca/60-roll-over-ca.sh' 'ca' 'passphrase' 'on-demand'
  'ca/70-back-up-ca.sh' 'ca' 'passphrase' 'on-demand'
  'ca/80-list-certificates.sh' 'ca' 'nothing' 'on-demand'
  'hosts/localhost/90-verify.sh' 'hosts/localhost' 'dockerd' 'always'
  'clients/client/90-verify.sh' 'clients/client' 'nothing' 'always'
)

# ==== Below this line every site has the same bytes ==========================

. "${lib}/common.sh"
. "${lib}/change.sh"
. "${lib}/passphrase.sh"

# ---- Which scripts run on this machine --------------------------------------

accepts=' --dir --passphrase-file --yes --no-containers --check --undo '
accepts+='--remove-keys --help '
readonly accepts

is_party() { # is_party NAME
  local party
  for party in "${parties[@]}"; do
    if [[ ${party} == "$1" ]]; then return; fi
  done
  return 1
}

# Splits the arguments: named and wanted are this script's own, options are
# the shared ones.
read_arguments() { # read_arguments ARGUMENT...
  while (($# > 0)); do
    case $1 in
      --as)
        is_party "${2:-}" || die 2 "--as needs one of: ${parties[*]}"
        named+=("$2")
        shift
        ;;
      --dir | --passphrase-file)
        if [[ $1 == --dir ]]; then default_folder=0; fi
        options+=("$1" ${2+"$2"})
        if (($# > 1)); then shift; fi
        ;;
      -*) options+=("$1") ;;
      *) wanted+=("${1#"${home}"/}") ;;
    esac
    shift
  done
}

# Prints the parties of this machine: those whose private key is in the working
# folder, and those that --as has named before.
parties_here() {
  local file
  for file in "${dir}/ca/${ca_key_file}" \
    "${dir}"/hosts/*/"${server_key_file}" \
    "${dir}"/clients/*/"${client_key_file}"; do
    if [[ -e ${file} ]]; then
      file=${file#"${dir}"/}
      printf '%s\n' "${file%/*}"
    fi
  done
  if [[ -f ${named_parties} ]]; then cat -- "${named_parties}"; fi
}

# True when a folder holds what was carried here from another machine: a request
# or a certificate, but not the key.
is_carried() { # is_carried FOLDER KEY REQUEST CERTIFICATE
  [[ ! -e $1/$2 && (-e $1/$3 || -e $1/$4) ]]
}

# True when nothing says that the site has more machines than this one.
is_only_machine() {
  local folder
  if [[ -e ${named_parties} ]]; then return 1; fi
  for folder in "${dir}"/hosts/*; do
    if is_carried "${folder}" "${server_key_file}" "${server_request_file}" \
      "${server_certificate_file}"; then
      return 1
    fi
  done
  for folder in "${dir}"/clients/*; do
    if is_carried "${folder}" "${client_key_file}" "${client_request_file}" \
      "${client_certificate_file}"; then
      return 1
    fi
  done
  [[ ${#roles[@]} == 0 || -e ${dir}/ca/${ca_key_file} ]]
}

# Without --as: the parties that this machine has; every party where it may be
# the site's only machine.
choose_roles() {
  local party hosts=0
  roles=("${named[@]}")
  if ((${#named[@]} || ${#wanted[@]})); then return; fi
  while IFS= read -r party; do
    if is_party "${party}"; then roles+=("${party}"); fi
  done < <(parties_here)
  for party in "${parties[@]}"; do
    if [[ ${party} == hosts/* ]]; then hosts=$((hosts + 1)); fi
  done
  if ((hosts == 1)) && is_only_machine; then roles=("${parties[@]}"); fi
  ((${#roles[@]})) ||
    die 2 \
      "this site has ${hosts} Docker hosts: say which party this machine is" \
      "with --as: ${parties[*]}"
}

# A Docker host has dockerd where every script looks for it.
need_dockerd() {
  local role
  if command -v dockerd >/dev/null || [[ ${verb} == undo ]]; then return; fi
  for role in "${roles[@]}"; do
    [[ ${role} != hosts/* ]] ||
      die 2 \
        "this machine is to be ${role}, and there is no dockerd in ${PATH}." \
        'These scripts configure a dockerd that systemd runs, and no snap or' \
        'rootless one. If the Docker host is another machine, say with --as' \
        "which party this one is: ${parties[*]}"
  done
}

# Nobody would trust a second CA for the same site. Stops where the default
# folder has none and another run has made one.
check_for_other_ca() {
  local file subject
  if ((! default_folder)) || [[ " ${chosen[*]}" != *' ca/'* ]] ||
    [[ -e ${dir}/ca/${ca_key_file} || ${verb} == undo ]]; then
    return
  fi
  for file in "${PWD}" "${home%/*}"; do
    [[ ! -e ${file}/docker-tls/ca/${ca_key_file} ]] ||
      die 2 \
        "there is a CA in ${file}/docker-tls, and none in ${dir}: give --dir" \
        "${file}/docker-tls, or move that folder to ${dir}"
  done
  for file in "${installed_authorities[@]}"; do
    [[ -r ${file} ]] || continue
    subject=$(openssl x509 -in "${file}" -noout -subject -nameopt RFC2253)
    [[ ${subject} != "subject=CN=${ca_common_name}" ]] ||
      die 2 \
        "dockerd here trusts a CA of this name already (${file}), and its key" \
        "is not in ${dir}: run this as the user who made it (with sudo, where" \
        'that was root), or give the --dir of that run'
  done
}

is_chosen() { # is_chosen STEP PARTY
  local item
  if ((${#wanted[@]})); then
    for item in "${wanted[@]}"; do
      if [[ ${item} == "$1" ]]; then return; fi
    done
    return 1
  fi
  for item in "${roles[@]}"; do
    if [[ ${item} == "$2" ]]; then return; fi
  done
  return 1
}

is_step() { # is_step STEP
  local row
  for ((row = 0; row < ${#steps[@]}; row += 4)); do
    if [[ ${steps[row]} == "$1" ]]; then return; fi
  done
  return 1
}

choose_steps() {
  local row item
  for item in "${wanted[@]}"; do
    is_step "${item}" || die 2 "there is no script ${item} in this site"
  done
  for ((row = 0; row < ${#steps[@]}; row += 4)); do
    is_chosen "${steps[row]}" "${steps[row + 1]}" || continue
    # --undo is for what was done on demand too.
    if [[ ${steps[row + 3]} == on-demand && ${verb} != undo ]] &&
      ((! ${#wanted[@]})); then
      continue
    fi
    if [[ ${steps[row + 2]} == probe-image ]] && ((! containers)); then
      continue
    elif [[ ${steps[row + 2]} =~ ^(dockerd|probe-image)$ ]] &&
      ! command -v dockerd >/dev/null && ((! ${#wanted[@]})); then
      elsewhere+=("${steps[row]}")
    elif [[ ${steps[row]} == clients/*/90-verify.sh ]] &&
      ((${#elsewhere[@]} && ! ${#wanted[@]})); then
      elsewhere+=("${steps[row]}")
    else
      chosen+=("${steps[row]}")
    fi
  done
}

# ---- Before the first change ------------------------------------------------

# A sum that is missing, damaged or cut off would let a changed file through:
# what runs, and what tells how to review it, must be listed.
check_sums() {
  local text line
  local -A listed=()
  text=$(
    cd -- "${home}"
    sha256sum --check --strict --quiet SHA256SUMS 2>&1
  ) ||
    die 2 "these files are not what was rendered:
${text}
Nothing was changed. Render them again, or find out who changed them."
  while IFS= read -r line; do
    listed[" ${line}"]=1
  done <"${home}/SHA256SUMS"
  while IFS= read -r line; do
    [[ -n ${listed[" ${line}"]:-} ]] ||
      die 2 \
        "SHA256SUMS has no line for ${line#*  }: it was cut off or changed." \
        'Nothing was changed. Render the scripts again, or find out who' \
        'changed it.'
  done < <(cd -- "${home}" && sha256sum -- setup.sh README.md lib/*.sh \
    "${chosen[@]}")
}

# With docker's variables as this script was given them: a verification looks at
# what they would make docker do.
run_step() { # run_step STEP OPTION...
  env "${caller_variables[@]}" /bin/bash -p "${home}/$1" --dir "${dir}" "${@:2}"
}

# Nothing depends on the demonstration: a machine without an image for its
# containers is set up all the same.
may_be_left_out() { # may_be_left_out STEP STATUS
  [[ $1 == hosts/*/40-show-namespaces.sh && $2 == 2 ]] && ((! ${#wanted[@]}))
}

# Asks every script what it would do. Sets plan (a word for each of chosen).
check_steps() {
  local step status text
  for step in "${chosen[@]}"; do
    status=0
    text=$(run_step "${step}" --check 2>&1 >/dev/null) || status=$?
    plan_step "${step}" "${status}" "${text}"
    if ((status == 3 || status == 5)); then need_for "${step}" "${status}"; fi
  done
}

# 5: a later script may make what this one waits for.
plan_step() { # plan_step STEP STATUS TEXT
  case $2 in
    0) plan+=('nothing to do') ;;
    3 | 5) plan+=('has changes to make') ;;
    6)
      printf '%s\n' "$3" >&2
      # Its own run stops at the same request, and logs that it did.
      run_step "$1" >/dev/null 2>&1 || true
      die 6 "$1 refuses a request; nothing was changed"
      ;;
    *)
      printf '%s\n' "$3" >&2
      may_be_left_out "$1" "$2" ||
        die 2 "$1 cannot run on this machine; nothing was changed"
      plan+=('left out, for the reason above')
      return
      ;;
  esac
  case $1 in
    */40-show-*) plan[-1]='shows' ;;
    */90-verify.sh) plan[-1]='verifies' ;;
    ca/20-* | ca/30-*) if (($2)); then plan[-1]='signs what is requested'; fi ;;
    *) ;;
  esac
}

# Sets what a script that changes something will ask for. Where one only waits
# for a request nothing is signed yet.
need_for() { # need_for STEP STATUS
  case $1 in
    ca/* | */10-*) if (($2 == 3)); then needs_passphrase=1; fi ;;
    hosts/*/20-*) needs_confirmation=1 ;;
    *) ;;
  esac
}

# Signing needs the passphrase where this machine is the CA.
need_answers() {
  [[ " ${chosen[*]}" == *' ca/'* ]] || needs_passphrase=0
  if ((needs_confirmation && ! yes)) && ! has_terminal; then
    die 2 \
      'dockerd will be restarted and there is no terminal to ask on: give' \
      '--yes; nothing was changed'
  fi
  if ((needs_passphrase)); then get_passphrase "${dir}/ca/${ca_key_file}"; fi
}

show_plan() {
  local number
  printf 'Working folder: %s\n' "${dir}" >&2
  for number in "${!chosen[@]}"; do
    printf '  %2d. %-46s %s\n' $((number + 1)) "${chosen[number]}" \
      "${plan[number]}" >&2
  done
  for step in "${elsewhere[@]}"; do
    printf '   -  %-46s on the Docker host: no dockerd here\n' "${step}" >&2
  done
}

# ---- The verbs --------------------------------------------------------------

elapsed() { # elapsed START, in milliseconds
  local spent=$(($(date '+%s%3N') - $1))
  printf '%d.%d s' $((spent / 1000)) $((spent % 1000 / 100))
}

run_step_with_passphrase() { # run_step_with_passphrase STEP OPTION...
  run_step "$@" --passphrase-file <(printf '%s\n' "${passphrase}")
}

# Runs one step between two lines of progress; its failure ends this script.
run_one() { # run_one NUMBER STEP OPTION...
  local start status=0 result=ok runner=run_step
  local place="[$1/${#chosen[@]}] $2 ..."
  start=$(date '+%s%3N')
  printf '%s\n' "${place}" >&2
  if [[ -n ${passphrase} && $2 == ca/* ]]; then
    runner=run_step_with_passphrase
  fi
  "${runner}" "${@:2}" || status=$?
  if ((status == 5)) && [[ $2 == ca/* ]]; then
    result=waits
    await_requests "$2"
    status=0
  elif ((status)); then
    result="stopped with status ${status}"
  fi
  printf '%s %s (%s)\n' "${place}" "${result}" "$(elapsed "${start}")" >&2
  if ((status)) && ! may_be_left_out "$2" "${status}"; then
    exit "${status}"
  fi
}

# Adds to requests those of parties that have no certificate yet.
await_requests() { # await_requests STEP
  local party request certificate
  for party in "${parties[@]}"; do
    case $1:${party} in
      ca/20-*:hosts/*)
        request=${server_request_file}
        certificate=${server_certificate_file}
        ;;
      ca/30-*:clients/*)
        request=${client_request_file}
        certificate=${client_certificate_file}
        ;;
      *) continue ;;
    esac
    if [[ ! -e ${dir}/${party}/${certificate} ]]; then
      requests+=("${dir}/${party}/${request}")
    fi
  done
  if ((! ${#requests[@]})); then requests=('the requests named above'); fi
}

# On a split site a certificate comes back from the CA machine later: the first
# one to a party's folder, a renewed one to the folder renewal in it. True when
# it is not here; what to do is added to awaited then.
await_certificate() { # await_certificate STEP FOLDER
  local request certificate
  case $1 in
    hosts/*/20-*)
      request=${server_request_file}
      certificate=${server_certificate_file}
      ;;
    clients/*/20-*)
      request=${client_request_file}
      certificate=${client_certificate_file}
      ;;
    *) return 1 ;;
  esac
  if [[ $2 == */renewal && ! -e $2/${request} ]] ||
    [[ -e $2/${certificate} && -e ${dir}/${1%/*}/${ca_certificate_file} ]] ||
    # A host without TLS has no certificate to wait for.
    ! is_step "${1%/*}/10-request-certificate.sh"; then
    return 1
  fi
  awaited+=("Carry $2/${request} to the CA machine, sign it there, bring\
 ${certificate} and ${ca_certificate_file} back to $2")
}

# Ends with status 5, and a last line that says what has to be carried, where
# something is awaited.
finish_or_wait() { # finish_or_wait MESSAGE
  local text
  if ((${#requests[@]})); then
    printf -v text '%s, ' "${requests[@]}"
    note "waiting for ${text%, }: carry here what the machines of these" \
      'parties made, and run this again'
  fi
  for text in "${awaited[@]}"; do
    note "waiting for a certificate. ${text}, and run this again"
  done
  if ((${#requests[@]} + ${#awaited[@]})); then exit 5; fi
  if [[ -n $1 ]]; then note "$1"; fi
  exit 0
}

# Keeps what --as said for the next run, which may come without it.
remember_parties() {
  local text
  if ((! ${#named[@]} || ${#wanted[@]})); then return; fi
  text=$({
    printf '%s\n' "${named[@]}"
    if [[ -f ${named_parties} ]]; then cat -- "${named_parties}"; fi
  } | sort --unique)
  write_file "${named_parties}" 0600 "${text}"
}

forget_parties() {
  local party text=''
  if ((${#wanted[@]})) || [[ ! -e ${named_parties} ]]; then return; fi
  while IFS= read -r party; do
    if [[ " ${roles[*]} " != *" ${party} "* ]]; then text+=${party}$'\n'; fi
  done <"${named_parties}"
  if [[ -n ${text} ]]; then
    write_file "${named_parties}" 0600 "${text%$'\n'}"
  else
    run rm -f -- "${named_parties}"
  fi
}

apply() {
  local number step folder
  local -a options=() verify_options=()
  if ((yes)); then options=(--yes); fi
  if ((! containers)); then verify_options=(--no-containers); fi
  check_steps
  show_plan
  need_answers
  open_folder "${dir}"
  lock "${dir}/.lock"
  remember_parties
  leaves='the scripts reported ok above are done; run this again to finish'
  for number in "${!chosen[@]}"; do
    [[ ${plan[number]} != 'left out'* ]] || continue
    step=${chosen[number]}
    folder=${dir}/${step%/*}
    if await_certificate "${step}" "${folder}"; then finish_or_wait ''; fi
    case ${step} in
      hosts/*/90-verify.sh)
        run_one $((number + 1)) "${step}" "${verify_options[@]}"
        ;;
      */90-verify.sh | */40-show-namespaces.sh)
        run_one $((number + 1)) "${step}"
        ;;
      *) run_one $((number + 1)) "${step}" "${options[@]}" ;;
    esac
    await_certificate "${step}" "${folder}/renewal" || true
  done
  finish_or_wait 'done'
}

# Prints every command that would run. Exit status 3 when there is one. What
# comes after a certificate that is not here yet is shown, and does not count.
check() {
  local step status result=0 blocked=0
  remember_parties
  if ((changed)); then result=3; fi
  for step in "${chosen[@]}"; do
    if await_certificate "${step}" "${dir}/${step%/*}"; then blocked=1; fi
    status=0
    printf '# %s\n' "${step}"
    run_step "${step}" --check || status=$?
    case ${status} in
      0) ;;
      3) if ((! blocked)); then result=3; fi ;;
      5) if [[ ${step} == ca/* ]]; then await_requests "${step}"; fi ;;
      *) may_be_left_out "${step}" "${status}" || exit "${status}" ;;
    esac
    await_certificate "${step}" "${dir}/${step%/*}/renewal" || true
  done
  if ((result)); then exit "${result}"; fi
  finish_or_wait ''
}

# The scripts remove the working folder with the last of their files. On a host
# without certificates none of them has any there.
remove_empty_folder() {
  if [[ -d ${dir} && $(ls -A -- "${dir}") == .lock ]]; then
    run rm -f -- "${dir}/.lock"
    run rmdir -- "${dir}"
  fi
}

undo() {
  local number place=0
  local -a options=(--undo)
  if ((remove_keys)); then options+=(--remove-keys); fi
  if ((yes)); then
    options+=(--yes)
  elif [[ " ${chosen[*]}" == *' hosts/'*'/20-'* ]] && ! has_terminal; then
    die 2 \
      'dockerd will be restarted and there is no terminal to ask on: give' \
      '--yes; nothing was changed'
  fi
  leaves='the scripts reported ok above are undone; run this again to finish'
  forget_parties
  for ((number = ${#chosen[@]} - 1; number >= 0; number--)); do
    place=$((place + 1))
    run_one "${place}" "${chosen[number]}" "${options[@]}"
  done
  remove_empty_folder
  note 'undone'
}

main() {
  local needs_passphrase=0 needs_confirmation=0 default_folder=1
  local named_parties
  local -a named=() roles=() wanted=() options=() chosen=() elsewhere=()
  local -a plan=() requests=() awaited=()
  home=$(realpath -- "$0")
  home=${home%/*}
  read_arguments "$@"
  parse_options "${options[@]}"
  need_openssl
  # One party a line, as --as named them.
  named_parties=${dir}/parties.txt
  choose_roles
  need_dockerd
  choose_steps
  check_sums
  check_for_other_ca
  case ${verb} in
    check) check ;;
    undo) undo ;;
    *) apply ;;
  esac
}

main "$@"
