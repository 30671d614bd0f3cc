# ---- Keys, requests and certificates ----------------------------------------

# Reads a certificate into an associative array of the caller: serial, subject,
# begins and ends in seconds, the sha256 of its DER form, and its public key.
# False where it is none.
read_certificate() { # read_certificate ARRAY FILE
  local -n into=$1
  local text line dates=''
  text=$(openssl x509 -in "$2" -noout -serial -subject -nameopt RFC2253 \
    -startdate -enddate -fingerprint -sha256 -pubkey 2>/dev/null) || return 1
  into=([key]=-----BEGIN${text##*-----BEGIN})
  while IFS= read -r line; do
    case ${line} in
      serial=*) into[serial]=${line#*=} ;;
      subject=*) into[subject]=${line#*=} ;;
      notBefore=* | notAfter=*) dates+=${line#*=}$'\n' ;;
      *' Fingerprint='*) into["sha256"]=$(without_colons "${line#*=}") ;;
      *) ;;
    esac
  done <<<"${text}"
  dates=$(date --file - '+%s' <<<"${dates%?}")
  into[begins]=${dates%$'\n'*}
  into[ends]=${dates#*$'\n'}
}

# Prints the sha256 of a certificate, of its DER form.
digest_of() { # digest_of CERTIFICATE
  local text
  text=$(openssl x509 -in "$1" -noout -fingerprint -sha256 2>/dev/null) ||
    return 1
  without_colons "${text#*=}"
}

# Prints a fingerprint as sha256sum does: in small letters, without colons.
without_colons() { # without_colons FINGERPRINT
  local text=${1//:/}
  printf '%s\n' "${text,,}"
}

public_key_of() { # public_key_of CERTIFICATE
  openssl x509 -in "$1" -noout -pubkey 2>/dev/null
}

# Prints the names of a certificate as in an extension file.
names_of() { # names_of CERTIFICATE
  local text
  text=$(openssl x509 -in "$1" -noout -ext subjectAltName 2>/dev/null) ||
    return 1
  text=${text#*$'\n'}
  text=${text//IP Address:/IP:}
  printf '%s\n' "${text//[[:space:]]/}"
}

# Runs this site's command for a key, in which FILE stands for the key's name.
make_key() { # make_key run|run_with_passphrase FILE
  local word
  local -a words=()
  for word in "${key_command[@]}"; do
    if [[ ${word} == FILE ]]; then word=$2; fi
    words+=("${word}")
  done
  "$1" "${words[@]}"
}

has_same_key() { # has_same_key CERTIFICATE KEY
  local public_key
  public_key=$(openssl pkey -in "$2" -passin pass: -pubout 2>/dev/null) ||
    return 1
  [[ $(public_key_of "$1") == "${public_key}" ]]
}

# Prints why a file is not read as a key, certificate or request, or nothing.
# A pipe would be waited for, and a device or a large file read without end.
why_not_plain() { # why_not_plain FILE
  if [[ ! -f $1 ]]; then
    printf 'it is not a regular file\n'
  elif (($(stat --dereference --format '%s' -- "$1") > 65536)); then
    printf 'it is larger than 64 KiB\n'
  elif [[ ! -r $1 ]]; then
    printf '%s may not read it\n' "$(user_name)"
  fi
}

need_plain() { # need_plain FILE...
  local file problem
  for file in "$@"; do
    if [[ ! -e ${file} && ! -L ${file} ]]; then continue; fi
    problem=$(why_not_plain "${file}")
    [[ -z ${problem} ]] || die 2 "${file}: ${problem}; ${leaves}"
  done
}

# Stops where a file is not one certificate in PEM and nothing else: of what is
# encrypted openssl would ask for a pass phrase.
need_one_certificate() { # need_one_certificate FILE
  local text begin='-----BEGIN CERTIFICATE-----'
  if [[ ! -f $1 ]]; then return; fi
  text=$(tr -d '\0' <"$1")
  [[ ${text} == "${begin}"$'\n'* && ${text} != *:* &&
    ${text#"${begin}"} != *-----BEGIN* &&
    ${text} == *$'\n-----END CERTIFICATE-----' ]] ||
    die 2 "$1 is not one certificate in PEM and nothing else; move it away;" \
      "${leaves}"
}

is_cut_off() { # is_cut_off CERTIFICATE
  local text
  text=$(head --bytes=65536 -- "$1" | tr -d '\0')
  [[ ${text} != *'-----END CERTIFICATE-----'* ]]
}

# Stops where a CA's certificate is cut off, as by a full disk.
need_whole() { # need_whole CERTIFICATE...
  local file
  for file in "$@"; do
    [[ ! -e ${file} ]] || ! is_cut_off "${file}" ||
      die 2 "${file} is empty, cut off or no certificate: bring it back from" \
        "a back-up, or from a host or client that has the same; ${leaves}"
  done
}

# Stops where others can read a private key; REMEDY is for where somebody has.
need_private() { # need_private REMEDY KEY...
  local key
  for key in "${@:2}"; do
    [[ ! -e ${key} ]] ||
      (((8#$(stat --dereference --format '%a' -- "${key}") & 8#077) == 0)) ||
      die 2 "others can read ${key}; run: chmod 600 ${key}, and $1 if" \
        "somebody may have read it; ${leaves}"
  done
}

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

key_of_request() { # key_of_request REQUEST
  openssl req -in "$1" -noout -pubkey -config "${lib}/openssl.cnf"
}

# Prints the version and the extensions of a certificate, sorted, one a line, in
# small letters without blanks; of a key identifier only that it is there.
extensions_of() { # extensions_of CERTIFICATE
  local line text=''
  while IFS= read -r line; do
    if [[ ${line} =~ ^\ {0,12}[^\ ] ]]; then text+=$'\n'; fi
    text+=${line//[[:space:]]/}
    if [[ ${text} =~ KeyIdentifier:[^$'\n']*$ ]]; then
      text=${text%KeyIdentifier:*}KeyIdentifier:
    fi
  done < <(openssl x509 -in "$1" -noout -text \
    -certopt no_header,no_serial,no_signame,no_validity,no_subject,no_issuer \
    -certopt no_pubkey,no_sigdump,no_aux)
  sort <<<"${text,,}"
}

# Prints the same of a certificate as this CA makes it.
expected_extensions() { # expected_extensions NAMES PURPOSE KEY_USAGE
  local text use=server
  if [[ $2 == sslclient ]]; then use=client; fi
  printf -v text '%s\n' 'Version:3(0x2)' 'X509v3extensions:' \
    "X509v3SubjectAlternativeName:${1//IP:/IPAddress:}" \
    "X509v3ExtendedKeyUsage:TLSWeb${use}Authentication" \
    'X509v3BasicConstraints:criticalCA:FALSE' \
    "X509v3KeyUsage:critical${3// /}" \
    'X509v3SubjectKeyIdentifier:' 'X509v3AuthorityKeyIdentifier:'
  sort <<<"${text,,}"
}

# True when a certificate has these names, is for this purpose, and has nothing
# else in it. RSA keys of earlier versions have no keyEncipherment.
is_of_profile() { # is_of_profile CERTIFICATE NAMES PURPOSE
  local found use
  found=$(extensions_of "$1") || return 1
  for use in digitalSignature 'digitalSignature, keyEncipherment'; do
    if [[ ${found} == "$(expected_extensions "$2" "$3" "${use}")" ]]; then
      return
    fi
  done
  return 1
}

# True when the CA issued the certificate for these names and this purpose
# (sslserver or sslclient) and nothing else, and it is valid now.
is_good_certificate() { # is_good_certificate CERTIFICATE CA NAMES PURPOSE
  [[ -f $1 && -f $2 ]] && (($(stat --format '%s' -- "$1") <= 65536)) &&
    openssl verify -x509_strict -purpose "$4" -CAfile "$2" "$1" &>/dev/null &&
    is_of_profile "$1" "$3" "$4"
}

# ---- When a certificate is to be renewed ------------------------------------

# Prints how many seconds before its end a certificate is to be renewed:
# warn_days, or the last third of a shorter life.
renewal_limit() { # renewal_limit ARRAY, of read_certificate
  local -n life=$1
  local limit=$(((life[ends] - life[begins]) / 3))
  if ((limit > warn_days * 86400)); then limit=$((warn_days * 86400)); fi
  printf '%d\n' "${limit}"
}

# ---- Which CA certificates are to be trusted --------------------------------

# A bundle is a file of CA certificates (ca-public.pem). It holds
#   one CA, or
#   while the CA is rolled over: the old CA, the new one, and the announcement,
#   which is a certificate for the new CA's key that the old CA has signed
#   ("NewWithOld" of RFC 4210, 4.4). Nobody else can make one.
# and nothing else: no text, no other PEM block, no third CA.
#
# why_not_trusted BUNDLE INSTALLED [CERTIFICATE] prints why a bundle is refused,
#   or nothing. INSTALLED is the bundle that is trusted here now: of two CAs the
#   one that announces must be in it. Where nothing is trusted yet (INSTALLED is
#   empty, or not there) it must have signed CERTIFICATE, the party's own. With
#   BUNDLE itself as INSTALLED a bundle is judged alone, as a verification does.
#   Where nothing is trusted yet, one CA is not refused for being new: people
#   compare its digest. Later it has to be one that is trusted here. Dates are
#   not judged: why_not_valid does that.
# ca_digests_of BUNDLE prints the sha256 of each CA, one a line, as people
#   compare them by voice. The announcement is no CA of its own.

readonly ca_constraints='X509v3BasicConstraints:criticalCA:TRUE,pathlen:0'
readonly ca_key_usage='X509v3KeyUsage:criticalCertificateSign,CRLSign'

# Reads a file as certificates, PEM text each, into the array certificates of
# its caller; false when openssl would not write the very same file.
read_certificates() { # read_certificates FILE; sets certificates
  local line text='' written
  certificates=()
  while IFS= read -r line || [[ -n ${line} ]]; do
    text+=${line}$'\n'
    if [[ ${line} == '-----END CERTIFICATE-----' ]]; then
      written=$(printf '%s' "${text}" | openssl x509 2>/dev/null) || return 1
      if [[ ${written}$'\n' != "${text}" ]]; then return 1; fi
      certificates+=("${written}")
      text=''
    fi
  done < <(tr -d '\0' <"$1")
  ((${#certificates[@]} > 0)) &&
    cmp --quiet -- "$1" <(printf '%s\n' "${certificates[@]}")
}

# True when each certificate has the extensions of this product's CAs.
are_of_ca_profile() { # are_of_ca_profile PEM...
  local certificate text
  for certificate in "$@"; do
    text=$(openssl x509 -noout -ext basicConstraints,keyUsage \
      <<<"${certificate}" 2>/dev/null) || return 1
    [[ ${text//[[:space:]]/} == "${ca_constraints}${ca_key_usage}" ||
      ${text//[[:space:]]/} == "${ca_key_usage}${ca_constraints}" ]] ||
      return 1
  done
}

# True when CA has signed the certificate PEM; a CA has signed itself.
is_signed_by() { # is_signed_by PEM CA
  openssl verify -x509_strict -check_ss_sig -no_check_time \
    -CAfile <(printf '%s\n' "$2") <<<"$1" &>/dev/null
}

# Prints what an announcement has in common with the CA that it announces.
key_and_name_of() { # key_and_name_of PEM
  openssl x509 -noout -pubkey -subject <<<"$1"
}

# Prints the sha256 of a certificate that is in a variable.
digest_of_pem() { # digest_of_pem PEM
  local text
  text=$(openssl x509 -noout -fingerprint -sha256 <<<"$1")
  without_colons "${text#*=}"
}

# Sorts certificates into CAs, which have signed themselves, and announcements.
sort_pems() { # sort_pems PEM...; sets roots, announcements
  local certificate
  roots=()
  announcements=()
  for certificate in "$@"; do
    if is_signed_by "${certificate}" "${certificate}"; then
      roots+=("${certificate}")
    else
      announcements+=("${certificate}")
    fi
  done
}

sort_certificates() { # sort_certificates FILE; sets roots, announcements
  local -a certificates=()
  read_certificates "$1" || return 1
  sort_pems "${certificates[@]}"
}

# Prints the CA that has announced the other one, or nothing.
announcer_of() { # announcer_of CA CA ANNOUNCEMENT
  local announced
  announced=$(key_and_name_of "$3")
  if [[ ${announced} == "$(key_and_name_of "$2")" ]] &&
    is_signed_by "$3" "$1"; then
    printf '%s\n' "$1"
  elif [[ ${announced} == "$(key_and_name_of "$1")" ]] &&
    is_signed_by "$3" "$2"; then
    printf '%s\n' "$2"
  fi
}

# True when a certificate stands in a file, whatever else does: dockerd and
# docker trust what they find between other lines too.
has_certificate() { # has_certificate FILE PEM
  [[ $(tr -d '\0' <"$1") == *"$2"* ]]
}

# Prints why two CAs are refused of which one has announced the other.
why_not_announced() { # why_not_announced ANNOUNCER INSTALLED CERTIFICATE
  if [[ -f $2 ]]; then
    if has_certificate "$2" "$1"; then return; fi
  elif [[ -f $3 ]] && is_signed_by "$(cat -- "$3")" "$1"; then
    return
  fi
  printf 'it holds two CAs, and the one that announces the other is not'
  printf ' trusted here: sha256 %s\n' "$(digest_of_pem "$1")"
}

# Prints why one CA is refused: others are trusted here. A bundle that a full
# disk has cut off is none that anybody trusts.
why_not_known() { # why_not_known CA INSTALLED
  if [[ ! -f $2 ]] || is_cut_off "$2" || has_certificate "$2" "$1"; then
    return
  fi
  printf 'it holds another CA than the one that is trusted here, which has not'
  printf ' announced it; where a new CA is wanted, run this with --undo first\n'
}

# Prints why its caller's roots and announcements are no bundle, or nothing.
why_no_bundle() {
  if ! are_of_ca_profile "${roots[@]}" "${announcements[@]}"; then
    printf 'it holds a certificate that is not of a CA of this kind\n'
  elif ((${#roots[@]} == 2 && ${#announcements[@]} == 1)); then
    [[ -n $(announcer_of "${roots[@]}" "${announcements[@]}") ]] ||
      printf 'it holds two CAs, and neither has announced the other\n'
  elif ((${#roots[@]} != 1 || ${#announcements[@]} != 0)); then
    printf 'it holds %d CAs and %d announcements; expected is one CA, or,' \
      "${#roots[@]}" "${#announcements[@]}"
    printf ' while the CA is rolled over, two and the announcement of one\n'
  fi
}

# Prints why they are not trusted here, or nothing.
why_not_ours() { # why_not_ours INSTALLED [CERTIFICATE]
  if ((${#roots[@]} == 2)); then
    why_not_announced "$(announcer_of "${roots[@]}" "${announcements[@]}")" \
      "$1" "${2:-}"
  else
    why_not_known "${roots[0]}" "$1"
  fi
}

why_not_trusted() { # why_not_trusted BUNDLE INSTALLED [CERTIFICATE]
  local problem=''
  local -a roots=() announcements=()
  if [[ ! -f $1 ]] ||
    (($(stat --dereference --format '%s' -- "$1") > 65536)); then
    problem='it is not a file of 64 KiB at most'
  elif ! sort_certificates "$1"; then
    problem='it holds something else than certificates as openssl writes them'
  else
    problem=$(why_no_bundle)
    if [[ -z ${problem} && ! $1 -ef $2 ]]; then
      problem=$(why_not_ours "${@:2}")
    fi
  fi
  [[ -z ${problem} ]] || printf '%s\n' "${problem}"
}

ca_digests_of() { # ca_digests_of BUNDLE
  local certificate
  local -a roots=() announcements=()
  sort_certificates "$1" || return 1
  for certificate in "${roots[@]}"; do
    digest_of_pem "${certificate}"
  done
}

# What people compare by voice: the same on the CA's machine, on each host and
# on each client.
show_authorities() { # show_authorities BUNDLE
  if [[ -f $1 ]]; then show_digests "$(ca_digests_of "$1")"; fi
}

show_digests() { # show_digests LINES
  local digest
  while IFS= read -r digest; do
    note "CA certificate sha256: ${digest}"
  done <<<"$1"
}
