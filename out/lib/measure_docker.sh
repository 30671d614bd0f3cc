# ---- What docker does with its flags and variables, seen at the impostor ----

# Finds the client's files, for docker to use; stops where one cannot be read.
find_client_files() {
  local file
  docker_config=${HOME}/.docker
  key=${docker_config}/key.pem
  certificate=${docker_config}/cert.pem
  ca=${docker_config}/ca.pem
  need_own_config
  need_access "${key}"
  for file in "${key}" "${certificate}" "${ca}"; do
    [[ -e ${file} ]] ||
      die 2 "${file} is not there: run 20-configure-client.sh first"
    [[ -r ${file} ]] ||
      die 2 "$(id -un) cannot read ${file}; run this as its owner"
  done
}

# ---- Folders for docker: links to the client's files, no copies -------------

# own: the client's files. other: the same with the impostor's CA. none: empty.
link_own_files() {
  local folder
  mkdir -- "${scratch}/own" "${scratch}/other" "${scratch}/none"
  for folder in own other; do
    ln -s -- "${certificate}" "${scratch}/${folder}/cert.pem"
    ln -s -- "${key}" "${scratch}/${folder}/key.pem"
  done
  ln -s -- "${ca}" "${scratch}/own/ca.pem"
  ln -s -- "${scratch}/another-ca.pem" "${scratch}/other/ca.pem"
}

# Makes all that docker is measured with, but for another CA.
prepare_measuring() {
  make_impostor
  link_own_files
  start_impostor
}

# docker asks the host of the current context first, whatever it is told to do.
context_host() { # context_host NAME
  DOCKER_CONTEXT=default docker context inspect \
    --format '{{.Endpoints.docker.Host}}' "$1" 2>/dev/null
}

# Links the files of a docker context to FOLDER; CA takes the place of its own.
link_context_files() { # link_context_files CONTEXT_FOLDER FOLDER CA
  local file
  for file in ca.pem cert.pem key.pem; do
    if [[ -e $1/${file} ]]; then
      mkdir -p -- "$2"
      ln -sf -- "$1/${file}" "$2/${file}"
    fi
  done
  if [[ -e $1/ca.pem && -n $3 ]]; then ln -sf -- "$3" "$2/ca.pem"; fi
}

# Makes a docker context in own and other that leads to the impostor, not to
# its host, and is the same else. Status 1 where there is no such context, or
# one in which its host is not found.
link_context() { # link_context NAME
  local digest host meta folder contexts ca_of_other=''
  digest=$(printf '%s' "$1" | sha256sum)
  digest=${digest%% *}
  contexts=${docker_config}/contexts
  if [[ ! -r ${contexts}/meta/${digest}/meta.json ]]; then return 1; fi
  host=$(context_host "$1") || return 1
  meta=$(<"${contexts}/meta/${digest}/meta.json")
  if [[ ! ${meta} =~ \"Host\":[[:space:]]*\""${host}"\" ]]; then return 1; fi
  meta=${meta//"${BASH_REMATCH[0]}"/"\"Host\":\"tcp://${impostor}\""}
  for folder in own other; do
    mkdir -p -- "${scratch}/${folder}/contexts/meta/${digest}"
    printf '%s\n' "${meta}" \
      >"${scratch}/${folder}/contexts/meta/${digest}/meta.json"
    link_context_files "${contexts}/tls/${digest}/docker" \
      "${scratch}/${folder}/contexts/tls/${digest}/docker" "${ca_of_other}"
    ca_of_other=${scratch}/another-ca.pem
  done
}

# ---- What docker does -------------------------------------------------------

# Runs docker ps. WORDs are variables (NAME=VALUE) or options; HOST, CA, CERT,
# KEY and FOLDER at their end stand for ADDRESS and for the files in CONFIG,
# docker's own folder. POOL is the system's pool of CAs, '' for its real one.
docker_ps() { # docker_ps CONFIG POOL ADDRESS WORD...
  local word
  local -a options=()
  export DOCKER_CONFIG=$1
  unset SSL_CERT_FILE SSL_CERT_DIR
  if [[ -n $2 ]]; then export SSL_CERT_FILE=$2 SSL_CERT_DIR=/dev/null; fi
  for word in "${@:4}"; do
    word=${word/%=HOST/"=$3"}
    word=${word/%=CA/"=$1/ca.pem"}
    word=${word/%=CERT/"=$1/cert.pem"}
    word=${word/%=KEY/"=$1/key.pem"}
    word=${word/%=FOLDER/"=$1"}
    if [[ ${word} == -* ]]; then
      options+=("${word}")
    else
      export "${word?}"
    fi
  done
  timeout --foreground 20 docker "${options[@]}" ps --quiet 2>&1
}

# What the impostor sees of it. Sets said, seen and heard: 0 where docker waited
# in vain.
ask_impostor() { # ask_impostor CONFIG POOL WORD...
  local status=0
  : >"${scratch}/impostor.log"
  said=$(docker_ps "$1" "$2" "tcp://${impostor}" "${@:3}") || status=$?
  if ((status == 124)) || [[ ${said} == *timeout* ]] ||
    ! is_impostor_free; then
    heard=0
  fi
  seen=$(<"${scratch}/impostor.log")
}

# Tells yes, no or - (docker stopped before it connected) of three questions:
# server: did it refuse the impostor? sent: was there a client certificate?
# plain: was it plain text?
measure() { # measure WORD...; sets server, sent, plain and said
  server=- sent=- plain=- said=${unheard}
  if ((! heard)); then return; fi
  ask_impostor "${scratch}/own" '' "$@"
  case ${seen} in
    *'http request'*) server=no sent=no plain=yes ;;
    *'CONNECTION ESTABLISHED'*) server=no plain=no ;;
    *' alert '*)
      server=yes plain=no
      ask_with_its_own_ca "$@"
      ;;
    *) ;;
  esac
  case ${seen} in
    *'No peer certificate'*) sent=no ;;
    *'Peer certificate: '*) sent=yes ;;
    *) ;;
  esac
}

# The positive control of a refusal: the impostor is accepted when its own CA
# stands in the place of the client's. Only then does a client certificate show.
ask_with_its_own_ca() { # ask_with_its_own_ca WORD...
  local refusal=${said}
  ask_impostor "${scratch}/other" "${scratch}/another-ca.pem" "$@"
  [[ ${seen} == *'CONNECTION ESTABLISHED'* ]] || server='?'
  said=${refusal}
}

# Prints what measure has set.
measured() {
  printf 'server authenticated: %s; client certificate sent: %s; ' \
    "${server}" "${sent}"
  printf 'plain text: %s' "${plain}"
}

# Prints the command that was run, as it can be typed.
typed() { # typed DOCKER_HOST WORD...
  local word
  local -a variables=() options=()
  for word in "${@:2}"; do
    word=${word/%=HOST/"=$1"}
    word=${word/%=CA/"=${ca}"}
    word=${word/%=CERT/"=${certificate}"}
    word=${word/%=KEY/"=${key}"}
    word=${word/%=FOLDER/"=${docker_config}"}
    if [[ ${word} == -* ]]; then
      options+=("${word}")
    else
      variables+=("${word}")
    fi
  done
  printf '%q ' "${variables[@]}" docker "${options[@]}" ps
  printf '%s' --quiet
}
