# ---- Carries files from machine to machine: setup.sh --exchange DIR ---------

# Nothing in DIR is trusted, and nothing private is written there. Others may
# write to it too: this script goes into it, and then names files in it alone,
# so that no link of theirs leads elsewhere. What is read is judged in memory,
# and only then written to the working folder.

exchange=$(realpath --canonicalize-missing -- "${exchange}")
readonly exchange

# Prints the name in DIR of a party's file. It begins with the CA's, since other
# sites may have parties of the same names.
carried_name() { # carried_name PARTY FILE
  local name=${ca_common_name//[^a-zA-Z0-9.-]/_}+$1+$2
  printf '%s\n' "${name//\//+}"
}

# Prints a file in DIR as text: without the carriage returns of another system,
# and not longer than a request or a certificate may be.
text_in() { # text_in NAME
  if [[ ! -e $1 && ! -L $1 ]]; then return; fi
  [[ -f $1 && ! -L $1 && -r $1 ]] ||
    die 2 "${exchange}/$1 is no file that $(user_name) may read; remove it"
  timeout 10 head --bytes=65536 -- "$1" | tr -d '\0\r' ||
    die 1 "${exchange}/$1 cannot be read; ${leaves}"
}

need_exchange() {
  [[ -d ${exchange} && -x ${exchange} && -r ${exchange} ]] ||
    die 2 "${exchange} is no folder that $(user_name) may read; ${leaves}"
  [[ ${exchange}/ != "${dir}"/* && ${dir}/ != "${exchange%/}"/* ]] ||
    die 2 "${exchange} and the working folder ${dir} lie one in the other: give" \
      "--exchange a folder that is carried; ${leaves}"
}

# What is printed from here on names files of DIR without a folder.
enter_exchange() {
  cd -P -- "${exchange}"
  [[ $(realpath -- .) == "${exchange}" ]] ||
    die 2 "${exchange} was replaced meanwhile; ${leaves}"
}

# ---- What is meant for the parties of this machine --------------------------

# A certificate for another key is of another round, party or site.
take_certificate() { # take_certificate PARTY KEY CERTIFICATE
  local text name file=${dir}/$1/$3
  local -A carried=() here=([begins]=0)
  name=$(carried_name "$1" "$3")
  text=$(text_in "${name}") || exit
  if [[ -z ${text} ]]; then return; fi
  if ! text=$(openssl x509 <<<"${text}" 2>/dev/null) ||
    ! read_certificate carried <(printf '%s\n' "${text}"); then
    note "not taken: ${exchange}/${name}, which is no certificate"
    return
  fi
  if [[ -f ${file} ]]; then read_certificate here "${file}" || true; fi
  if ((carried[begins] < here[begins])) || is_text_of "${text}" "${file}" ||
    is_text_of "${text}" "${dir}/$1/${3#renewal/}"; then
    return
  elif [[ ${carried[key]} == "$(
    openssl pkey -in "${dir}/$1/$2" -passin pass: -pubout
  )" ]]; then
    write_file "${file}" 0644 "${text}"
    note "taken: $3 of $1"
  else
    note "not taken: ${exchange}/${name}, which is for another key"
  fi
}

# True for the CA alone that has announced the one that is trusted here too:
# what was carried before the CA was rolled over.
is_earlier_bundle() { # is_earlier_bundle TEXT INSTALLED
  local -a roots=() announcements=()
  [[ -f $2 ]] && sort_certificates "$2" && ((${#announcements[@]} == 1)) &&
    [[ $1 == "$(announcer_of "${roots[@]}" "${announcements[@]}")" ]]
}

# The first one is that of the CA which has signed this party's certificate.
take_authorities() { # take_authorities PARTY CERTIFICATE
  local text problem name file=${dir}/$1/${ca_certificate}
  if [[ ! -e ${dir}/$1/$2 ]]; then return; fi
  name=$(carried_name "$1" "${ca_certificate}")
  text=$(text_in "${name}") || exit
  if [[ -z ${text} ]] || is_text_of "${text}" "${file}" ||
    is_earlier_bundle "${text}" "${file}"; then
    return
  fi
  write_file "${file}.carried" 0644 "${text}"
  if [[ ${verb} != check ]]; then
    problem=$(why_not_trusted "${file}.carried" "${file}" "${dir}/$1/$2")
    if [[ -z ${problem} && ! -e ${file} ]]; then
      problem=$(why_not_valid "${dir}/$1/$2" "${file}.carried" any)
    fi
    if [[ -n ${problem} ]]; then
      remove_file "${file}.carried"
      note "not taken: ${exchange}/${name}: ${problem}"
      return
    fi
  fi
  run mv -fT -- "${file}.carried" "${file}"
  note "taken: ${ca_certificate} of $1"
}

take_answers() { # take_answers PARTY KEY REQUEST CERTIFICATE
  local folder=${dir}/$1
  if [[ ! -e ${folder}/$2 ]]; then return; fi
  open_folder "${folder}"
  need_plain "${folder}"/{"$2","$4","${ca_certificate}"}
  if [[ -e ${folder}/renewal/$3 ]]; then
    open_folder "${folder}/renewal"
    need_plain "${folder}/renewal"/{"$2","$4"}
    if [[ -e ${folder}/renewal/$2 ]]; then
      take_certificate "$1" "renewal/$2" "renewal/$4"
    else
      take_certificate "$1" "$2" "renewal/$4"
    fi
  fi
  take_certificate "$1" "$2" "$4"
  take_authorities "$1" "$4"
}

# True when the CA has answered a request that lies in DIR, by its key.
is_answered() { # is_answered PARTY REQUEST CERTIFICATE
  local text
  text=$(text_in "$(carried_name "$1" "$2")") || exit
  [[ -f ${dir}/$1/$3 && $(openssl req -noout -pubkey \
    -config "${lib}/openssl.cnf" <<<"${text}" 2>/dev/null) == "$(
    public_key_of "${dir}/$1/$3"
  )" ]]
}

# What a request asks for is judged when it is signed. One that was answered
# stays in DIR where it could not be removed; its answer is there too, then.
take_request() { # take_request PARTY REQUEST CERTIFICATE
  local text name file=${dir}/$1/$2
  name=$(carried_name "$1" "$2")
  text=$(text_in "${name}") || exit
  if [[ -z ${text} ]]; then return; fi
  if is_answered "$@" && is_same_file "${dir}/$1/$3" \
    "$(carried_name "$1" "$3")"; then
    return
  fi
  if ! text=$(openssl req -config "${lib}/openssl.cnf" <<<"${text}" \
    2>/dev/null); then
    note "not taken: ${exchange}/${name}, which is no certificate request"
    return
  fi
  if is_text_of "${text}" "${file}"; then return; fi
  open_folder "${dir}/${1%/*}"
  open_folder "${dir}/$1"
  open_folder "${file%/*}"
  write_file "${file}" 0600 "${text}"
  note "taken: $2 of $1"
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
      take_request "${party}" "${request}" "${certificate}"
      take_request "${party}" "renewal/${request}" "renewal/${certificate}"
    fi
  done < <(printf '%s\n' "${party_rows[@]}")
  cd -- "${before}"
}

# ---- What others wait for ---------------------------------------------------

# Puts a file into DIR whole or not at all, for anybody to read: FAT knows no
# modes.
leave_file() { # leave_file PARTY FILE
  local name file=${dir}/$1/$2
  name=$(carried_name "$1" "$2")
  if [[ ! -f ${file} || -L ${file} ]] || { [[ ! -L ${name} ]] &&
    is_same_file "${file}" "${name}"; }; then
    return
  fi
  [[ -w . ]] || die 1 "${exchange} cannot be written to; ${leaves}"
  umask 022
  run cp --no-preserve=all --remove-destination -T -- "${file}" "${name}.new"
  umask 077
  is_same_file "${file}" "${name}.new" ||
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
    if ! is_same_file "${dir}/$1/$2" "$(carried_name "$1" "$2")"; then
      remove_carried "$1" "$3"
    fi
    leave_file "$1" "$2"
  fi
}

leave_answer() { # leave_answer PARTY REQUEST CERTIFICATE
  if [[ -e ${dir}/$1/$2 ]]; then return; fi
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
