# ---- Certificates that end soon ---------------------------------------------

found=()   # path, and the moment at which it ends: seconds since 1970
too_late=0 # 1 once a certificate is below the limit

# Prints the moments between which a certificate is valid, as seconds.
life_of() { # life_of CERTIFICATE
  local begins ends
  begins=$(openssl x509 -in "$1" -noout -startdate)
  ends=$(openssl x509 -in "$1" -noout -enddate)
  printf '%d %d\n' "$(date --date "${begins#*=}" '+%s')" \
    "$(date --date "${ends#*=}" '+%s')"
}

# Prints a line with the days that are left, and what to do where they are too
# few. A short certificate is renewed in the last third of its life.
check_life() { # check_life CERTIFICATE SHOWN_AS REMEDY
  local begins ends now limit left word=ok
  read -r begins ends < <(life_of "$1")
  now=$(date '+%s')
  left=$((ends - now))
  limit=$(((ends - begins) / 3))
  if ((limit > warn_days * 86400)); then limit=$((warn_days * 86400)); fi
  found+=("$2" "${ends}")
  if ((left <= limit)); then word=SOON; fi
  if ((left < 0)); then word=ENDED; fi
  printf '%-5s %5d days  %s\n' "${word}" "$((left / 86400))" "$2"
  if [[ ${word} != ok ]]; then
    too_late=1
    printf '             do: %s\n' "$3"
  fi
}

# A file that is not there is nobody's certificate here.
check_file() { # check_file CERTIFICATE REMEDY
  if [[ ! -e $1 ]]; then return; fi
  if openssl x509 -in "$1" -noout 2>/dev/null; then
    check_life "$1" "$1" "$2"
  else
    too_late=1
    printf '%-5s             %s\n             do: %s\n' BAD \
      "$1 cannot be read as a certificate" "$2"
  fi
}
