# ---- Handshakes with the daemon ---------------------------------------------

readonly no_own_port='it was asked from a port that the log does not tell'

# The name or address to find in the server certificate.
expect_name() { # expect_name NAME; sets name_options
  if [[ $1 == *:* || $1 =~ ^[0-9.]+$ ]]; then
    name_options=(-verify_ip "$1")
  else
    name_options=(-verify_hostname "$1" -servername "$1")
  fi
}

# Asks the Docker API for /_ping and prints all that came back. A client that
# is refused in TLS 1.3 learns it on its first read, so a request is made.
ask_once() { # ask_once ADDRESS PORT NAME CA S_CLIENT_OPTION...
  local address=$1
  local -a name_options
  if [[ ${address} == *:* ]]; then address="[${address}]"; fi
  expect_name "$3"
  printf 'GET /_ping HTTP/1.1\r\nHost: docker\r\nConnection: close\r\n\r\n' |
    timeout --foreground 10 openssl s_client -quiet \
      -connect "${address}:$2" -CAfile "$4" -verify_return_error \
      "${name_options[@]}" "${@:5}" 2>&1 || true
}

# Prints the certificate that a server shows, or nothing.
certificate_shown() { # certificate_shown ADDRESS PORT NAME
  local address=$1
  local -a name_options
  if [[ ${address} == *:* ]]; then address="[${address}]"; fi
  expect_name "$3"
  timeout --foreground 10 openssl s_client -connect "${address}:$2" \
    "${name_options[@]}" </dev/null 2>/dev/null | openssl x509 2>/dev/null || true
}

# Prints the names of the certificate that a server shows, as Go lists them.
names_shown() { # names_shown ADDRESS PORT NAME
  local text
  text=$(certificate_shown "$@" |
    openssl x509 -noout -ext subjectAltName 2>/dev/null) || true
  text=${text#*$'\n'}
  text=${text//DNS:/}
  text=${text//IP Address:/}
  printf '%s\n' "${text#"${text%%[![:space:]]*}"}"
}

# dockerd hangs up right after its alert. When that overtakes the request, the
# client fails to write it (a reset) and never reads the alert: it asks again.
ask_daemon() { # ask_daemon ADDRESS PORT NAME CA S_CLIENT_OPTION...
  local answer tries
  for tries in 1 2 3 4 5; do
    answer=$(ask_once "$@")
    if [[ ${answer} != *write:errno=* ]]; then break; fi
  done
  printf '%s\n' "${answer}"
  if [[ ${answer} =~ 'verify error'.*mismatch ]]; then
    printf 'x509: certificate is valid for %s, not %s\n' \
      "$(names_shown "$1" "$2" "$3")" "$3"
  fi
}

# The same of the daemon on this machine, after mark_log. Whoever has all ports
# of the machine keeps nobody from asking: the log cannot tell, then.
ask_marked() { # ask_marked S_CLIENT_OPTION...
  local answer
  local -a words=("${probe_address}" "${listen_port}" "${probe_name}" "${ca}")
  answer=$(ask_daemon "${words[@]}" "${from_own_port[@]}" "$@")
  if [[ ${answer} == *'Address already in use'* ]]; then
    answer=$(ask_daemon "${words[@]}" "$@")$'\n'${no_own_port}
  fi
  printf '%s\n' "${answer}"
}

is_answer() { # is_answer TEXT
  [[ $1 == *'HTTP/1.1 200 OK'* ]]
}

# Prints the line of TEXT that says why a handshake failed.
reason_in() { # reason_in TEXT
  local line
  while IFS= read -r line; do
    if [[ ${line} == *'verify error:'* || ${line} == *alert* ||
      ${line} == *errno* || ${line} == *:error:* ]]; then
      printf '%s\n' "${line}"
      return
    fi
  done < <(printf '%s\n' "$1")
  printf 'no answer\n'
}

is_good_client() { # is_good_client FOLDER
  local certificate=$1/${client_certificate_file}
  [[ -z $(why_not_valid "${certificate}" "${ca}" sslclient) ]] &&
    has_same_key "${certificate}" "$1/${client_key_file}"
}

# Prints the folder of a client whose key and certificate are on this machine:
# of one whose certificate is valid, where there is one.
find_client() {
  local folder found=''
  for folder in "${client_folders[@]}"; do
    folder=${dir}/${folder}
    if [[ -f ${folder}/${client_key_file} &&
      -f ${folder}/${client_certificate_file} &&
      -r ${folder}/${client_key_file} &&
      -r ${folder}/${client_certificate_file} ]]; then
      if is_good_client "${folder}"; then
        printf '%s\n' "${folder}"
        return
      fi
      found=${found:-${folder}}
    fi
  done
  if [[ -n ${found} ]]; then printf '%s\n' "${found}"; fi
}
