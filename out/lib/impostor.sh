# ---- An impostor: a TLS server of another CA on a loopback port -------------

# Makes scratch, the folder of all this, with a CA that nobody trusts. It goes
# with this script, and so does the impostor.
make_another_ca() {
  scratch=$(mktemp -d)
  trap 'stop_impostor; rm -rf -- "${scratch}"' EXIT
  # timeout(1) keeps a Ctrl-C from what it runs, and bash would go on then.
  trap 'exit 130' INT
  printf '%s\n' '[req]' 'distinguished_name = subject' '[subject]' '[ca]' \
    'basicConstraints = critical, CA:TRUE' >"${scratch}/openssl.cnf"
  openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 \
    -pkeyopt ec_param_enc:named_curve -out "${scratch}/another-ca.key"
  openssl req -new -x509 -config "${scratch}/openssl.cnf" -extensions ca \
    -days 2 -subj '/CN=another CA' -key "${scratch}/another-ca.key" -sha256 \
    -out "${scratch}/another-ca.pem"
}

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

# True when it hangs up: only a read that waits in vain ends with more than 1.
knock_at_impostor() {
  local connection
  { exec {connection}<>"/dev/tcp/${impostor%:*}/${impostor#*:}"; } 2>/dev/null ||
    return 1
  printf 'this is no handshake\n' 1>&"${connection}" 2>/dev/null
  read -r -t 10 -N 100 -u "${connection}" 2>/dev/null || (($? == 1))
}

# The impostor serves one connection after the other: once it has hung up on
# this one, its log of those before is complete. False where somebody else holds
# a connection: then it has not heard of docker either.
is_impostor_free() {
  run_for 10 knock_at_impostor
}

heard=1 # 0 once the impostor was not free for docker: nothing shows any more
unheard='the impostor serves one connection at a time, and somebody else has it'
unheard+=': this shows nothing; run it again'
readonly unheard
