# ---- D19: docker's modes, measured ------------------------------------------

accepts=' --dir --json --yes --check --undo --remove-keys --help '
readonly accepts

# The variables and options of a mode; whether docker finds its default files
# ({ca,cert,key}.pem in ~/.docker).
readonly -a modes=(
  '--tls' found
  '--tls' absent
  '--tls --tlscert=CERT --tlskey=KEY' found
  '--tls --tlscert=CERT --tlskey=KEY' absent
  '--tlsverify --tlscacert=CA' absent
  '--tlsverify --tlscacert=CA' found
  '--tlsverify --tlscacert=CA --tlscert=CERT --tlskey=KEY' found
  '--tlsverify=false --tlscert=CERT --tlskey=KEY' found
  '--tlsverify --tlscacert=CA --tlscert=CERT' absent
  '--tlsverify --tlscacert=' absent
  "--tlsverify --tlscacert=''" absent
  "--tlsverify --tlscacert='' --tlscert=CERT --tlskey=KEY" found
  'DOCKER_TLS_VERIFY=1' found
  'DOCKER_TLS_VERIFY=0' found
  'DOCKER_TLS=1' found
  'DOCKER_CERT_PATH=FOLDER' found
  '--context' found
)

# What is said of a mode: its number in the table above, who says it, the words,
# and what they mean for the server, the client certificate and plain text.
readonly -a claims=(
  1 document 'will authenticate the server using the default CA pool'
  'server=yes'
  1 manual 'Authenticate server based on public/default CA pool'
  'server=yes'
  1 manual 'If found, the client sends its client certificate'
  'sent=yes'
  3 document
  "will verify the client's certificate without authenticating the server's CA"
  'server=no sent=yes'
  3 manual
  "Authenticate with client certificate, do not authenticate server based on\
 given CA"
  'server=no sent=yes'
  5 document
  'will enforce the server uses the given CA without any other checks'
  'server=yes sent=no'
  5 manual 'Authenticate server based on given CA'
  'server=yes'
  6 document
  'will enforce the server uses the given CA without any other checks'
  'server=yes sent=no'
  6 manual 'If found, the client sends its client certificate'
  'sent=yes'
  7 manual
  "Authenticate with client certificate and authenticate server based on\
 given CA"
  'server=yes sent=yes'
)

# Prints each claim of a mode, and whether it is true.
claims_of_mode() { # claims_of_mode NUMBER
  local claim truth cells=" server=${server} sent=${sent} plain=${plain} "
  for ((claim = 0; claim < ${#claims[@]}; claim += 4)); do
    if [[ ${claims[claim]} != "$1" ]]; then continue; fi
    truth=false
    # The cells stand in the order of the claims.
    if [[ ${cells} == *" ${claims[claim + 3]} "* ]]; then truth=true; fi
    printf 'the %s: "%s": %s\n' "${claims[@]:claim+1:2}" "${truth}"
  done
}

# Sets words: what docker gets in this mode.
words_of_mode() { # words_of_mode MODE DEFAULT_FILES CONTEXT
  read -r -a words <<<"$1"
  case $1 in
    --context) words=("--context=$3") ;;
    --*) words+=(--host=HOST) ;;
    *) words+=(DOCKER_HOST=HOST) ;;
  esac
  if [[ $2 == absent ]]; then words+=("DOCKER_CERT_PATH=${scratch}/none"); fi
}

# Sets real: does the real daemon answer in this mode?
ask_real_daemon() { # ask_real_daemon DOCKER_HOST WORD...
  real=-
  if ((! answers)); then return; fi
  real=no
  if (docker_ps "${docker_config}" '' "$@") >/dev/null; then real=yes; fi
}

# ---- The table --------------------------------------------------------------

print_modes_header() { # print_modes_header DOCKER_HOST
  if ((json)); then return; fi
  printf '%s\n' '' \
    "What docker does with its flags and variables, measured at $1" \
    'and at an impostor: a server of another CA with the same names. 7, 13' \
    'and 17 are how this client is configured: 90-verify.sh judges those.' \
    '*: there are no default files. Below a mode stands what is said of it.'
  printf '%58s%-7s %-4s %-5s %s\n' '' server cert. plain real \
    '' checked sent text answers
}

# The columns for the reader, the mode for a program.
name_of_mode() { # name_of_mode MODE DEFAULT_FILES CONTEXT
  local shown=$1
  shown=${shown//=CA/}
  shown=${shown//=CERT/}
  shown=${shown//=KEY/}
  shown=${shown/=FOLDER/=~\/.docker}
  if [[ $1 == --context ]]; then shown="--context $3"; fi
  if ((json)) && [[ $2 == absent ]]; then
    printf 'docker %s, without the files in ~/.docker' "${shown}"
  elif ((json)); then
    printf 'docker %s' "${shown}"
  else
    if [[ $2 == absent ]]; then shown+=' *'; fi
    printf '%-42s %-7s %-4s %-5s %s' "${shown}" "${server}" "${sent}" \
      "${plain}" "${real}"
  fi
}

# What the impostor has not heard shows nothing.
report_mode() { # report_mode NUMBER MODE DEFAULT_FILES CONTEXT
  local name evidence
  local -a said_of_it
  if ((! heard)); then server=- sent=- plain=-; fi
  name=$(name_of_mode "${@:2}")
  if ((! heard)); then
    report "DMODE-$1" SKIP "${name}" "${unheard}" ''
    return
  fi
  mapfile -t said_of_it < <(claims_of_mode "$1")
  evidence="$(measured); the real daemon answers: ${real}; docker said:"
  evidence+=" ${said%%$'\n'*}$(printf '\n%s' "${said_of_it[@]}")"
  report "DMODE-$1" PASS "${name}" "${evidence}" ''
  if ((! json && ${#said_of_it[@]})); then
    printf '              %s\n' "${said_of_it[@]}"
  fi
}

show_modes() { # show_modes NAME DOCKER_HOST
  local row
  local -a words
  print_modes_header "$2"
  link_context "$1" || true
  # Where it does not even answer the complete command, it is not asked again.
  answers=1
  ask_real_daemon "$2" --host=HOST --tlsverify --tlscacert=CA --tlscert=CERT \
    --tlskey=KEY
  if [[ ${real} == no ]]; then answers=0; fi
  for ((row = 0; row < ${#modes[@]}; row += 2)); do
    words_of_mode "${modes[@]:row:2}" "$1"
    measure "${words[@]}"
    ask_real_daemon "$2" "${words[@]}"
    asked="$(typed "$2" "${words[@]}"), and at tcp://${impostor}"
    report_mode "$((row / 2 + 1))" "${modes[@]:row:2}" "$1"
  done
}

show_tls_modes() {
  local row
  parse_options "$@"
  if [[ ${verb} == undo ]]; then exit 0; fi
  need_openssl
  command -v docker >/dev/null ||
    die 2 'there is no docker client here, and this shows what one does'
  if [[ ${verb} == check ]]; then exit 0; fi
  find_client_files
  make_another_ca
  prepare_measuring
  for ((row = 0; row < ${#hosts[@]}; row += 4)); do
    show_modes "${hosts[@]:row:2}"
  done
  finish_report
}
