# ---- Runs the scripts of this machine ---------------------------------------

accepts=' --dir --passphrase-file --yes --no-containers --check --undo '
readonly accepts+='--remove-keys --help '
signers=''  # the file for --signers
exchange='' # the folder for --exchange

# The parties whose scripts are here: all of the site's, or those of a pack.
parties=()
for party in "${party_rows[@]%% *}"; do
  if [[ -d ${lib%/*}/${party} ]]; then parties+=("${party}"); fi
done
readonly -a parties

# True when a list of words has one. A STEP is a row of step_rows.
has() { # has WORDS WORD
  [[ $2 != *' '* && " $1 " == *" $2 "* ]]
}

# ---- Which scripts run on this machine --------------------------------------

need_scripts_of() { # need_scripts_of PARTY
  has "${parties[*]}" "$1" ||
    die 2 "this is a pack without the scripts of $1; it has: ${parties[*]}"
}

# Sets named and wanted, which are this script's own, and options: the rest.
read_setup_arguments() { # read_setup_arguments ARGUMENT...
  while (($#)); do
    case $1 in
      --as)
        has "${party_rows[*]%% *}" "${2:-}" ||
          die 2 "--as needs one of: ${parties[*]}"
        need_scripts_of "$2"
        named+=("$2")
        shift
        ;;
      --signers)
        signers=${2:-}
        [[ -n ${signers} ]] || die 2 '--signers needs a value'
        shift
        ;;
      --exchange)
        exchange=${2:-}
        [[ -n ${exchange} ]] || die 2 '--exchange needs a value'
        shift
        ;;
      --dir | --passphrase-file)
        options+=("${@:1:2}")
        if (($# > 1)); then shift; fi
        ;;
      -*) options+=("$1") ;;
      *) wanted+=("${1#"${home}"/}") ;;
    esac
    shift
  done
}

# Sets roles, where no script is named. Without --as they are the parties whose
# key is here, and those that --as has named before; all of the site's, or of a
# pack's, where nothing says that another machine has the CA or any other party.
choose_roles() {
  local party key request certificate only=$((! ${#known[@]}))
  if ((hosts > 1 && ${#parties[@]} == ${#party_rows[@]})); then only=0; fi
  roles=("${named[@]}")
  if ((${#wanted[@]} + ${#named[@]})); then return; fi
  while read -r party key request certificate _; do
    if ! has "${parties[*]}" "${party}"; then continue; fi
    if [[ -e ${dir}/${party}/${key} ]] || has "${known[*]}" "${party}"; then
      roles+=("${party}")
    elif [[ -e ${dir}/${party}/${request} ||
      -e ${dir}/${party}/${certificate} ]]; then
      only=0
    fi
  done < <(printf '%s\n' "${party_rows[@]}")
  if ((only)) && [[ ${roles[0]:-ca} == ca ]]; then roles=("${parties[@]}"); fi
  ((${#roles[@]})) || die 2 \
    "this site has ${hosts} Docker hosts: say which party this machine is" \
    "with --as: ${parties[*]}"
}

# Sets chosen: the steps that are named, or those of this machine's parties.
choose_steps() {
  local step name party
  for name in "${wanted[@]}"; do
    has "${step_rows[*]%% *}" "${name}" ||
      die 2 "there is no script ${name} in this site"
    need_scripts_of "${name%/*}"
  done
  for step in "${step_rows[@]}"; do
    read -r name party _ <<<"${step}"
    if has "${step}" needs:probe-image && ((! containers)); then continue; fi
    if has "${wanted[*]}" "${name}" || is_due "${step}" "${party}"; then
      chosen+=("${step}")
    fi
  done
}

# What is carried is for the parties whose steps run.
choose_carriers() {
  local step party
  for step in "${chosen[@]}"; do
    read -r _ party _ <<<"${step}"
    if ! has "${roles[*]}" "${party}"; then roles+=("${party}"); fi
  done
}

# Without names, --undo is for what was done on demand too. A Docker host has
# dockerd where every script looks for it; --undo goes on where it has gone.
is_due() { # is_due STEP PARTY
  if ((${#wanted[@]})) || ! has "${roles[*]}" "$2"; then return 1; fi
  if has "$1" on-demand && [[ ${verb} != undo ]]; then return 1; fi
  if has "$1" needs:dockerd && ! command -v dockerd >/dev/null; then
    [[ ${verb} == undo ]] || die 2 \
      "this machine is to be $2, and there is no dockerd in ${PATH}." \
      'These scripts configure a dockerd that systemd runs, and no snap or' \
      'rootless one. If the Docker host is another machine, say with --as' \
      "which party this one is: ${parties[*]}"
    return 1
  fi
}

# ---- Before the first change ------------------------------------------------

# What the signer's key has not signed is not run: only ssh-keygen says so.
check_signature() {
  local folder signer signature=${home}/SHA256SUMS.sig
  if [[ -z ${signers} ]]; then return; fi
  command -v ssh-keygen >/dev/null ||
    die 2 'ssh-keygen is not installed; install the package openssh-client'
  [[ -f ${signers} && -r ${signers} ]] ||
    die 2 "--signers: ${signers} is no file that can be read"
  signers=$(realpath -- "${signers}")
  need_safe "${signers}"
  for folder in "${home}" "${lib}" "${parties[@]/#/"${home}/"}"; do
    need_safe "${folder}"
  done
  [[ ! -e ${signature} || -f ${signature} ]] ||
    die 2 "${signature} is no regular file"
  if ! signer=$(ssh-keygen -Y find-principals -f "${signers}" \
    -s "${signature}") || ! ssh-keygen -Y verify -f "${signers}" \
    -I "${signer%%[,$'\n']*}" -n dockseal -s "${signature}" \
    <"${home}/SHA256SUMS" >&2; then
    die 2 "${signature} is no signature of SHA256SUMS by one of ${signers}:" \
      'ssh-keygen says why above. Nothing was changed.'
  fi
}

# A sum that is missing, damaged or cut off would let a changed file through:
# what runs, and what tells how to review it, must be listed.
check_sums() {
  local sums line found
  sums=$(
    cd -- "${home}" && sha256sum --check --strict --quiet SHA256SUMS 2>&1
  ) || die 2 "these files are not what was rendered:
${sums}
Nothing was changed. Render them again, or find out who changed them."
  sums=$'\n'$(cat -- "${home}/SHA256SUMS")$'\n'
  found=$(cd -- "${home}" && sha256sum -- setup.sh README.md lib/* \
    "${chosen[@]%% *}") || die 2 'a file is missing, as said above'
  while IFS= read -r line; do
    [[ ${sums} == *$'\n'"${line}"$'\n'* ]] || die 2 \
      "SHA256SUMS has no line for ${line#*  }: it was cut off or changed." \
      'Nothing was changed. Render them again, or find out who changed it.'
  done <<<"${found}"
}

is_of_our_name() { # is_of_our_name CERTIFICATE
  local subject
  if [[ ! -r $1 ]]; then return 1; fi
  subject=$(openssl x509 -in "$1" -noout -subject -nameopt RFC2253)
  [[ ${subject} == "subject=CN=${ca_common_name}" ]]
}

# Nobody would trust a second CA for the same site. Stops where the default
# folder has none and another run has made one.
check_for_other_ca() {
  local file
  if [[ ${verb} == undo || -e ${dir}/${ca_key} ]] ||
    has "${options[*]}" --dir || ! has "${chosen[*]}" needs:passphrase; then
    return
  fi
  file=${HOME}/docker-tls.link
  [[ ! -L ${file} || -e ${file}/${ca_key} ]] || die 2 \
    "the CA of an earlier run was in $(readlink -- "${file}"), and is not there" \
    "now: give its folder with --dir or, where a new one is wanted, --dir ${dir}"
  ! is_of_our_name "${file}/${ca_key%/*}/${ca_certificate}" || die 2 \
    "there is a CA in $(realpath -- "${file}"), and none in ${dir}: give that" \
    "folder with --dir or, for another site, --dir ${dir}"
  for file in "${installed_authorities[@]}"; do
    ! is_of_our_name "${file}" || die 2 \
      "dockerd here trusts a CA of this name already (${file}), and its key" \
      "is not in ${dir}: run this as the user who made it (with sudo, where" \
      'that was root), or give the --dir of that run'
  done
}

# With docker's variables as this script was given them: a verification looks at
# what they would make docker do.
run_step() { # run_step STEP [--check | --undo]
  local -a command=(env "${caller_variables[@]}" /bin/bash -p)
  command+=("${home}/${1%% *}" --dir "${dir}" "${@:2}")
  if ((yes)); then command+=(--yes); fi
  if ((remove_keys)); then command+=(--remove-keys); fi
  if has "$1" needs:passphrase && [[ -n ${passphrase} ]]; then
    "${command[@]}" --passphrase-file <(printf '%s\n' "${passphrase}")
  else
    "${command[@]}"
  fi
}

# What only shows is left out where there is no image, or no docker, for it.
may_be_left_out() { # may_be_left_out STEP STATUS
  (($2 == 2 && ${#wanted[@]} == 0)) &&
    { has "$1" needs:probe-image || has "$1" needs:docker-client; }
}

# Asks every script what it would do, and says so. Sets statuses, and asked: the
# rows of those that make changes. A certificate may still come in this run.
plan_steps() {
  local step status text word
  printf 'Working folder: %s\n' "${dir}" >&2
  for step in "${chosen[@]}"; do
    status=0
    word=${step#* : }
    text=$(run_step "${step}" --check 2>&1 >/dev/null) || status=$?
    if ((status == 6)); then
      # Its own run stops at the same request, and logs that it did.
      run_step "${step}" || true
      if [[ -n ${exchange} ]]; then put_requests_back; fi
      die 6 "${step%% *} refuses a request; nothing was changed"
    elif [[ ${status} != [035] ]]; then
      printf '%s\n' "${text}" >&2
      may_be_left_out "${step}" "${status}" ||
        die 2 "${step%% *} cannot run on this machine; nothing was changed"
      word='left out, for the reason above'
    elif ((status == 3)) || [[ ${step}:${status} == *asks:restart*:5 ]]; then
      asked+=" ${step}"
    elif ((status == 0)) && ! has "${step}" looks; then
      word='nothing to do'
    fi
    statuses+=("${status}")
    printf '  %2d. %-46s %s\n' "${#statuses[@]}" "${step%% *}" "${word}" >&2
  done
}

# A restart is confirmed by the script that does it.
need_terminal() { # need_terminal STEPS
  if has "$1" asks:restart && ((! yes)) && ! has_terminal; then
    die 2 'dockerd will be restarted and there is no terminal to ask on: give' \
      '--yes; nothing was changed'
  fi
}

# Adds to requests those of parties that have no certificate yet.
await_requests() { # await_requests SCRIPT
  local party request certificate signer
  while read -r party _ request certificate signer; do
    if [[ ${signer} == "$1" && ! -e ${dir}/${party}/${certificate} ]]; then
      requests+=", ${dir}/${party}/${request}"
    fi
  done < <(printf '%s\n' "${party_rows[@]}")
  requests=${requests:-, the requests named above}
}

# On a split site certificates come back from the CA machine. Adds to awaited
# what has to be carried; true when the step cannot run before that.
await_certificate() { # await_certificate STEP
  local party request certificate folder
  if ! has "$1" awaits:certificate; then return 1; fi
  while read -r party _ request certificate _; do
    if has "$1" "${party}"; then break; fi
  done < <(printf '%s\n' "${party_rows[@]}")
  folder=${dir}/${party}
  if [[ -e ${folder}/${certificate} && -e ${folder}/${ca_certificate} ]]; then
    folder+=/renewal
    if [[ ! -e ${folder}/${request} || -e ${folder}/${certificate} ]]; then
      return 1
    fi
  fi
  awaited+=("Carry ${folder}/${request} to the CA machine, sign it there, bring\
 ${certificate} and ${ca_certificate} back to ${folder}")
  [[ ${folder} == "${dir}/${party}" ]]
}

# Where something is awaited, the last line says what, and the status is 5.
stop_if_waiting() {
  local text
  if [[ -n ${exchange} ]]; then
    if [[ ${verb} != check ]]; then leave_in_exchange; fi
    tell_what_is_awaited
    if [[ -n ${requests}${awaited[*]} ]]; then exit 5; fi
    return
  fi
  if [[ -n ${requests} ]]; then
    note "waiting for ${requests#, }: carry here what the machines of these" \
      'parties made, and run this again'
  fi
  for text in "${awaited[@]}"; do
    note "waiting for a certificate. ${text}, and run this again"
  done
  if [[ -n ${requests}${awaited[*]} ]]; then exit 5; fi
}

# ---- The verbs --------------------------------------------------------------

# Runs one step between two lines of progress; its failure ends this script.
run_one() { # run_one NUMBER STEP [--undo]
  local start spent status=0 result=ok
  local place="[$1/${#chosen[@]}] ${2%% *} ..."
  start=$(date '+%s%3N')
  printf '%s\n' "${place}" >&2
  run_step "${@:2}" || status=$?
  if ((status)); then result="stopped with status ${status}"; fi
  if [[ $2:${status} == *awaits:requests*:5 ]]; then
    result=waits
    status=0
    await_requests "${2%% *}"
  fi
  spent=$(($(date '+%s%3N') - start))
  printf '%s %s (%d.%d s)\n' "${place}" "${result}" $((spent / 1000)) \
    $((spent % 1000 / 100)) >&2
  ((! status)) || may_be_left_out "$2" "${status}" || exit "${status}"
}

# A later run without --dir finds the CA: see check_for_other_ca.
remember_folder() {
  local link=${HOME}/docker-tls.link
  if has "${chosen[*]}" needs:passphrase && [[ -w ${HOME} &&
    ${dir} != "${HOME}/docker-tls" && ! -e ${HOME}/docker-tls/${ca_key} &&
    (-L ${link} || ! -e ${link}) && ! -e ${link}/${ca_key} &&
    $(readlink -- "${link}") != "${dir}" ]]; then
    run ln -sfnT -- "${dir}" "${link}"
  fi
}

# The link stays as long as a key of this site is in the folder.
forget_folder() {
  local party key link=${HOME}/docker-tls.link
  while read -r party key _; do
    if [[ -e ${dir}/${party}/${key} ]]; then return; fi
  done < <(printf '%s\n' "${party_rows[@]}")
  if [[ -L ${link} && $(realpath -m -- "${link}") == "${dir}" ]]; then
    remove_file "${link}"
  fi
}

# Keeps what --as said for the next run, which may come without it.
write_parties() { # write_parties [PARTY]...
  local text
  if ((${#wanted[@]})); then return; fi
  text=$(printf '%s\n' "$@" | sort --unique)
  if [[ -n ${text} ]]; then
    open_folder "${dir}"
    write_file "${parties_file}" 0600 "${text}"
  else
    remove_file "${parties_file}"
  fi
}

lock_folder() {
  open_folder "${dir}"
  lock "${dir}/.lock"
}

# What is carried here decides what there is to do.
open_exchange() {
  if [[ -n ${exchange} ]]; then
    need_exchange
    lock_folder
    take_from_exchange
  fi
}

# Changes nothing before every script has found what it needs.
apply_steps() {
  local number step
  open_exchange
  plan_steps
  need_terminal "${asked}"
  # What is requested here is signed here where this machine is the CA.
  if has "${asked}" asks:passphrase && has "${chosen[*]}" needs:passphrase; then
    get_passphrase "${dir}/${ca_key}"
  fi
  if [[ -z ${exchange} ]]; then lock_folder; fi
  remember_folder
  write_parties "${named[@]}" "${known[@]}"
  leaves='the scripts reported ok above are done; run this again to finish'
  for number in "${!chosen[@]}"; do
    step=${chosen[number]}
    if ((statuses[number] == 2)); then continue; fi
    if await_certificate "${step}"; then stop_if_waiting; fi
    run_one $((number + 1)) "${step}"
    if [[ -n ${exchange} ]]; then leave_in_exchange; fi
  done
  stop_if_waiting
  note 'done'
}

# Prints every command that would run. Exit status 3 when there is one. What
# comes after a certificate that is not here yet is shown, and does not count.
check_steps() {
  local step status blocked=0
  if [[ -n ${exchange} ]]; then take_from_exchange; fi
  remember_folder
  write_parties "${named[@]}" "${known[@]}"
  for step in "${chosen[@]}"; do
    if await_certificate "${step}"; then blocked=1; fi
    status=0
    printf '# %s\n' "${step%% *}"
    run_step "${step}" --check || status=$?
    case ${step}:${status} in
      *:3) if ((! blocked)); then begin_change; fi ;;
      *awaits:requests*:5) await_requests "${step%% *}" ;;
      *:5) waits=1 ;;
      *:0) ;;
      *) may_be_left_out "${step}" "${status}" || exit "${status}" ;;
    esac
  done
  if ((changed)); then exit 3; fi
  stop_if_waiting
  if ((waits)); then exit 5; fi
}

# Undoes the last script first.
undo_steps() {
  local party number kept=()
  need_terminal "${chosen[*]}"
  if [[ -d ${dir} ]]; then need_safe "${dir}"; fi
  leaves='the scripts reported ok above are undone; run this again to finish'
  for party in "${known[@]}"; do
    if ! has "${roles[*]}" "${party}"; then kept+=("${party}"); fi
  done
  write_parties "${kept[@]}"
  for ((number = 1; number <= ${#chosen[@]}; number++)); do
    run_one "${number}" "${chosen[-number]}" --undo
  done
  # On a host without certificates no script has had files there.
  undo_folder "${dir}"
  forget_folder
  for party in "${dir}"/{hosts,clients}/*/; do
    party=${party#"${dir}"/}
    [[ ! -d ${dir}/${party} ]] || has "${party_rows[*]%% *}" "${party%/}" ||
      note "kept: ${dir}/${party}, of no party of this site; its own site's" \
        'setup.sh --undo is for that'
  done
  note 'undone'
}

set_up() {
  local parties_file asked='' requests=''
  local -a named=() wanted=() options=() known=() roles=() chosen=()
  local -a statuses=() awaited=()
  home=${lib%/*}
  read_setup_arguments "$@"
  parse_options "${options[@]}"
  need_openssl
  parties_file=${dir}/parties.txt
  if [[ -f ${parties_file} ]]; then mapfile -t known <"${parties_file}"; fi
  choose_roles
  choose_steps
  if [[ -n ${exchange} ]]; then choose_carriers; fi
  check_signature
  check_sums
  check_for_other_ca
  if [[ -n ${exchange} ]]; then
    [[ ${verb} != undo ]] || die 2 '--exchange does not go with --undo'
    . "${lib}/certificates.sh"
    . "${lib}/exchange.sh"
  fi
  case ${verb} in
    check) check_steps ;;
    undo) undo_steps ;;
    *) apply_steps ;;
  esac
}
