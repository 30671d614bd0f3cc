# ---- An impostor: a TLS server of another CA on a loopback port -------------

# Prints the names and addresses of all hosts, for a certificate.
names_of_hosts() {
  local row
  for ((row = 2; row < ${#hosts[@]}; row += 4)); do
    if [[ ${hosts[row]} == *:* || ${hosts[row]} =~ ^[0-9.]+$ ]]; then
      printf ',IP:%s' "${hosts[row]}"
    else
      printf ',DNS:%s' "${hosts[row]}"
    fi
  done
}

# Its certificate has the hosts' own names too: only its CA is not theirs.
make_impostor() {
  local names
  names=DNS:localhost,IP:127.0.0.1$(names_of_hosts)
  printf '%s\n' '[req]' 'distinguished_name = subject' '[subject]' '[server]' \
    'basicConstraints = critical, CA:FALSE' \
    'keyUsage = critical, digitalSignature' 'extendedKeyUsage = serverAuth' \
    "subjectAltName = ${names}" >"${scratch}/impostor.cnf"
  openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 \
    -pkeyopt ec_param_enc:named_curve -out "${scratch}/impostor.key"
  openssl req -new -config "${scratch}/impostor.cnf" -subj '/CN=impostor' \
    -key "${scratch}/impostor.key" -sha256 -out "${scratch}/impostor.csr"
  openssl x509 -req -days 2 -sha256 -in "${scratch}/impostor.csr" \
    -CA "${scratch}/another-ca.pem" -CAkey "${scratch}/another-ca.key" \
    -set_serial 2 -extfile "${scratch}/impostor.cnf" -extensions server \
    -out "${scratch}/impostor.pem" 2>/dev/null
}

impostor_pids=() # the server, and what ends it

# It asks for a client certificate, takes any or none, and turns each line
# around: docker gets an answer at once, and one that is no answer of a daemon.
start_impostor() {
  local text deadline=$((SECONDS + 10))
  : >"${scratch}/impostor.log"
  openssl s_server -accept 127.0.0.1:0 -rev -verify 1 \
    -cert "${scratch}/impostor.pem" -key "${scratch}/impostor.key" \
    </dev/null >>"${scratch}/impostor.log" 2>&1 &
  impostor_pids=("$!")
  # It ends with this script, even when that is killed.
  {
    tail --pid="$$" --follow /dev/null
    kill "${impostor_pids[0]}"
  } &>/dev/null &
  impostor_pids+=("$!")
  while ((SECONDS < deadline)); do
    text=$(<"${scratch}/impostor.log")
    if [[ ${text} =~ ACCEPT\ 127\.0\.0\.1:([0-9]+) ]]; then
      impostor=127.0.0.1:${BASH_REMATCH[1]}
      return
    fi
    sleep 0.05
  done
  die 1 "openssl s_server does not start: ${text}"
}

stop_impostor() {
  kill "${impostor_pids[@]}" 2>/dev/null || true
}

knock_at_impostor() {
  local connection
  exec {connection}<>"/dev/tcp/${impostor%:*}/${impostor#*:}"
  printf 'this is no handshake\n' >&"${connection}"
  read -r -t 10 -N 100 -u "${connection}"
}

# The impostor serves one connection after the other: once it has hung up on
# this one, its log of those before is complete.
wait_for_impostor() {
  run_for 10 knock_at_impostor &>/dev/null || true
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
  [[ -r ${contexts}/meta/${digest}/meta.json ]] || return 1
  host=$(context_host "$1") || return 1
  meta=$(<"${contexts}/meta/${digest}/meta.json")
  [[ ${meta} =~ \"Host\":[[:space:]]*\""${host}"\" ]] || return 1
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

# ---- What docker does with its flags and variables --------------------------

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
  timeout 20 docker "${options[@]}" ps --quiet 2>&1
}

# What the impostor sees of it.
ask_impostor() { # ask_impostor CONFIG POOL WORD...; sets said and seen
  : >"${scratch}/impostor.log"
  said=$(docker_ps "$1" "$2" "tcp://${impostor}" "${@:3}") || true
  wait_for_impostor
  seen=$(<"${scratch}/impostor.log")
}

# Tells yes, no or - (docker stopped before it connected) of three questions:
# server: did it refuse the impostor? sent: was there a client certificate?
# plain: was it plain text?
measure() { # measure WORD...; sets server, sent, plain and said
  server=- sent=- plain=-
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
