#!/usr/bin/env bash
# Configures the docker client of the user who runs it: certificates in
# ~/.docker and a docker context for each Docker host.
#
# Reads:      DIR/clients/NAME/{client-key.pem,client-certificate.pem,
#             ca-public.pem}
# Writes:     ~/.docker/{ca,cert,key}.pem, docker contexts, and the shell
#             profile where the site asks for it
# Removes:    DIR/clients/NAME/{client-request.csr,extfile-client.cnf}
# Restarts:   nothing
# Needs root: no; it configures the user who runs it
# Undo:       removes all of it and puts back what was in ~/.docker before
# Options:    --dir DIR (docker-tls)  --yes  --check
#             --undo [--remove-keys]  --help
# Status:     0 done, 1 failed, 2 wrong use, 3 --check found changes to make
#% include "parts/guard.sh"

readonly script=@{script}
readonly alternative_names=@{alternative_names}
readonly key_file=@{key_file}
readonly certificate_file=@{certificate_file}
readonly ca_certificate_file=@{ca_certificate_file}
readonly request_file=@{request_file}
readonly extensions_file=@{extensions_file}
# Below the home folder; empty for none.
readonly shell_profile=@{shell_profile}
# docker context, the address of its host
readonly -a contexts=(
  #% for row in rows
  @{row.name} @{row.docker_host}
  #% endfor
)

#% include "parts/common.sh"

#% include "parts/change.sh"

#% include "parts/write.sh"

#% include "parts/finish.sh"

#% include "parts/keep_copy.sh"

#% include "parts/lock.sh"

#% include "parts/section_certificates.sh"

#% include "parts/names_of.sh"

#% include "parts/public_key_of.sh"

#% include "parts/has_same_key.sh"

#% include "parts/why_not_valid.sh"

#% include "parts/check_certificate.sh"

#% include "parts/remove_request.sh"

#% include "parts/renewal.sh"

# ---- The files in ~/.docker -------------------------------------------------

readonly purpose=sslclient signer=ca/30-sign-clients.sh
readonly accepts=' --dir --yes --check --undo --remove-keys --help '
readonly description="dockseal ${script}"
readonly block_start="# >>> dockseal ${script} >>>"
readonly block_end="# <<< dockseal ${script} <<<"

# Keeps what was in ~/.docker before. The folder stays as long as this client
# is configured: while it is there, {ca,cert,key}.pem are this script's own.
keep_previous() {
  local file
  if [[ -d ${previous} ]]; then return; fi
  if [[ -d ${previous}.new ]]; then run rm -rf -- "${previous}.new"; fi
  run mkdir -m 0700 -- "${previous}.new"
  for file in ca.pem cert.pem key.pem; do
    if [[ -e ${docker_config}/${file} ]]; then
      keep_copy "${docker_config}/${file}" "${previous}.new/${file}"
    fi
  done
  if [[ -n ${shell_profile} && -e ${profile} ]]; then
    keep_copy "${profile}" "${previous}.new/profile"
  fi
  run mv -T -- "${previous}.new" "${previous}"
}

install_file() { # install_file SOURCE FILE MODE
  local file=${docker_config}/$2
  if [[ -f ${file} && $(<"${file}") == "$(<"$1")" &&
  $(stat --format '%a' -- "${file}") == "$3" ]]; then
    return
  fi
  run install -m "$3" -T -- "$1" "${file}.new"
  if [[ ${verb} != check && $(<"${file}.new") != "$(<"$1")" ]]; then
    die 1 "${file}.new did not read back; is the disk full? ${leaves}"
  fi
  run sync -- "${file}.new"
  run mv -fT -- "${file}.new" "${file}"
}

# D15, D18: docker reads exactly ca.pem, cert.pem and key.pem.
install_files() {
  if [[ ! -d ${docker_config} ]]; then
    run mkdir -m 0700 -- "${docker_config}"
  elif [[ $(stat --format '%a' -- "${docker_config}") != 700 ]]; then
    run chmod 0700 -- "${docker_config}"
  fi
  keep_previous
  install_file "${key}" key.pem 600
  install_file "${certificate}" cert.pem 644
  install_file "${ca}" ca.pem 644
}

restore_files() {
  local file
  if [[ ! -d ${previous} ]]; then return; fi
  for file in ca.pem cert.pem key.pem; do
    if [[ -e ${previous}/${file} ]]; then
      keep_copy "${previous}/${file}" "${docker_config}/${file}.new"
      run mv -fT -- "${docker_config}/${file}.new" "${docker_config}/${file}"
    elif [[ ${file} == key.pem && -e ${docker_config}/key.pem ]] &&
      ((! remove_keys)) && [[ ! -e ${key} ]]; then
      note "kept: ${docker_config}/key.pem, the only copy of this key"
    else
      run rm -f -- "${docker_config}/${file}"
    fi
  done
  run rm -rf -- "${previous}"
}

# ---- docker contexts --------------------------------------------------------

has_docker() {
  command -v docker >/dev/null
}

# Prints where docker keeps a context, below meta and tls.
context_folder() { # context_folder NAME
  local digest
  digest=$(printf '%s' "$1" | sha256sum)
  printf '%s\n' "${digest%% *}"
}

# A kill or a power cut inside docker leaves a context without a description:
# then docker reads no other context either, or leaves a key there.
remove_half_made() { # remove_half_made NAME
  local folder
  folder=$(context_folder "$1")
  if [[ ! -s ${docker_config}/contexts/meta/${folder}/meta.json ]]; then
    remove_context_files "$1"
  fi
}

remove_context_files() { # remove_context_files NAME
  local folder part
  folder=$(context_folder "$1")
  for part in tls meta; do
    if [[ -d ${docker_config}/contexts/${part}/${folder} ]]; then
      run rm -rf -- "${docker_config}/contexts/${part}/${folder}"
    fi
  done
}

is_our_context() { # is_our_context NAME
  local found
  found=$(docker context inspect "$1") || return 1
  [[ ${found} == *"\"Description\": \"${description}\""* ]]
} 2>/dev/null

# A context holds copies of the files: they must be the present ones.
is_current_context() { # is_current_context NAME DOCKER_HOST
  local copies found
  copies=${docker_config}/contexts/tls/$(context_folder "$1")/docker
  found=$(docker context inspect "$1") || return 1
  [[ ${found} == *"\"Host\": \"$2\""* &&
    $(<"${copies}/ca.pem") == "$(<"${ca}")" &&
    $(<"${copies}/cert.pem") == "$(<"${certificate}")" &&
    $(<"${copies}/key.pem") == "$(<"${key}")" ]]
} 2>/dev/null

# Stops before the first other change when somebody's context has the name.
check_contexts() {
  local row
  if ! has_docker; then return; fi
  for ((row = 0; row < ${#contexts[@]}; row += 2)); do
    remove_half_made "${contexts[row]}"
    if docker context inspect "${contexts[row]}" &>/dev/null &&
      ! is_our_context "${contexts[row]}"; then
      die 2 \
        "there is a docker context ${contexts[row]} that this script did not" \
        "make; rename or remove it; ${leaves}"
    fi
  done
}

create_contexts() {
  local row name host action files
  files=ca=${docker_config}/ca.pem,cert=${docker_config}/cert.pem
  files+=,key=${docker_config}/key.pem
  if ! has_docker; then
    note 'there is no docker client on this machine: contexts are left out'
    return
  fi
  for ((row = 0; row < ${#contexts[@]}; row += 2)); do
    name=${contexts[row]}
    host=${contexts[row + 1]}
    action=create
    if is_our_context "${name}"; then action=update; fi
    if [[ ${action} == update ]] && is_current_context "${name}" "${host}"; then
      continue
    fi
    run docker context "${action}" "${name}" --description "${description}" \
      --docker "host=${host},${files}" || {
      # On a full disk docker leaves halves of files.
      remove_context_files "${name}"
      die 1 \
        "docker context ${action} ${name} failed, for the reason above; what" \
        "it left was removed; state: ${leaves}"
    }
  done
}

remove_contexts() {
  local row
  if ! has_docker; then return; fi
  for ((row = 0; row < ${#contexts[@]}; row += 2)); do
    remove_half_made "${contexts[row]}"
    if is_our_context "${contexts[row]}"; then
      run docker context rm --force "${contexts[row]}"
    fi
  done
}

# ---- The shell profile ------------------------------------------------------

# Prints the profile without this script's block.
profile_without_block() {
  local line inside=0
  while IFS= read -r line || [[ -n ${line} ]]; do
    if [[ ${line} == "${block_start}" ]]; then inside=1; fi
    ((inside)) || printf '%s\n' "${line}"
    if [[ ${line} == "${block_end}" ]]; then inside=0; fi
  done <"${profile}"
}

write_profile() {
  local text='' mode=0644
  if [[ -z ${shell_profile} ]]; then return; fi
  if [[ -e ${profile} ]]; then
    text=$(profile_without_block)
    mode=$(stat --format '%a' -- "${profile}")
  fi
  # D18: with a name from the certificate, not 0.0.0.0.
  write_file "${profile}" "${mode}" "${text:+${text}
}${block_start}
export DOCKER_HOST=${contexts[1]}
export DOCKER_TLS_VERIFY=1
${block_end}"
}

clean_profile() {
  local text
  [[ -n ${shell_profile} && -e ${profile} ]] || return 0
  text=$(profile_without_block)
  if [[ $(<"${profile}") == "${text}" ]]; then return; fi
  # Byte for byte, where nobody has changed it since.
  if [[ -e ${previous}/profile &&
    $(<"${previous}/profile") == "${text}" ]]; then
    keep_copy "${previous}/profile" "${profile}.new"
    run mv -fT -- "${profile}.new" "${profile}"
  elif [[ -z ${text} ]]; then
    run rm -f -- "${profile}"
  else
    write_file "${profile}" "$(stat --format '%a' -- "${profile}")" "${text}"
  fi
}

# ---- The verbs --------------------------------------------------------------

# docker context rm leaves empty folders behind.
remove_empty_folders() {
  local part
  for part in contexts/meta contexts/tls contexts .; do
    part=$(realpath --canonicalize-missing -- "${docker_config}/${part}")
    if [[ -d ${part} && -z $(ls -A -- "${part}") ]]; then
      run rmdir -- "${part}"
    fi
  done
}

undo() {
  remove_contexts
  clean_profile
  restore_files
  remove_empty_folders
  finish
}

main() {
  parse_options "$@"
  need_openssl
  folder=${dir}/${script%/*}
  key=${folder}/${key_file}
  certificate=${folder}/${certificate_file}
  ca=${folder}/${ca_certificate_file}
  docker_config=${HOME}/.docker
  previous=${docker_config}/before-dockseal
  # The file itself, where the profile is a symbolic link.
  profile=$(realpath --canonicalize-missing -- "${HOME}/${shell_profile}")
  if [[ ${verb} != check && -d ${folder} ]]; then lock "${folder}/.lock"; fi
  if [[ ${verb} == undo ]]; then undo; fi
  check_contexts
  choose_pair
  if [[ ${verb} == check && ! -e ${certificate} ]]; then
    note "${certificate} is not here yet"
  else
    check_certificate
  fi
  install_files
  leaves="some files of ${docker_config} are new; run this again to finish"
  create_contexts
  write_profile
  finish_renewal
  remove_request
  finish
}

main "$@"
