# ---- D19: docker's modes, measured ------------------------------------------

# The variables and options of a mode; whether docker finds its default files
# ({ca,cert,key}.pem in ~/.docker); whether it is a way in which this client is
# configured, so that it must check the server.
readonly -a modes=(
  '--tls' found no
  '--tls' absent no
  '--tls --tlscert=CERT --tlskey=KEY' found no
  '--tls --tlscert=CERT --tlskey=KEY' absent no
  '--tlsverify --tlscacert=CA' absent no
  '--tlsverify --tlscacert=CA' found no
  '--tlsverify --tlscacert=CA --tlscert=CERT --tlskey=KEY' found yes
  '--tlsverify=false --tlscert=CERT --tlskey=KEY' found no
  '--tlsverify --tlscacert=CA --tlscert=CERT' absent no
  '--tlsverify --tlscacert=' absent no
  "--tlsverify --tlscacert=''" absent no
  "--tlsverify --tlscacert='' --tlscert=CERT --tlskey=KEY" found no
  'DOCKER_TLS_VERIFY=1' found yes
  'DOCKER_TLS_VERIFY=0' found no
  'DOCKER_TLS=1' found no
  'DOCKER_CERT_PATH=FOLDER' found no
  '--context' found yes
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

# Sets said_of_it: each claim of a mode, and whether it is true.
judge_claims() { # judge_claims NUMBER
  local claim cells truth
  cells=" server=${server} sent=${sent} plain=${plain} "
  said_of_it=()
  for ((claim = 0; claim < ${#claims[@]}; claim += 4)); do
    [[ ${claims[claim]} == "$1" ]] || continue
    truth=false
    # The cells stand in the order of the claims.
    if [[ ${cells} == *" ${claims[claim + 3]} "* ]]; then truth=true; fi
    said_of_it+=("the ${claims[claim + 1]}: \"${claims[claim + 2]}\": ${truth}")
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

# Sets real: does the real daemon answer in this mode? Where it does not even
# answer the complete command, it is not asked again and again.
ask_real_daemon() { # ask_real_daemon DOCKER_HOST WORD...
  real=-
  ((answers)) || return 0
  real=no
  if said=$(docker_ps "${docker_config}" '' "$@"); then real=yes; fi
}

# ---- The table --------------------------------------------------------------

print_modes_header() { # print_modes_header DOCKER_HOST
  if ((json)); then return; fi
  printf '%s\n' '' \
    "What docker does with its flags and variables, measured at $1" \
    'and at an impostor: a server of another CA with the same names. Modes 7,' \
    "13 and 17 are this client's own: they alone can FAIL. *: there are no" \
    'default files. Below a mode stands what is said of it, true or false.'
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

# Sets problem: what is wrong with a mode in which this client is configured.
judge_mode() { # judge_mode OWN
  problem=''
  if [[ $1 == no ]]; then return; fi
  case ${server}${plain} in
    ?yes | noyes) problem='docker sends plain text' ;;
    no*) problem='docker accepts a server of another CA' ;;
    '?'*) problem='docker refuses each server: the refusal shows nothing' ;;
    *) ;;
  esac
}

report_mode() { # report_mode NUMBER MODE DEFAULT_FILES OWN CONTEXT
  local name evidence claim
  name=$(name_of_mode "$2" "$3" "$5")
  judge_claims "$1"
  judge_mode "$4"
  evidence="server authenticated: ${server}; client certificate sent: ${sent};"
  evidence+=" plain text: ${plain}; the real daemon answers: ${real}"
  evidence+="; docker said: ${said%%$'\n'*}"
  for claim in "${said_of_it[@]}"; do evidence+=$'\n'${claim}; done
  if [[ $4 == yes && ${server} == - ]]; then
    report "MODE-$1" SKIP "${name}" "$(explain_handshake "${said}")" ''
  else
    judge "MODE-$1" "${name}" "${problem}" "${evidence}" \
      'run 20-configure-client.sh again; give --tlsverify and a CA'
  fi
  if ((! json)) && ((${#said_of_it[@]})); then
    printf '              %s\n' "${said_of_it[@]}"
  fi
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

verify_modes() { # verify_modes NAME DOCKER_HOST
  local row
  local -a words
  print_modes_header "$2"
  link_context "$1" || true
  for ((row = 0; row < ${#modes[@]}; row += 3)); do
    words_of_mode "${modes[row]}" "${modes[row + 1]}" "$1"
    measure "${words[@]}"
    measured=${said}
    ask_real_daemon "$2" "${words[@]}"
    said=${measured}
    asked="$(typed "$2" "${words[@]}"), and at tcp://${impostor}"
    report_mode "$((row / 3 + 1))" "${modes[@]:row:3}" "$1"
  done
}
