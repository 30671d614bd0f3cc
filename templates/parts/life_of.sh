# ---- When a certificate is to be renewed ------------------------------------

# Prints the moments between which a certificate is valid, as seconds.
life_of() { # life_of CERTIFICATE
  local begins ends
  begins=$(openssl x509 -in "$1" -noout -startdate)
  ends=$(openssl x509 -in "$1" -noout -enddate)
  printf '%d %d\n' "$(date --date "${begins#*=}" '+%s')" \
    "$(date --date "${ends#*=}" '+%s')"
}

# Prints how many seconds before its end a certificate is to be renewed:
# warn_days, or the last third of a shorter life.
renewal_limit() { # renewal_limit BEGINS ENDS
  local limit=$((($2 - $1) / 3))
  if ((limit > warn_days * 86400)); then limit=$((warn_days * 86400)); fi
  printf '%d\n' "${limit}"
}
