#!/usr/bin/env bash
# Shows in throwaway containers what each of six namespaces isolates, and what
# sharing it does. Every claim stands beside what was seen.
#
# Reads:      DIR/probe-image.tar
# Writes:     /run/dockseal.lock
# Temporary:  /run/dockseal-probe.RANDOM/; throwaway containers and an image; a
#             network where docker has no default bridge
# Restarts:   nothing
# Needs root: yes
# Undo:       removes what a killed run left; /run/dockseal.lock stays
# Options:    --dir DIR (~/docker-tls)  --json   --yes  --check
#             --undo [--remove-keys]  --help
# Status:     0 every control holds, 2 wrong use or no image, 4 a control does
#             not hold

POSIXLY_CORRECT=1 # why: begin.sh
case $0 in "${BASH_SOURCE-}") lib=$0 ;; *) lib= ;; esac
lib=$(/usr/bin/realpath -e -- "${lib:?run: bash FILE}") || exit 2
. "${lib%/*/*/*}/lib/begin.sh"

readonly script='hosts/localhost/40-show-namespaces.sh'
readonly userns_remap=''
readonly probe_image=''

# ==== Below this line every site has the same bytes ====

. "${lib}/common.sh"
. "${lib}/change.sh"
. "${lib}/report.sh"
. "${lib}/accounts.sh"
. "${lib}/subordinate_ids.sh"
. "${lib}/probe.sh"
. "${lib}/namespaces.sh"

# ---- The verbs --------------------------------------------------------------

accepts=' --dir --json --yes --check --undo --remove-keys --help '
readonly accepts

# Prints the commands; the containers' names stand for what docker will say.
check() {
  find_probe_image || die 2 "${no_image_reason}"
  prepare_namespaces
  start_members
  fill_members
  run_docker container rm --force --volumes "${member_name[@]}"
  if ((${#member_network[@]})); then
    run_docker network rm "${member_network[1]}"
  fi
  if ((probe_image_made)); then run_docker image rm IMAGE; fi
  run_here rm -rf -- "${probe_folder}"
  exit 0
}

apply() {
  trap remove_probes EXIT
  find_probe_image || die 2 "${no_image_reason}"
  verify_namespaces
  finish_report
}

main() {
  parse_options "$@"
  ((EUID == 0)) || die 2 'this needs root: run it with sudo'
  # What is in this image gets this machine's own namespaces.
  if [[ -e ${dir}/probe-image.tar ]]; then need_safe "${dir}"; fi
  show_commands=1
  show_evidence=1
  leaves='the containers that this run started are removed'
  if [[ ${verb} == undo ]]; then
    undo_probes
  fi
  if [[ ${verb} == check ]]; then check; fi
  apply
}

main "$@"
