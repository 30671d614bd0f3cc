# ---- Controls: one line each, a table or --json -----------------------------

failed=0
asked='' # what was run for the control that is reported next

# Quotes TEXT for JSON; control characters other than line ends are dropped.
json_string() { # json_string TEXT
  local text=$1
  text=${text//\\/\\\\}
  text=${text//\"/\\\"}
  text=${text//$'\n'/\\n}
  printf '"%s"' "${text//[[:cntrl:]]/ }"
}

# Prints the result of a control. EVIDENCE is what came back, REMEDY what to do.
report() { # report ID RESULT WHAT EVIDENCE REMEDY
  local id=$1 result=$2 what=$3 evidence=$4 remedy=$5
  if [[ ${result} == FAIL ]]; then failed=1; fi
  if ((json)); then
    printf '{"id":%s,"result":%s,"what":%s,' \
      "$(json_string "${id}")" "$(json_string "${result}")" \
      "$(json_string "${what}")"
    printf '"asked":%s,"evidence":%s,"remedy":%s}\n' \
      "$(json_string "${asked}")" "$(json_string "${evidence}")" \
      "$(json_string "${remedy}")"
  else
    printf '%-8s %s  %s\n' "${id}" "${result}" "${what}"
    if [[ ${result} != PASS ]]; then
      printf '              found: %s\n' "${evidence}"
      [[ ${result} == SKIP ]] || printf '              do:    %s\n' "${remedy}"
    fi
  fi
  asked=''
}

# Reports PASS when there is no problem, FAIL with the problem otherwise.
judge() { # judge ID WHAT PROBLEM EVIDENCE REMEDY
  if [[ -z $3 ]]; then
    report "$1" PASS "$2" "$4" ''
  else
    report "$1" FAIL "$2" "$3" "$5"
  fi
}

# Reports the three facts about a pair that need no daemon.
report_pair() { # report_pair CERTIFICATE KEY CA PURPOSE
  local problem='' ends
  asked="openssl verify -x509_strict -purpose $4 -CAfile $3 $1"
  judge CERT-1 'the certificate is of the CA, strictly valid, for this use' \
    "$(why_not_valid "$1" "$3" "$4")" OK \
    'renew it: make a request and sign it again'
  asked="openssl x509 -in $1 -pubkey; openssl pkey -in $2 -pubout"
  has_same_key "$1" "$2" || problem="$2 has another public key than $1"
  judge CERT-2 'the key belongs to the certificate' "${problem}" \
    'both public keys are the same' 'install the pair again, both from one run'
  report_days_left "$1"
}

# Time to renew: the last third of its life, at most 30 days.
report_days_left() { # report_days_left CERTIFICATE
  local starts ends now third problem=''
  starts=$(openssl x509 -in "$1" -noout -startdate)
  ends=$(openssl x509 -in "$1" -noout -enddate)
  asked="openssl x509 -in $1 -noout -dates"
  now=$(date '+%s')
  starts=$(date --date "${starts#*=}" '+%s')
  ends=$(date --date "${ends#*=}" '+%s')
  third=$(((ends - starts) / 3))
  if ((third > 30 * 86400)); then third=$((30 * 86400)); fi
  ((ends - now > third)) ||
    problem="it is time to renew it, $((third / 86400)) days before its end"
  judge CERT-3 "the certificate ends in $(((ends - now) / 86400)) days" \
    "${problem}" "$(date --utc --date "@${ends}" '+%F %T UTC')" \
    'renew it: make a request and sign it again'
}

# Prints how a file differs from the owner and the widest mode, or nothing.
file_problem() { # file_problem FILE OWNER:GROUP WIDEST_MODE
  local found
  found=$(stat --dereference --format '%U:%G %a' -- "$1" 2>&1) || {
    printf '%s\n' "${found}"
    return
  }
  if [[ ${found% *} != "$2" ]] || (((8#${found#* } & ~8#$3) != 0)); then
    printf '%s is %s, expected %s %s or less\n' "$1" "${found}" "$2" "$3"
  fi
}

judge_file() { # judge_file ID FILE OWNER:GROUP WIDEST_MODE
  asked="stat --format '%U:%G %a' $2"
  judge "$1" "$2 is $3 $4 or less" "$(file_problem "$2" "$3" "$4")" \
    "$(stat --dereference --format '%U:%G %a' -- "$2" 2>&1 || true)" \
    "chown $3 $2; chmod $4 $2"
}

finish_report() {
  if ((failed)); then exit 4; fi
  exit 0
}
