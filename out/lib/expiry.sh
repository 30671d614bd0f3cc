# ---- Certificates that end soon ---------------------------------------------

found=()   # path, and the moment at which it ends: seconds since 1970
too_late=0 # 1 once a certificate is below the limit

# Prints a line with the days that are left, and what to do where they are too
# few.
check_life() { # check_life CERTIFICATE SHOWN_AS REMEDY
  local left word=ok
  local -A certificate
  read_certificate certificate "$1"
  left=$((certificate[ends] - $(date '+%s')))
  found+=("$2" "${certificate[ends]}")
  if ((left <= $(renewal_limit certificate))); then word=SOON; fi
  if ((left < 0)); then word=ENDED; fi
  printf '%-5s %5d days  %s\n' "${word}" "$((left / 86400))" \
    "$(plain_text "$2")"
  if [[ ${word} != ok ]]; then
    too_late=1
    printf '             do: %s\n' "$(plain_text "$3")"
  fi
}

# Prints a line for what is wrong with something else than a date.
report_bad() { # report_bad WHAT REMEDY
  too_late=1
  printf '%-5s             %s\n             do: %s\n' BAD \
    "$(plain_text "$1")" "$(plain_text "$2")"
}

# A file that is not there is nobody's certificate here. Reading a pipe would
# wait for who writes to it.
check_file() { # check_file CERTIFICATE REMEDY
  if [[ ! -e $1 ]]; then return; fi
  if [[ ! -f $1 ]]; then
    report_bad "$1 is not a regular file" "remove it; $2"
  elif openssl x509 -in "$1" -noout 2>/dev/null; then
    check_life "$1" "$1" "$2"
  else
    report_bad "$1 cannot be read as a certificate" "$2"
  fi
}
