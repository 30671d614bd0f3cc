# Prints why openssl does not accept a certificate, or nothing. A date is told
# beside this machine's clock: either of them may be the one that is wrong.
why_not_valid() { # why_not_valid CERTIFICATE CA PURPOSE
  local text file=$1
  if text=$(openssl verify -x509_strict -purpose "$3" -CAfile "$2" "$1" \
    2>&1); then
    return
  fi
  [[ ${text} == *' at 0 depth '* ]] || file=$2
  text=${text#*lookup: }
  text=${text%%$'\n'*}
  case ${text} in
    *'not yet valid')
      text+=": it begins $(date_of startdate "${file}"), and the clock here"
      text+=" says $(date --utc '+%F %T') UTC; set the clock, or wait"
      ;;
    *'has expired')
      text+=": it ended $(date_of enddate "${file}"), and the clock here says"
      text+=" $(date --utc '+%F %T') UTC; renew it, or set the clock"
      ;;
    *) ;;
  esac
  printf '%s\n' "${text}"
}

date_of() { # date_of startdate|enddate CERTIFICATE
  local date
  date=$(openssl x509 -in "$2" -noout "-$1")
  date --utc --date "${date#*=}" '+%F %T UTC'
}
