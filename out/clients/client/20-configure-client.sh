#!/usr/bin/env bash
# Configures the docker client of the user who runs it: certificates in
# ~/.docker and a docker context for each Docker host.
#
# Reads:      DIR/clients/client/: client-key.pem, client-certificate.pem,
#             ca-public.pem
# Writes:     ~/.docker/: ca.pem, cert.pem, key.pem; ~/.docker/before-dockseal/:
#             record, digests, key.pem, cert.pem, ca.pem;
#             ~/.docker/contexts/meta/DIGEST/meta.json;
#             ~/.docker/contexts/tls/DIGEST/docker/: ca.pem, cert.pem, key.pem;
#             DIR/clients/client/: client-key.pem, client-certificate.pem,
#             .lock; DIR/clients/client/previous/: client-key.pem,
#             client-certificate.pem
# Removes:    DIR/clients/client/: client-request.csr, extfile-client.cnf;
#             DIR/clients/client/renewal/: client-key.pem,
#             client-certificate.pem, client-request.csr, extfile-client.cnf
# Restarts:   nothing
# Needs root: no; it configures the user who runs it
# Undo:       removes all of it, and puts back what was in ~/.docker before
# Options:    --dir DIR (~/docker-tls)  --yes  --check
#             --undo [--remove-keys]  --help
# Status:     0 done, 1 failed, 2 wrong use, 3 --check: changes, 5 waits

# In POSIX mode no exported function takes the place of `.`.
POSIXLY_CORRECT=1
lib=$(/usr/bin/dirname -- "$0")/'../../lib'
. "${lib}/begin.sh"

readonly script='clients/client/20-configure-client.sh'
readonly alternative_names='DNS:client'
readonly key_file='client-key.pem'
readonly certificate_file='client-certificate.pem'
readonly ca_certificate_file='ca-public.pem'
readonly request_file='client-request.csr'
readonly extensions_file='extfile-client.cnf'
# Below the home folder; empty for none.
readonly shell_profile=''
# docker context, the address of its host
readonly -a contexts=(
  'localhost' 'tcp://localhost:2376'
)

# ==== Below this line every site has the same bytes ==========================

. "${lib}/common.sh"
. "${lib}/change.sh"
. "${lib}/caller.sh"
. "${lib}/certificates.sh"
. "${lib}/renewal.sh"

# ---- The files in ~/.docker -------------------------------------------------

readonly purpose=sslclient signer=ca/30-sign-clients.sh
readonly accepts=' --dir --yes --check --undo --remove-keys --help '
readonly description="dockseal ${script}"
readonly block_start="# >>> dockseal ${script} >>>"
readonly block_end="# <<< dockseal ${script} <<<"
# What docker reads, and no other name.
readonly -a installed=(key.pem cert.pem ca.pem)

# What was in ~/.docker before is kept in before-dockseal, as long as this
# client is configured, with two files of this script's own:
#   record  this script, and the mode of each folder that was there before
#   digests of all that this script has installed in ~/.docker

# Prints the script that has configured ~/.docker, or nothing.
configured_by() {
  local name=''
  if [[ -f ${previous}/record ]]; then read -r name <"${previous}/record"; fi
  printf '%s\n' "${name}"
}

# Prints the mode that a folder had before, or nothing where there was none.
mode_before() { # mode_before FOLDER, below ~/.docker
  local mode name
  if [[ ! -f ${previous}/record ]]; then return; fi
  while read -r mode name; do
    if [[ ${name} == "$1" ]]; then printf '%s\n' "${mode}"; fi
  done <"${previous}/record"
}

text_of_record() {
  local name
  printf '%s\n' "${script}"
  for name in . contexts contexts/meta contexts/tls; do
    if [[ -d ${docker_config}/${name} ]]; then
      stat --dereference --printf "%a ${name}\n" -- "${docker_config}/${name}"
    fi
  done
}

# Copies a file, or a link as the link that it is: it goes back to the folder
# from which it leads.
keep_entry() { # keep_entry FILE COPY
  if [[ -L $1 ]]; then
    run cp --no-dereference --remove-destination -T -- "$1" "$2"
  else
    keep_copy "$1" "$2"
  fi
}

# A folder ~/.docker that was not there comes whole, with its record: a killed
# run leaves none of which nobody knows whose it is.
keep_previous() {
  local name new=${previous}.new whole=${previous}
  if [[ -d ${previous} ]]; then return; fi
  remove_leftovers
  if [[ ! -d ${docker_config} ]]; then
    whole=${docker_config}
    new=${docker_config}.new/${previous##*/}
    run mkdir -m 0700 -- "${docker_config}.new"
  fi
  run mkdir -m 0700 -- "${new}"
  for name in "${installed[@]}"; do
    if [[ -e ${docker_config}/${name} || -L ${docker_config}/${name} ]]; then
      keep_entry "${docker_config}/${name}" "${new}/${name}"
    fi
  done
  if [[ -n ${shell_profile} && -e ${profile} ]]; then
    keep_copy "${profile}" "${new}/profile"
  fi
  write_file "${new}/record" 0600 "$(text_of_record)"
  run mv -T -- "${whole}.new" "${whole}"
}

# What a killed run was about to put in place. It may hold a key.
remove_leftovers() {
  local name
  if [[ -d ${previous} ]]; then
    for name in "${installed[@]/#/"${docker_config}/"}"; do
      if [[ -e ${name}.new || -L ${name}.new ]]; then
        run rm -f -- "${name}.new"
      fi
    done
  fi
  for name in "${previous}.new" "${docker_config}.new"; do
    if [[ -e ${name} || -L ${name} ]]; then run rm -rf -- "${name}"; fi
  done
}

# A killed run leaves a new folder with nothing in it but before-dockseal.
is_leftover() { # is_leftover FOLDER
  [[ -d $1 && ! -L $1 && $(ls -A -- "$1") =~ ^("${previous##*/}")?$ ]]
}

# From now on these files are this script's own: those that come, and those that
# are in place, of which keep_previous has copies.
record_digests() {
  local text name
  local -a files=("${key}" "${certificate}" "${ca}")
  if [[ ! -e ${certificate} || ! -e ${key} || ! -e ${ca} ]]; then return; fi
  for name in "${installed[@]/#/"${docker_config}/"}"; do
    if [[ -e ${name} ]]; then files+=("${name}"); fi
  done
  text=$(sha256sum -- "${files[@]}" | cut --bytes=1-64)
  if [[ -f ${previous}/digests ]]; then
    text+=$'\n'$(cat -- "${previous}/digests")
  fi
  write_file "${previous}/digests" 0600 "$(sort --unique <<<"${text}")"
}

# True when this script has installed a file; an earlier version took no note.
is_our_file() { # is_our_file FILE
  local digest
  if [[ ! -f ${previous}/digests ]]; then return; fi
  digest=$(sha256sum -- "$1")
  [[ $(<"${previous}/digests") == *"${digest%% *}"* ]]
}

install_file() { # install_file SOURCE FILE MODE
  local file=${docker_config}/$2
  if [[ ! -L ${file} ]] && is_same_file "$1" "${file}" &&
    [[ $(stat --format '%a' -- "${file}") == "$3" ]]; then
    return
  fi
  run install -m "$3" -T -- "$1" "${file}.new"
  if [[ ${verb} != check ]] && ! is_same_file "$1" "${file}.new"; then
    die 1 "${file}.new did not read back; is the disk full? ${leaves}"
  fi
  run sync -- "${file}.new"
  run mv -fT -- "${file}.new" "${file}"
}

# D15, D18: docker reads exactly ca.pem, cert.pem and key.pem.
install_files() {
  leaves="some files of ${docker_config} may be new; run this again to finish,"
  leaves+=' or with --undo to put back what was there'
  keep_previous
  if [[ -d ${docker_config} &&
    $(stat --dereference --format '%a' -- "${docker_config}") != 700 ]]; then
    run chmod 0700 -- "${docker_config}"
  fi
  record_digests
  install_file "${key}" key.pem 600
  install_file "${certificate}" cert.pem 644
  if ! is_same_file "${ca}" "${docker_config}/ca.pem"; then
    show_authorities "${ca}"
  fi
  install_file "${ca}" ca.pem 644
}

restore_files() {
  local name file
  if [[ ! -d ${previous} ]]; then return; fi
  for name in "${installed[@]}"; do
    file=${docker_config}/${name}
    if [[ -e ${previous}/${name} || -L ${previous}/${name} ]]; then
      keep_entry "${previous}/${name}" "${file}.new"
      run mv -fT -- "${file}.new" "${file}"
    elif [[ ${name} == key.pem && -e ${file} && ! -e ${key} ]] &&
      ((! remove_keys)); then
      note "kept: ${file}, the only copy of this key"
    elif [[ -e ${file} ]]; then
      run rm -f -- "${file}"
    fi
  done
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

# Prints docker's own file about a context, or nothing. docker itself reads no
# context where the current one is gone, or where it is not installed any more.
meta_of() { # meta_of NAME
  local file
  file=${docker_config}/contexts/meta/$(context_folder "$1")/meta.json
  if [[ -s ${file} ]]; then cat -- "${file}"; fi
}

# A kill or a power cut inside docker leaves a context without a description:
# then docker reads no other context either, or leaves a key there.
remove_half_made() { # remove_half_made NAME
  if [[ -z $(meta_of "$1") ]]; then remove_context_files "$1"; fi
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
  [[ $(meta_of "$1") == *"\"Description\":\"${description}\""* ]]
}

# A context holds copies of the files: they must be the present ones.
is_present_context() { # is_present_context NAME DOCKER_HOST
  local copies
  copies=${docker_config}/contexts/tls/$(context_folder "$1")/docker
  is_our_context "$1" && [[ $(meta_of "$1") == *"\"Host\":\"$2\""* ]] &&
    is_same_file "${ca}" "${copies}/ca.pem" &&
    is_same_file "${certificate}" "${copies}/cert.pem" &&
    is_same_file "${key}" "${copies}/key.pem"
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
    remove_half_made "${name}"
    if is_present_context "${name}" "${host}"; then continue; fi
    action=create
    if is_our_context "${name}"; then action=update; fi
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

# Prints the contexts that this script made, for earlier hosts of the site too.
our_contexts() {
  local file text
  for file in "${docker_config}"/contexts/meta/*/meta.json; do
    if [[ ! -s ${file} ]]; then continue; fi
    text=$(cat -- "${file}")
    if [[ ${text} == *"\"Description\":\"${description}\""* &&
      ${text} =~ \"Name\":\"([^\"]+)\" ]]; then
      printf '%s\n' "${BASH_REMATCH[1]}"
    fi
  done
}

# docker forgets its current context only where it is not told to use another.
remove_context() { # remove_context NAME
  local text='' current=0
  if [[ -r ${docker_config}/config.json ]]; then
    text=$(cat -- "${docker_config}/config.json")
  fi
  if [[ ${text} =~ \"currentContext\":[[:space:]]*\""$1"\" ]]; then
    current=1
  fi
  if ! has_docker; then
    remove_context_files "$1"
  elif ((current)); then
    run env --unset=DOCKER_CONTEXT docker context rm --force "$1" ||
      remove_context_files "$1"
  else
    run docker context rm --force "$1" || remove_context_files "$1"
  fi
}

remove_contexts() {
  local row name
  for ((row = 0; row < ${#contexts[@]}; row += 2)); do
    remove_half_made "${contexts[row]}"
  done
  while IFS= read -r name; do
    if [[ -n ${name} ]]; then remove_context "${name}"; fi
  done <<<"$(our_contexts)"
}

# ---- The shell profile ------------------------------------------------------

# Prints how many lines this script's block has, which begins with the first of
# LINEs. Where its end was deleted, what follows is somebody else's.
length_of_block() { # length_of_block LINE...
  local line length=0
  for line in "$@"; do
    if ((length)) && [[ ${line} == "${block_start}" ]]; then break; fi
    length=$((length + 1))
    if [[ ${line} == "${block_end}" ]]; then break; fi
  done
  if [[ ${line} != "${block_end}" ]]; then
    length=1
    for line in "${@:2:2}"; do
      [[ ${line} =~ ^export\ DOCKER_(HOST|TLS_VERIFY)= ]] || break
      length=$((length + 1))
    done
  fi
  printf '%d\n' "${length}"
}

# Prints the profile without this script's block.
profile_without_block() {
  local number=0
  local -a lines
  mapfile -t lines <"${profile}"
  while ((number < ${#lines[@]})); do
    if [[ ${lines[number]} == "${block_start}" ]]; then
      number=$((number + $(length_of_block "${lines[@]:number}")))
    else
      printf '%s\n' "${lines[number]}"
      number=$((number + 1))
    fi
  done
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
  # What a killed run was about to put in place.
  if [[ -n ${shell_profile} && -f ${profile}.new &&
    $(<"${profile}.new") == *"${block_start}"* ]]; then
    run rm -f -- "${profile}.new"
  fi
  if [[ -z ${shell_profile} || ! -e ${profile} ]]; then return; fi
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

# ---- Before the first change ------------------------------------------------

# Stops where this user could not write, or where others could.
check_home() {
  local owner
  [[ -d ${HOME} ]] ||
    die 2 "HOME is ${HOME}, and there is no such folder; ${leaves}"
  if [[ -e ${docker_config}.new || -L ${docker_config}.new ]]; then
    is_leftover "${docker_config}.new" ||
      die 2 "${docker_config}.new is somebody's; move it away; ${leaves}"
  fi
  if [[ ! -e ${docker_config} && ! -L ${docker_config} ]]; then
    need_safe "${HOME}"
    return
  fi
  [[ -d ${docker_config} ]] ||
    die 2 "${docker_config} is no folder; move it away; ${leaves}"
  owner=$(stat --dereference --format '%U' -- "${docker_config}")
  [[ -O ${docker_config} ]] ||
    die 2 \
      "${docker_config} belongs to ${owner}, and $(id -un) runs this; run as" \
      "${owner}: chown -R $(id -un) ${docker_config}; ${leaves}"
  need_safe "${docker_config}"
}

check_profile() {
  if [[ -z ${shell_profile} ]]; then return; fi
  if [[ ! -e ${profile} ]]; then
    [[ ${verb} == undo || -d ${profile%/*}/ ]] ||
      die 2 \
        "shell_profile is ~/${shell_profile}, and there is no folder" \
        "${profile%/*}; make it; ${leaves}"
    return
  fi
  need_safe "${profile%/*}/"
  [[ -f ${profile} && -O ${profile} && -r ${profile} ]] ||
    die 2 "${profile} is not a file of $(id -un)'s own; ${leaves}"
  if IFS= read -r -d '' _ <"${profile}"; then
    die 2 "${profile} holds a NUL byte: it is no shell profile; ${leaves}"
  fi
}

# Whoever has the key of a CA that docker trusts can be each of its hosts.
check_authorities() {
  local trusted='' problem
  if [[ -d ${previous} ]]; then trusted=${docker_config}/ca.pem; fi
  problem=$(why_not_trusted "${ca}" "${trusted}" "${certificate}")
  [[ -z ${problem} ]] ||
    die 2 \
      "${ca} is refused: ${problem}. Bring it from the CA again, and compare" \
      "its sha256 with the one that the CA shows; ${leaves}"
}

# docker reads one certificate in ~/.docker: a user is one client.
refuse_second_client() { # refuse_second_client SCRIPT_OF_THE_FIRST
  die 2 \
    "$(id -un) is ${1%/*} already, and docker reads one certificate in" \
    "${docker_config}. Let the user who will be ${script%/*} run setup.sh" \
    "--as ${script%/*}, here or on another machine, and run yours with --as" \
    "${1%/*} (and --as for what else this machine is); or take the first" \
    "one away: bash $1 --undo; ${leaves}"
}

# Stops where ~/.docker is not as this script left it.
check_owner() {
  local other file
  other=$(configured_by)
  if [[ -n ${other} && ${other} != "${script}" ]]; then
    if [[ ${verb} == undo ]]; then finish; fi
    refuse_second_client "${other}"
  fi
  for file in "${installed[@]/#/"${docker_config}/"}"; do
    if [[ ! -e ${file} ]]; then continue; fi
    [[ -f ${file} && -r ${file} ]] ||
      die 2 "${file} is not a file that can be read; move it away; ${leaves}"
    if [[ ! -d ${previous} ]] || is_our_file "${file}"; then continue; fi
    die 2 \
      "${file} is not what this script installed: somebody has changed it." \
      "Move it away and run this again; ${leaves}"
  done
}

check_contexts() {
  local row name meta
  for ((row = 0; row < ${#contexts[@]}; row += 2)); do
    name=${contexts[row]}
    meta=$(meta_of "${name}")
    if [[ -z ${meta} ]] || is_our_context "${name}"; then continue; fi
    if [[ ${meta} =~ \"Description\":\"dockseal\ (clients/[^\"]+)\" ]]; then
      refuse_second_client "${BASH_REMATCH[1]}"
    fi
    die 2 \
      "there is a docker context ${name} that this script did not make. Give" \
      "it another name: docker context export ${name} - | docker context" \
      "import OTHER-NAME -; docker context rm ${name}; ${leaves}"
  done
}

# ---- The verbs --------------------------------------------------------------

# docker context rm leaves empty folders behind. ~/.docker goes as a whole, as
# it came: a killed run leaves none of which nobody knows whose it is.
remove_folders() {
  local name folder mode found
  if [[ ! -d ${previous} ]]; then return; fi
  mode=$(mode_before .)
  for name in contexts/meta contexts/tls contexts; do
    folder=${docker_config}/${name}
    if [[ ! -d ${folder} || -n $(mode_before "${name}") ]]; then continue; fi
    found=$(ls -A -- "${folder}")
    if [[ -z ${found} ]]; then run rmdir -- "${folder}"; fi
  done
  found=$(ls -A -- "${docker_config}")
  if [[ -z ${mode} && ${found} == "${previous##*/}" ]]; then
    run mv -T -- "${docker_config}" "${docker_config}.new"
    run rm -rf -- "${docker_config}.new"
    return
  fi
  found=$(stat --dereference --format '%a' -- "${docker_config}")
  if [[ -n ${mode} && ${mode} != "${found}" ]]; then
    run chmod "${mode}" -- "${docker_config}"
  fi
  run rm -rf -- "${previous}"
}

undo() {
  check_owner
  leaves='a part of it is undone; run this again to finish'
  remove_leftovers
  remove_contexts
  clean_profile
  restore_files
  remove_folders
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
  # docker asks the current context first, whatever it is told to do: one that
  # is gone would stop it.
  export DOCKER_CONTEXT=default
  # The file itself, where the profile is a symbolic link.
  profile=$(realpath --canonicalize-missing -- "${HOME}/${shell_profile}")
  check_home
  check_profile
  if [[ ${verb} != check && -d ${folder} ]]; then lock "${folder}/.lock"; fi
  if [[ ${verb} == undo ]]; then undo; fi
  need_own_config
  if [[ -d ${folder} ]]; then need_safe "${folder}"; fi
  check_owner
  check_contexts
  choose_pair
  if [[ ${verb} == check && ! -e ${certificate} ]]; then
    note "${certificate} is not here yet"
  else
    check_certificate
    check_authorities
  fi
  install_files
  create_contexts
  write_profile
  finish_renewal
  remove_request
  finish
}

main "$@"
