# ---- Carries files from machine to machine: setup.sh --exchange DIR ---------

# Nothing in DIR is trusted, and nothing private is written there. Others may
# write to it too: this script goes into it, and then names files in it alone,
# so that no link of theirs leads elsewhere. What is read is judged in memory,
# and only then written to the working folder.

given=$(realpath --no-symlinks --canonicalize-missing -- "${exchange}")
exchange=$(realpath --canonicalize-missing -- "${exchange}")
readonly given exchange
exchange_id='' # device and inode, once it was entered

# Requests that are carried here, each as PARTY and FILE; what is to be in the
# files, and what was.
requests_carried=()
requests_text=()
requests_before=()

# Prints the name in DIR of a party's file. It begins with the CA's, since other
# sites may have parties of the same names.
carried_name() { # carried_name PARTY FILE
  local name=${ca_common_name//[^a-zA-Z0-9.-]/_}+$1+$2
  printf '%s\n' "${name//\//+}"
}

# Prints a file in DIR as text, without the carriage returns of another system;
# false where it is longer than a request or a certificate may be, or could not
# be PEM. No link is followed, and no pipe waited for. Of what has a colon
# openssl might ask for a pass phrase.
carried_text() { # carried_text NAME
  local text
  if [[ ! -f $1 || -L $1 ]]; then return 1; fi
  text=$(
    timeout 10 dd if="./$1" iflag=nofollow,nonblock,fullblock bs=65536 \
      count=1 status=none 2>/dev/null | tr -d '\0\r'
  ) && [[ -z $(tr -d 'A-Za-z0-9+/=\n \-' <<<"${text}") ]] &&
    printf '%s\n' "${text}"
}

text_in() { # text_in NAME
  if [[ ! -e $1 && ! -L $1 ]]; then return; fi
  carried_text "$1" || note "not taken: ${exchange}/$1, which is no file in" \
    "PEM that $(user_name) may read"
}

is_same_carried() { # is_same_carried FILE NAME
  [[ -f $1 && -f $2 && ! -L $2 ]] && timeout 10 cmp --quiet -- "$1" "./$2"
}

need_exchange() {
  [[ ${given} == "${exchange}" ]] ||
    die 2 "a link leads from ${given} to ${exchange}: give that; ${leaves}"
  [[ -d ${exchange} && -x ${exchange} && -r ${exchange} ]] ||
    die 2 "${exchange} is no folder that $(user_name) may read; ${leaves}"
  [[ ${exchange}/ != "${dir}"/* && ${dir}/ != "${exchange%/}"/* ]] ||
    die 2 "${exchange} and the working folder ${dir} lie one in the other: give" \
      "--exchange a folder that is carried; ${leaves}"
}

# What is printed from here on names files of DIR without a folder.
enter_exchange() {
  cd -P -- "${exchange}"
  exchange_id=${exchange_id:-$(stat --format '%d:%i' -- .)}
  [[ $(realpath -- .) == "${exchange}" &&
  $(stat --format '%d:%i' -- .) == "${exchange_id}" ]] ||
    die 1 "${exchange} was taken away or replaced meanwhile; ${leaves}"
}

# ---- What is meant for the parties of this machine --------------------------

# Splits a text into certificates as openssl writes them; false where there is
# anything else.
split_certificates() { # split_certificates TEXT; sets certificates
  local line part=''
  certificates=()
  while IFS= read -r line; do
    part+=${line}$'\n'
    if [[ ${line} == '-----END CERTIFICATE-----' ]]; then
      part=$(openssl x509 <<<"${part}" 2>/dev/null) || return 1
      certificates+=("${part}")
      part=''
    fi
  done <<<"$1"
  [[ -z ${part} ]]
}

# True when one of these CAs has signed a certificate.
is_signed_by_any() { # is_signed_by_any PEM CA...
  local authority
  for authority in "${@:2}"; do
    if is_signed_by "$1" "${authority}"; then return; fi
  done
  return 1
}

# True for the CA alone that has announced the one that is trusted here too:
# what was carried before the CA was rolled over.
is_earlier_bundle() { # is_earlier_bundle TEXT INSTALLED
  local -a roots=() announcements=()
  [[ -f $2 ]] && sort_certificates "$2" && ((${#announcements[@]} == 1)) &&
    [[ $1 == "$(announcer_of "${roots[@]}" "${announcements[@]}")" ]]
}

# Prints why a party's certificate, here or in DIR, is of none of these CAs.
why_not_of_party() { # why_not_of_party PARTY CERTIFICATE CA...
  local name text
  for name in "$2" "renewal/$2"; do
    for text in "$(cat -- "${dir}/$1/${name}" 2>/dev/null || true)" \
      "$(carried_text "$(carried_name "$1" "${name}")" || true)"; do
      if is_signed_by_any "${text}" "${@:3}"; then return; fi
    done
  done
  printf 'none of its CAs has signed the certificate of this party\n'
}

# Prints why its caller's roots and announcements are not taken, or nothing.
why_not_here() { # why_not_here PARTY CERTIFICATE
  local problem='' file=${dir}/$1/${ca_certificate}
  if [[ -e ${file} ]]; then problem=$(why_not_ours "${file}"); fi
  if [[ -z ${problem} ]]; then
    problem=$(why_not_of_party "$@" "${roots[@]}")
  fi
  [[ -z ${problem} ]] || printf '%s\n' "${problem}"
}

# Where nothing is trusted yet, only people can tell whose CA it is.
confirm_authorities() { # confirm_authorities CA...
  local authority
  for authority in "$@"; do
    note "CA certificate sha256: $(digest_of_pem "${authority}")"
  done
  confirm 'Does the CA machine show the same sha256?'
}

# Leaves in roots the CAs that this party trusts from then on.
take_authorities() { # take_authorities PARTY CERTIFICATE; sets roots
  local name text='' problem='' file=${dir}/$1/${ca_certificate}
  local -a certificates=() announcements=()
  name=$(carried_name "$1" "${ca_certificate}")
  if [[ -e ${dir}/$1/$2 || -e $(carried_name "$1" "$2") ]]; then
    text=$(text_in "${name}")
  fi
  if [[ -n ${text} ]] && ! is_text_of "${text}" "${file}" &&
    ! is_earlier_bundle "${text}" "${file}"; then
    if split_certificates "${text}"; then
      sort_pems "${certificates[@]}"
      problem=$(why_no_bundle)
    else
      problem='it holds something else than certificates'
    fi
    if [[ -z ${problem} ]]; then problem=$(why_not_here "$@"); fi
    if [[ -z ${problem} ]]; then
      if [[ ! -e ${file} ]]; then confirm_authorities "${roots[@]}"; fi
      write_file "${file}" 0644 "$(printf '%s\n' "${certificates[@]}")"
      note "taken: ${ca_certificate} of $1"
      return
    fi
    note "not taken: ${exchange}/${name}: ${problem}"
  fi
  roots=()
  if [[ -f ${file} ]]; then sort_certificates "${file}" || true; fi
}

# Prints why a certificate does not take the place of the one in FILE. One for
# another key is of another round, party or site.
why_not_later() { # why_not_later PEM FILE KEY CA...
  local -A carried=() here=([begins]=0)
  if [[ -f $2 ]]; then read_certificate here "$2" || true; fi
  if ! read_certificate carried <(printf '%s\n' "$1"); then
    printf 'it cannot be read\n'
  elif [[ ${carried[key]} != "$(
    openssl pkey -in "$3" -passin pass: -pubout
  )" ]]; then
    printf 'it is for another key\n'
  elif ! is_signed_by_any "$1" "${@:4}"; then
    printf 'no CA that is trusted here has signed it\n'
  elif ((carried[begins] < here[begins])); then
    printf 'it is older than the one that is here\n'
  fi
}

take_certificate() { # take_certificate PARTY KEY CERTIFICATE CA...
  local text name problem file=${dir}/$1/$3
  local -a certificates=()
  name=$(carried_name "$1" "$3")
  text=$(text_in "${name}")
  if [[ -z ${text} ]] || is_text_of "${text}" "${file}" ||
    is_text_of "${text}" "${dir}/$1/${3#renewal/}"; then
    return
  fi
  if split_certificates "${text}" && ((${#certificates[@]} == 1)); then
    problem=$(
      why_not_later "${certificates[0]}" "${file}" "${dir}/$1/$2" "${@:4}"
    )
  else
    problem='it is no certificate'
  fi
  if [[ -z ${problem} ]]; then
    write_file "${file}" 0644 "${certificates[0]}"
    note "taken: $3 of $1"
  else
    note "not taken: ${exchange}/${name}: ${problem}"
  fi
}

take_answers() { # take_answers PARTY KEY REQUEST CERTIFICATE
  local folder=${dir}/$1 key=$2
  local -a roots=()
  if [[ ! -e ${folder}/$2 ]]; then return; fi
  open_folder "${folder}"
  need_plain "${folder}"/{"$2","$4","${ca_certificate}"}
  take_authorities "$1" "$4"
  if [[ -e ${folder}/renewal/$3 ]]; then
    open_folder "${folder}/renewal"
    need_plain "${folder}/renewal"/{"$2","$4"}
    if [[ -e ${folder}/renewal/$2 ]]; then key=renewal/$2; fi
    take_certificate "$1" "${key}" "renewal/$4" "${roots[@]}"
  fi
  take_certificate "$1" "$2" "$4" "${roots[@]}"
}

# True when the CA has answered a request that lies in DIR, by its key.
is_answered() { # is_answered PARTY REQUEST CERTIFICATE
  local text
  text=$(carried_text "$(carried_name "$1" "$2")" || true)
  [[ -n ${text} && -f ${dir}/$1/$3 && $(openssl req -noout -pubkey \
    -config "${lib}/openssl.cnf" <<<"${text}" 2>/dev/null) == "$(
    public_key_of "${dir}/$1/$3"
  )" ]]
}

# What a request asks for is judged when it is signed. One that was answered
# stays in DIR where it could not be removed; its answer is there too, then.
read_request() { # read_request PARTY REQUEST CERTIFICATE
  local text name
  name=$(carried_name "$1" "$2")
  text=$(text_in "${name}")
  if [[ -z ${text} ]] || { is_answered "$@" &&
    is_same_carried "${dir}/$1/$3" "$(carried_name "$1" "$3")"; }; then
    return
  fi
  if ! text=$(openssl req -config "${lib}/openssl.cnf" <<<"${text}" \
    2>/dev/null); then
    note "not taken: ${exchange}/${name}, which is no certificate request"
  elif ! is_text_of "${text}" "${dir}/$1/$2"; then
    requests_carried+=("$1 $2")
    requests_text+=("${text}")
  fi
}

# The answer goes into DIR in the same run: people compare the keys before.
take_requests() {
  local number party request digest file
  for number in "${!requests_carried[@]}"; do
    digest=$(openssl req -noout -pubkey -config "${lib}/openssl.cnf" \
      <<<"${requests_text[number]}" |
      openssl pkey -pubin -outform DER | sha256sum)
    note "asks: ${requests_carried[number]%% *}, with public key sha256:" \
      "${digest%% *}"
  done
  if ((${#requests_carried[@]})); then
    confirm 'Does the machine of each of them show the same sha256?'
  fi
  for number in "${!requests_carried[@]}"; do
    read -r party request <<<"${requests_carried[number]}"
    file=${dir}/${party}/${request}
    open_folder "${dir}/${party%/*}"
    open_folder "${dir}/${party}"
    open_folder "${file%/*}"
    need_plain "${file}"
    requests_before+=("$(cat -- "${file}" 2>/dev/null || true)")
    write_file "${file}" 0600 "${requests_text[number]}"
    note "taken: ${request} of ${party}"
  done
}

# A request that is refused would be refused in each later run.
put_requests_back() {
  local number file
  for number in "${!requests_before[@]}"; do
    file=${dir}/${requests_carried[number]/ //}
    if [[ -n ${requests_before[number]} ]]; then
      write_file "${file}" 0600 "${requests_before[number]}"
    else
      remove_file "${file}"
    fi
  done
  note "nothing that asks is taken from ${exchange}, then: remove the request" \
    'that is refused there, or replace it, and run this again'
}

take_from_exchange() {
  local party key request certificate before=${PWD}
  need_exchange
  enter_exchange
  while read -r party key request certificate _; do
    if has "${roles[*]}" "${party}"; then
      take_answers "${party}" "${key}" "${request}" "${certificate}"
    elif has "${roles[*]}" ca && [[ ${request} != - &&
      ! -e ${dir}/${party}/${key} ]]; then
      read_request "${party}" "${request}" "${certificate}"
      read_request "${party}" "renewal/${request}" "renewal/${certificate}"
    fi
  done < <(printf '%s\n' "${party_rows[@]}")
  take_requests
  cd -- "${before}"
}

# ---- What others wait for ---------------------------------------------------

# Puts a file into DIR whole or not at all, for anybody to read: FAT knows no
# modes.
leave_file() { # leave_file PARTY FILE
  local name file=${dir}/$1/$2
  name=$(carried_name "$1" "$2")
  if [[ ! -f ${file} || -L ${file} ]] || { [[ ! -L ${name} ]] &&
    is_same_carried "${file}" "${name}"; }; then
    return
  fi
  [[ -w . ]] || die 1 "${exchange} cannot be written to; ${leaves}"
  umask 022
  run cp --no-preserve=all --remove-destination -T -- "${file}" "${name}.new"
  umask 077
  is_same_carried "${file}" "${name}.new" ||
    die 1 "${exchange}/${name}.new did not read back; is it full? ${leaves}"
  put_in_place "${name}"
  note "left: $2 of $1"
}

remove_carried() { # remove_carried PARTY FILE
  local name
  name=$(carried_name "$1" "$2")
  if [[ -f ${name} ]]; then run rm -f -- "${name}"; fi
}

# Of a renewal with the same key, the last answer would look like that of this
# request.
leave_request() { # leave_request PARTY REQUEST CERTIFICATE
  if [[ -f ${dir}/$1/$2 && ! -e ${dir}/$1/$3 ]]; then
    if ! is_same_carried "${dir}/$1/$2" "$(carried_name "$1" "$2")"; then
      remove_carried "$1" "$3"
    fi
    leave_file "$1" "$2"
  fi
}

# Of a first request that is still here with the certificate's key, the answer
# was lost on its way: it is not signed again.
leave_answer() { # leave_answer PARTY REQUEST CERTIFICATE
  local request=${dir}/$1/$2
  if [[ -e ${request} ]] && { [[ $2 == renewal/* || ! -e ${dir}/$1/$3 ]] ||
    [[ $(key_of_request "${request}") != "$(
      public_key_of "${dir}/$1/$3"
    )" ]]; }; then
    return
  fi
  leave_file "$1" "$3"
  if is_answered "$@"; then remove_carried "$1" "$2"; fi
}

leave_in_exchange() {
  local party request certificate before=${PWD} state=${leaves}
  leaves='this machine has done its part, and what it leaves for others is not'
  leaves+=" all in ${exchange}; run this again with one that can be written to"
  enter_exchange
  while read -r party _ request certificate _; do
    if has "${roles[*]}" "${party}" && ! has "${roles[*]}" ca; then
      leave_request "${party}" "${request}" "${certificate}"
      leave_request "${party}" "renewal/${request}" "renewal/${certificate}"
    elif has "${roles[*]}" ca && ! has "${roles[*]}" "${party}"; then
      leave_answer "${party}" "${request}" "${certificate}"
      leave_answer "${party}" "renewal/${request}" "renewal/${certificate}"
      leave_file "${party}" "${ca_certificate}"
    fi
  done < <(printf '%s\n' "${party_rows[@]}")
  leaves=${state}
  cd -- "${before}"
}

# The digest of a public key is compared by voice with what the CA machine shows.
tell_awaited_certificate() { # tell_awaited_certificate PARTY REQUEST CERTIFICATE
  local digest
  if [[ ! -f ${dir}/$1/$2 || -e ${dir}/$1/$3 ]]; then return; fi
  digest=$(key_of_request "${dir}/$1/$2" |
    openssl pkey -pubin -outform DER | sha256sum)
  note "awaited: $3 of $1, from the CA machine;" \
    "public key sha256: ${digest%% *}"
}

tell_what_is_awaited() {
  local party request certificate place
  while read -r party _ request certificate _; do
    if has "${roles[*]}" "${party}" && ! has "${roles[*]}" ca; then
      for place in '' renewal/; do
        tell_awaited_certificate "${party}" "${place}${request}" \
          "${place}${certificate}"
      done
    elif has "${roles[*]}" ca && [[ ${request} != - &&
      ! -e ${dir}/${party}/${certificate} ]]; then
      note "awaited: ${request} of ${party}, from its machine"
    fi
  done < <(printf '%s\n' "${party_rows[@]}")
}
