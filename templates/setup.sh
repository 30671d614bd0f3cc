#!/usr/bin/env bash
# Runs the scripts of this machine's parties, in order: makes the CA and the
# certificates, configures dockerd and docker, and verifies the result.
# Nothing is changed before every script has found what it needs.
#
# Usage:      setup.sh [--as PARTY]... [OPTION]... [STEP]...
#             PARTY is ca, hosts/NAME or clients/NAME; STEP is one script
# Reads:      SHA256SUMS and the scripts beside this one
# Writes:     what the scripts write; see each one's --help
# Restarts:   docker.service, once, where this machine is a Docker host
# Needs root: where this machine is a Docker host
# Undo:       undoes the same scripts, the last one first
# Options:    --dir DIR (docker-tls)  --passphrase-file FILE  --yes
#             --no-containers  --check  --undo [--remove-keys]  --help
# Status:     0 done, 1 failed, 2 wrong use, 3 --check found changes to
#             make, 4 a control does not hold
#% include "parts/guard.sh"

readonly script=@{script}
readonly ca_key_file=@{ca_key_file}
readonly server_request_file=@{server_request_file}
readonly server_certificate_file=@{server_certificate_file}
readonly client_request_file=@{client_request_file}
readonly client_certificate_file=@{client_certificate_file}
readonly ca_certificate_file=@{ca_certificate_file}
readonly -a parties=(
  #% for party in parties
  @{party}
  #% endfor
)
# script, party, what it needs, when it runs: always, or on-demand
readonly -a steps=(
  #% for row in rows
  @{row.step} @{row.party} @{row.needs} @{row.when}
  #% endfor
)

#% include "parts/common.sh"

#% include "parts/change.sh"

#% include "parts/folder.sh"

#% include "parts/lock.sh"

#% include "parts/terminal.sh"

#% include "parts/passphrase.sh"

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

# Splits the arguments: roles and wanted are this script's own, options are
# the shared ones.
read_arguments() { # read_arguments ARGUMENT...
  while (($# > 0)); do
    case $1 in
      --as)
        is_party "${2:-}" || die 2 "--as needs one of: ${parties[*]}"
        roles+=("$2")
        shift
        ;;
      --dir | --passphrase-file)
        options+=("$1" ${2+"$2"})
        if (($# > 1)); then shift; fi
        ;;
      -*) options+=("$1") ;;
      *) wanted+=("${1#"${home}"/}") ;;
    esac
    shift
  done
}

# Without --as this machine plays every party, where that can be meant.
choose_roles() {
  local party hosts=0
  if ((${#roles[@]})); then return; fi
  for party in "${parties[@]}"; do
    if [[ ${party} == hosts/* ]]; then hosts=$((hosts + 1)); fi
  done
  ((hosts == 1 || ${#wanted[@]})) ||
    die 2 \
      "this site has ${hosts} Docker hosts: say which party this machine is" \
      "with --as: ${parties[*]}"
  roles=("${parties[@]}")
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

choose_steps() {
  local row item
  for item in "${wanted[@]}"; do
    [[ " ${steps[*]} " == *" ${item} "* && ${item} == *.sh ]] ||
      die 2 "there is no script ${item} in this site"
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

check_sums() {
  local text
  text=$(cd -- "${home}" && sha256sum --check --quiet SHA256SUMS 2>&1) ||
    die 2 "these files are not what was rendered:
${text}
Nothing was changed. Render them again, or find out who changed them."
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

# Asks every script what it would do. Sets plan (a word for each of chosen)
# and needs_passphrase.
check_steps() {
  local step status text
  for step in "${chosen[@]}"; do
    status=0
    text=$(run_step "${step}" --check 2>&1 >/dev/null) || status=$?
    case ${status} in
      0) plan+=('nothing to do') ;;
      3) plan+=('has changes to make') ;;
      *)
        printf '%s\n' "${text}" >&2
        # Its own run stops at the same request, and logs that it did.
        if [[ ${text} == *': refused '* ]]; then
          run_step "${step}" >/dev/null 2>&1 || true
        fi
        may_be_left_out "${step}" "${status}" ||
          die 2 "${step} cannot run on this machine; nothing was changed"
        plan+=('left out, for the reason above')
        continue
        ;;
    esac
    if [[ ${step} == */40-show-* ]]; then plan[-1]='shows'; fi
    if [[ ${step} == */90-verify.sh ]]; then plan[-1]='verifies'; fi
    if [[ ${text} == *'waiting for the request'* ]]; then
      plan[-1]='signs what is requested'
    fi
    # One request may be here while another one is waited for.
    if ((status == 3)) && [[ ${step} == ca/* || ${step} == */10-* ]]; then
      needs_passphrase=1
    fi
    if ((status == 3)) && [[ ${step} == hosts/*/20-* ]]; then
      needs_confirmation=1
    fi
  done
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
  if ((status)); then result="stopped with status ${status}"; fi
  printf '%s %s (%s)\n' "${place}" "${result}" "$(elapsed "${start}")" >&2
  if ((status)) && ! may_be_left_out "$2" "${status}"; then
    exit "${status}"
  fi
}

# On a split site the certificate comes back from the CA machine later.
stop_when_waiting() { # stop_when_waiting STEP
  local folder=${dir}/${1%/*} request certificate
  case $1 in
    hosts/*/20-*)
      request=${server_request_file}
      certificate=${server_certificate_file}
      ;;
    clients/*/20-*)
      request=${client_request_file}
      certificate=${client_certificate_file}
      ;;
    *) return ;;
  esac
  if [[ -e ${folder}/${certificate} ]]; then return; fi
  # A host without TLS has no certificate to wait for.
  [[ " ${steps[*]} " == *" ${1%/*}/10-request-certificate.sh "* ]] || return 0
  note \
    "waiting for a certificate. Carry ${folder}/${request} to the CA machine," \
    "sign it there, bring ${certificate} and ${ca_certificate_file} back to" \
    "${folder}, and run this again"
  exit 0
}

apply() {
  local number
  local -a options=() verify_options=()
  if ((yes)); then options=(--yes); fi
  if ((! containers)); then verify_options=(--no-containers); fi
  check_steps
  show_plan
  need_answers
  open_folder "${dir}"
  lock "${dir}/.lock"
  leaves='the scripts reported ok above are done; run this again to finish'
  for number in "${!chosen[@]}"; do
    [[ ${plan[number]} != 'left out'* ]] || continue
    stop_when_waiting "${chosen[number]}"
    case ${chosen[number]} in
      hosts/*/90-verify.sh)
        run_one $((number + 1)) "${chosen[number]}" "${verify_options[@]}"
        ;;
      */90-verify.sh | */40-show-namespaces.sh)
        run_one $((number + 1)) "${chosen[number]}"
        ;;
      *) run_one $((number + 1)) "${chosen[number]}" "${options[@]}" ;;
    esac
  done
  note 'done'
}

# Prints every command that would run. Exit status 3 when there is one.
check() {
  local step status result=0
  for step in "${chosen[@]}"; do
    status=0
    printf '# %s\n' "${step}"
    run_step "${step}" --check || status=$?
    case ${status} in
      0) ;;
      3) result=3 ;;
      *) may_be_left_out "${step}" "${status}" || exit "${status}" ;;
    esac
  done
  exit "${result}"
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
  for ((number = ${#chosen[@]} - 1; number >= 0; number--)); do
    place=$((place + 1))
    run_one "${place}" "${chosen[number]}" "${options[@]}"
  done
  note 'undone'
}

main() {
  local needs_passphrase=0 needs_confirmation=0
  local -a roles=() wanted=() options=() chosen=() elsewhere=() plan=()
  home=$(realpath -- "${BASH_SOURCE[0]}")
  home=${home%/*}
  read_arguments "$@"
  parse_options "${options[@]}"
  need_openssl
  check_sums
  choose_roles
  choose_steps
  case ${verb} in
    check) check ;;
    undo) undo ;;
    *) apply ;;
  esac
}

main "$@"
