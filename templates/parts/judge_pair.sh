# Reports the three facts about a pair that need no daemon. ID is what the ids
# of these controls begin with: those of a host and of a client differ.
report_pair() { # report_pair ID CERTIFICATE KEY CA PURPOSE
  local problem=''
  asked="openssl verify -x509_strict -purpose $5 -CAfile $4 $2"
  judge "$1-1" 'the certificate is of the CA, strictly valid, for this use' \
    "$(why_not_valid "$2" "$4" "$5")" OK \
    'renew it: make a request and sign it again'
  asked="openssl x509 -in $2 -pubkey; openssl pkey -in $3 -pubout"
  has_same_key "$2" "$3" || problem="$3 has another public key than $2"
  judge "$1-2" 'the key belongs to the certificate' "${problem}" \
    'both public keys are the same' 'install the pair again, both from one run'
  report_days_left "$1-3" "$2"
}

# The same moment from which on 60-watch-expiry.sh and 60-check-expiry.sh warn.
report_days_left() { # report_days_left ID CERTIFICATE
  local begins ends left limit problem=''
  asked="openssl x509 -in $2 -noout -dates"
  read -r begins ends < <(life_of "$2")
  left=$((ends - $(date '+%s')))
  limit=$(renewal_limit "${begins}" "${ends}")
  if ((left <= limit)); then
    problem="it is time to renew it, $((limit / 86400)) days before its end"
  fi
  judge "$1" "the certificate ends in $((left / 86400)) days" \
    "${problem}" "$(date --utc --date "@${ends}" '+%F %T UTC')" \
    'renew it: make a request and sign it again'
}
