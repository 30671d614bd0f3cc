# ---- What a client authenticates --------------------------------------------

accepts=' --dir --json --yes --check --undo --remove-keys --help '
readonly accepts

verify_client_files() {
  local owner problem
  owner=$(id -un)
  owner+=:$(id -gn)
  asked="namei --long ${docker_config}"
  problem=$(file_problem "${docker_config}" "${owner}" 700)
  if [[ -z ${problem} ]]; then problem=$(why_unsafe "${docker_config}"); fi
  judge CFILE-1 "${docker_config} is ${owner} 700 or less, and nobody can\
 replace it" "${problem}" "$(namei --long -- "${docker_config}")" \
    "chown ${owner} ${docker_config}; chmod 700 ${docker_config}"
  judge_file CFILE-2 "${key}" "${owner}" 600
}

# Prints each CA in a bundle, with the digest that people compare.
list_bundle() { # list_bundle BUNDLE
  local authority digest subject
  local -a roots=() announcements=()
  sort_certificates "$1" || return 0
  for authority in "${roots[@]}"; do
    digest=$(digest_of_pem "${authority}")
    subject=$(openssl x509 -noout -subject <<<"${authority}")
    printf 'sha256 %s: %s\n' "${digest}" "${subject}"
  done
}

# Whoever has the key of one of these CAs can be each host.
judge_bundle() { # judge_bundle ID WHAT BUNDLE
  local problem listed own
  asked="openssl crl2pkcs7 -nocrl -certfile $3 | openssl pkcs7 -print_certs"
  listed=$(list_bundle "$3")
  problem=$(why_not_trusted "$3" "$3")
  own=$(own_bundle)
  if [[ -z ${problem} ]] && ! is_same_file "$3" "${ca}"; then
    problem="it is not the same as ${ca}"
  elif [[ -z ${problem} && -n ${own} ]]; then
    problem=$(strange_authorities "$3" "${own}")
  elif [[ -z ${problem} ]]; then
    report "$1" SKIP "$2 trusts the site's CA alone" \
      "no ca-public.pem of the site is in ${dir}; give --dir" ''
    return
  fi
  judge "$1" "$2 trusts the site's CA alone" \
    "${problem:+$3: ${problem%; }${listed:+$'\n'${listed}}}" "${listed}" \
    "compare the sha256 with the CA's own; bring ca-public.pem from the CA\
 again and run 20-configure-client.sh"
}

judge_copied_bundle() { # judge_copied_bundle NAME
  local digest bundle
  digest=$(printf '%s' "$1" | sha256sum)
  bundle=${docker_config}/contexts/tls/${digest%% *}/docker/ca.pem
  if [[ -e ${bundle} ]]; then
    judge_bundle CLIENT-6 "docker --context $1" "${bundle}"
  else
    report CLIENT-6 SKIP "docker --context $1 trusts the site's CA alone" \
      "there is no ${bundle}" ''
  fi
}

# There is no daemon's log here: what is wrong with this client's certificate
# is what the daemon will have found.
explain() { # explain TEXT
  local log said
  log=$(why_not_valid "${certificate}" "${ca}" sslclient)
  if [[ -n ${log} ]]; then
    log+=$'\n'$(openssl x509 -in "${certificate}" -noout -dates)
  fi
  said=$(reason_in "$1")
  if [[ ${said} == 'no answer' && -n $1 ]]; then said=${1%%$'\n'*}; fi
  printf '%s (%s)\n' "$(explain_handshake "$1" "${log}")" "${said}"
}

# Prints the proxy variables of whoever runs this, one a line.
caller_proxies() {
  local variable value
  for variable in {http,https,no}_proxy {HTTP,HTTPS,NO}_PROXY; do
    value=$(caller_value "${variable}")
    if [[ -n ${value} ]]; then printf '%s\n' "${variable}=${value}"; fi
  done
}

docker_through() { # docker_through PROXIES OPTION...
  local setting
  while read -r setting; do
    if [[ -n ${setting} ]]; then export "${setting?}"; fi
  done <<<"$1"
  timeout --foreground 20 docker "${@:2}" 2>&1
}

# docker goes through those proxies, openssl, with which CLIENT-1 asks, through
# none. Where docker gets its answer without them, they are the problem.
ask_docker_at() { # ask_docker_at NAME OPTION...; sets text, problem and remedy
  local proxies
  proxies=$(caller_proxies)
  problem=''
  asked="${proxies//$'\n'/ }${proxies:+ }docker ${*:2}"
  if text=$(docker_through "${proxies}" "${@:2}"); then return; fi
  problem=$(explain "${text}")
  if [[ -z ${proxies} ]]; then return; fi
  if text=$(docker_through '' "${@:2}"); then
    problem="client: docker goes through the proxy of ${proxies//$'\n'/ } and"
    problem+=" gets no answer there; without it $1 answers"
    remedy="add $1 to no_proxy, in the environment and in the shell profile"
  else
    problem=$(explain "${text}")
  fi
}

# D17: docker -H tcp://HOST:2376 --tlsverify --tlscacert=ca-public.pem
#      --tlscert=client-certificate.pem --tlskey=client-key.pem ps
verify_docker() { # verify_docker CONNECT DOCKER_HOST
  local text problem
  local remedy='read journalctl --unit docker.service on that host'
  if ((! has_docker)); then
    report CLIENT-3 SKIP "docker ps on $2" 'there is no docker client here' ''
    return
  fi
  ask_docker_at "$1" -H "$2" --tlsverify --tlscacert="${ca}" \
    --tlscert="${certificate}" --tlskey="${key}" ps
  judge CLIENT-3 "docker ps on $2" "${problem}" "${text}" "${remedy}"
}

# Prints in what a docker context differs from what 20-configure-client.sh made.
difference_of_context() { # difference_of_context NAME DOCKER_HOST
  local digest file host
  host=$(context_host "$1") || {
    printf 'client: there is no docker context %s: run %s\n' "$1" \
      '20-configure-client.sh'
    return
  }
  if [[ ${host} != "$2" ]]; then
    printf 'it leads to %s, and the site says %s\n' "${host}" "$2"
    return
  fi
  digest=$(printf '%s' "$1" | sha256sum)
  for file in ca cert key; do
    is_same_file "${docker_config}/${file}.pem" \
      "${docker_config}/contexts/tls/${digest%% *}/docker/${file}.pem" ||
      printf 'its %s.pem is not %s\n' "${file}" "${docker_config}/${file}.pem"
  done
}

# A context that leads elsewhere is not followed.
verify_context() { # verify_context CONNECT NAME DOCKER_HOST
  local text='' problem remedy='run 20-configure-client.sh again'
  if ((! has_docker)); then
    report CLIENT-4 SKIP "docker --context $2 gets an answer" \
      'there is no docker client here' ''
    return
  fi
  problem=$(difference_of_context "$2" "$3")
  if [[ -z ${problem} ]]; then
    ask_docker_at "$1" --context "$2" version --format '{{.Server.Version}}'
  fi
  judge CLIENT-4 "docker --context $2 gets an answer" "${problem}" \
    "server ${text}" "${remedy}"
}

# The client must refuse the real host when it trusts another CA only.
verify_server() { # verify_server CONNECT PORT
  local answer problem=''
  asked="openssl s_client -connect $1:$2 -CAfile ${ca}"
  asked+=" -cert ${certificate} -key ${key}"
  answer=$(ask_daemon "$1" "$2" "$1" "${ca}" -cert "${certificate}" \
    -key "${key}")
  is_answer "${answer}" || problem=$(explain "${answer}")
  judge CLIENT-1 "$1:$2 answers and has a certificate of this CA" "${problem}" \
    'HTTP/1.1 200 OK' \
    "is $1 that machine, does its dockerd run, is the name in its certificate?"
  asked="openssl s_client -connect $1:$2 -CAfile another-ca.pem"
  answer=$(ask_daemon "$1" "$2" "$1" "${scratch}/another-ca.pem" \
    -cert "${certificate}" -key "${key}")
  problem=''
  if is_answer "${answer}"; then
    problem='it got an answer'
  elif [[ ${answer} != *'certificate verify failed'* ]]; then
    problem="it failed for another reason: $(explain "${answer}")"
  fi
  judge CLIENT-2 "$1:$2 is refused by a client that trusts another CA" \
    "${problem}" "$(reason_in "${answer}")" 'compare the CA of host and client'
}

# ---- The ways in which docker is called here --------------------------------

# Prints what is wrong with a way of this client's own, after measure.
problem_of_mode() {
  if ((! heard)); then
    printf '%s' "${unheard}"
    return
  fi
  case ${server}${plain} in
    ?yes | noyes) printf 'docker sends plain text' ;;
    no*) printf 'docker accepts a server of another CA' ;;
    '?'*) printf 'docker refuses each server: the refusal shows nothing' ;;
    *) ;;
  esac
}

# Its number is that in the table of 50-show-tls-modes.sh.
verify_mode() { # verify_mode NUMBER WAY WORD...
  local what="docker with $2 refuses a server of another CA" problem found
  measure "${@:3}"
  asked="$(typed "tcp://${impostor}" "${@:3}"), at tcp://${impostor}"
  if [[ ${server} == - ]] && ((heard)); then
    report "MODE-$1" SKIP "${what}" "$(explain_handshake "${said}")" ''
    return
  fi
  problem=$(problem_of_mode)
  found=$(measured)
  judge "MODE-$1" "${what}" "${problem}" \
    "${found}; docker said: ${said%%$'\n'*}" \
    'run 20-configure-client.sh again; give --tlsverify and a CA'
}

# What needs no host. Sets has_docker.
verify_ways() {
  local id
  has_docker=0
  if ! command -v docker >/dev/null; then
    for id in PLAIN-1 MODE-7; do
      report "${id}" SKIP 'docker sends no plain text, and checks the server' \
        'there is no docker client here' ''
    done
    return
  fi
  has_docker=1
  prepare_measuring
  verify_plain_text
  verify_mode 7 '--tlsverify, CA, certificate and key' --host=HOST \
    --tlsverify --tlscacert=CA --tlscert=CERT --tlskey=KEY
  verify_mode 13 DOCKER_TLS_VERIFY=1 DOCKER_TLS_VERIFY=1 DOCKER_HOST=HOST
}

verify_host() { # verify_host NAME DOCKER_HOST CONNECT PORT
  verify_server "$3" "$4"
  verify_docker "$3" "$2"
  verify_context "$3" "$1" "$2"
  judge_copied_bundle "$1"
  if ((has_docker)); then
    link_context "$1" || true
    verify_mode 17 "--context $1" "--context=$1"
  fi
}

verify_docker_client() {
  local row
  parse_options "$@"
  need_openssl
  if [[ ${verb} != apply ]]; then exit 0; fi
  if [[ -d ${dir} ]]; then need_safe "${dir}"; fi
  find_client_files
  make_another_ca
  report_pair CCERT "${certificate}" "${key}" "${ca}" sslclient
  verify_client_files
  judge_bundle CLIENT-5 docker "${ca}"
  verify_ways
  for ((row = 0; row < ${#hosts[@]}; row += 4)); do
    verify_host "${hosts[@]:row:4}"
  done
  finish_report
}
