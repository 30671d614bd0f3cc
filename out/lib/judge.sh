# Prints who is in a group, and whose own group it is, one a line.
members_of() { # members_of GROUP
  local entry gid members user own
  entry=$(group_entry "$1") || return 1
  IFS=: read -r _ _ gid members <<<"${entry}"
  printf '%s\n' "${members//,/$'\n'}"
  while IFS=: read -r user _ _ own _; do
    if [[ ${own} == "${gid}" ]]; then printf '%s\n' "${user}"; fi
  done < <(accounts passwd)
}

# True when everybody in a group is in the expected one too.
is_narrower_group() { # is_narrower_group GROUP EXPECTED
  local user found expected
  found=$(members_of "$1") || return 1
  expected=$(members_of "$2") || return 1
  while read -r user; do
    if [[ -n ${user} && ${user} != root &&
      $'\n'${expected}$'\n' != *$'\n'"${user}"$'\n'* ]]; then
      return 1
    fi
  done <<<"${found}"
}

# Prints OWNER:GROUP and the mode of a file, or why it cannot be looked at.
owner_and_mode() { # owner_and_mode FILE
  local text name number gid
  text=$(stat --dereference --format '%U:%G %a' -- "$1" 2>&1) || {
    printf '%s\n' "${text}"
    return 1
  }
  if [[ ${text} == *:UNKNOWN\ * && -n ${facts} ]]; then
    gid=$(stat --dereference --format '%g' -- "$1")
    while IFS=: read -r name _ number _; do
      if [[ ${number} == "${gid}" ]]; then text=${text/:*\ /":${name} "}; fi
    done < <(accounts group)
  fi
  printf '%s\n' "${text}"
}

# Prints how a file is wider than its owner and mode allow, or nothing. Which
# group it is does not matter where it may do nothing or adds nobody.
file_problem() { # file_problem FILE OWNER:GROUP WIDEST_MODE
  local found owner group mode
  found=$(owner_and_mode "$1") || {
    printf '%s\n' "${found}"
    return
  }
  mode=$((8#${found##* }))
  # The group's bits are then what any user of the list may have.
  if (((mode & 8#070) != 0)) && [[ $(ls -ldL -- "$1") == ??????????+* ]]; then
    printf '%s has an access control list: getfacl shows it, setfacl -b' "$1"
    printf ' removes it\n'
    return
  fi
  owner=${found%%:*}
  group=${found#*:}
  group=${group% *}
  if (((mode & 8#070) == 0)) || [[ ${group} == root ]] ||
    is_narrower_group "${group}" "${2#*:}"; then
    group=${2#*:}
  fi
  if [[ ${owner}:${group} != "$2" ]] || (((mode & ~8#$3) != 0)); then
    printf '%s is %s, expected %s %s or less\n' "$1" "${found}" "$2" "$3"
  fi
}

judge_file() { # judge_file ID FILE OWNER:GROUP WIDEST_MODE [CIS_ITEM]
  local problem found
  problem=$(file_problem "$2" "$3" "$4")
  found=$(owner_and_mode "$2") || true
  asked="stat --format '%U:%G %a' $2"
  judge "$1" "$2 is $3 $4 or less" "${problem}" "${found}" \
    "chown $3 $2; chmod $4 $2" "${5:-}"
}

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
  local left limit problem=''
  local -A certificate
  asked="openssl x509 -in $2 -noout -dates"
  read_certificate certificate "$2"
  left=$((certificate[ends] - $(date '+%s')))
  limit=$(renewal_limit certificate)
  if ((left <= limit)); then
    problem="it is time to renew it, $((limit / 86400)) days before its end"
  fi
  judge "$1" "the certificate ends in $((left / 86400)) days" \
    "${problem}" "$(date --utc --date "@${certificate[ends]}" '+%F %T UTC')" \
    'renew it: make a request and sign it again'
}

# Prints the site's own bundle of CAs on this machine, or nothing: the CA's, or
# where it is on another machine, what was carried from there.
own_bundle() {
  local path
  for path in "${dir}"/{ca/authorities,{ca,"${script%/*}"}/ca-public}.pem; do
    if [[ -f ${path} ]]; then
      printf '%s\n' "${path}"
      return
    fi
  done
}

# Prints the CAs of a file that are not in the site's own bundle.
strange_authorities() { # strange_authorities FILE OWN
  local known digest
  known=$(ca_digests_of "$2") || known=''
  while read -r digest; do
    if [[ $'\n'${known}$'\n' != *$'\n'"${digest}"$'\n'* ]]; then
      printf 'sha256 %s is not in %s; ' "${digest}" "$2"
    fi
  done < <(ca_digests_of "$1")
}
