#!/bin/bash
# ---- Judgement --------------------------------------------------------------

private_keys() {
  find "${roots[@]}" -type f \( -name '*key.pem' -o -name ca-private.pem \) \
    ! -empty ! -path '*.new/*' -exec sha256sum -- {} + 2>/dev/null | cut -c 1-64 | sort -u
}

# At its final name a file is whole: as at the beginning, as at the end, or, where
# it is another in every run, one that openssl reads.
look_at_files() {
  local file
  while IFS= read -r file; do
    if [[ ${file} =~ ${random} ]]; then
      is_whole "${file}" || problem "${file} is half written"
    elif grep -qF -- "  ${file}" "${here}"/{begin,end}.everything; then
      problem "${file} is neither the old one nor the new one"
    elif [[ ! -s ${file} || -n $(tail -c 1 -- "${file}") ]]; then
      problem "${file} is half written"
    fi
  done < <(everything | grep -vxF -f "${here}/begin.everything" \
    -f "${here}/end.everything" | cut -c 67- |
    grep -Ev -e '[.]new(/|$)' -e "${may_be_half:-^$}")
}

is_whole() { # is_whole FILE
  case $1 in
    *ca-private.pem) openssl pkey -in "$1" -passin "file:${passphrase}" -noout ;;
    *key.pem) openssl pkey -in "$1" -noout ;;
    *.pem)
      [[ $(tail -n 1 -- "$1") == '-----END CERTIFICATE-----' ]] &&
        openssl x509 -in "$1" -noout
      ;;
    *.csr) openssl req -in "$1" -noout -verify ;;
    */ledger.txt)
      ! grep -Evq '^[0-9A-F]+( [^ ]+){8}|^# serial ' "$1" &&
        [[ -z $(grep -v '^#' "$1" | cut -d ' ' -f 1 | sort | uniq -d) ]]
      ;;
  esac
} >/dev/null 2>&1

# What was handed out is in the ledger.
look_at_ledger() {
  local file digest
  [[ -e ${work}/ca/ledger.txt ]] || return 0
  while IFS= read -r file; do
    digest=$(openssl x509 -in "${file}" -outform DER | sha256sum)
    grep -q " ${digest%% *} " "${work}/ca/ledger.txt" ||
      problem "${file} is not in the ledger"
  done < <(find "${work}" -name '*certificate.pem' ! -path '*.new/*' 2>/dev/null)
}

# Key and certificate belong together, and the certificate is the CA's.
look_at_pairs() {
  local folder pair key certificate
  while IFS= read -r folder; do
    for pair in 'server-key.pem certificate.pem' 'key.pem cert.pem' \
      'server-key.pem server-cert.pem' 'ca-private.pem ca-public.pem' \
      'client-key.pem client-certificate.pem'; do
      key=${folder}/${pair% *} certificate=${folder}/${pair#* }
      [[ -e ${key} && -e ${certificate} ]] || continue
      [[ $(openssl x509 -in "${certificate}" -noout -pubkey) == "$(
        openssl pkey -in "${key}" -passin "file:${passphrase}" -pubout
      )" ]] || problem "${key} does not belong to ${certificate}"
      if [[ -e ${work}/ca/ca-public.pem && ${folder} != *previous* &&
        ${folder} != *retired* && ${folder} != */next ]]; then
        openssl verify -CAfile "${work}/ca/ca-public.pem" "${certificate}" \
          >/dev/null 2>&1 || [[ -e ${work}/ca/previous ||
          -n $(find "${work}/ca" -name 'retired-*') ]] ||
          problem "${certificate} is not of this CA"
      fi
    done
  done < <(find "${roots[@]}" -type d 2>/dev/null)
}

# dockerd runs with the old configuration or the new one; while systemd restarts
# it, it comes by itself.
look_at_daemon() {
  local line
  ((daemon)) || return 0
  if ! answers; then
    problem "dockerd does not answer: $(units | head -n 2)" \
      "$(docker version 2>&1 | tail -n 1)" \
      "$(journalctl --unit docker.service --output cat --lines 3)"
    return
  fi
  line=$(daemon_line)
  [[ ${line} == "$(<"${here}/begin.daemon")" ||
  ${line} == "$(<"${here}/end.daemon")" ]] ||
    problem "dockerd runs with ${line}"
}

look() {
  look_at_files
  look_at_ledger
  look_at_daemon
}

# Prints the files that end within a line: their writer was cut short.
unfinished() {
  find "${roots[@]}" -type f -print0 2>/dev/null | xargs -0 -r perl -e '
    for (@ARGV) {
      open(my $file, "<", $_) && seek($file, -1, 2) or next;
      print "$_\n" if getc($file) ne "\n";
    }'
}

# Most commands of a script leave what the one before left: the next run is tried
# once for each that is found.
judge() {
  local left
  if ((daemon)); then answers; fi
  left=$({
    state
    find "${roots[@]}" -type f -empty | sort
    unfinished | sort
  } 2>/dev/null | sha256sum)
  if grep -qxF -- "${left}" "${here}/judged"; then return; fi
  look
  run_again
  ((${#problems[@]})) || printf '%s\n' "${left}" >>"${here}/judged"
}

# A script that cannot go on says why in a sentence, and leaves what was there.
look_at_refusal() {
  local line
  [[ ${status} =~ ^[124]$ ]] || problem "ended with ${status}"
  grep -q '^error: ' "${here}/said" || problem "no error: $(last_line said)"
  # A serial that was taken stays taken, and what is signed is in the ledger before
  # it is handed out.
  while IFS= read -r line; do
    [[ ${line} == *.srl || ${line} == */ledger.txt ]] || problem "${line:66} is not what it was"
  done < <(grep -vxF -f <(everything) "${here}/begin.everything")
}

last_line() { tail -n 1 -- "${here}/$1"; } # last_line NAME

look_at_end() {
  local difference
  difference=$(diff "${here}/end.state" <(state) | grep '^[<>]' |
    grep -Ev -- "${may_be_gone:-^$}" | head -n 3)
  [[ -z ${difference} ]] || problem "the end differs: ${difference}"
  look_at_pairs
}

# A run that finds all done already may have a status of its own.
is_done() { ((status == $(<"${here}/end.status") || status == again)); }

# The next run does the rest.
run_again() {
  local key keys=''
  if ((keeps_keys)); then
    keys=$(cat -- "${here}/begin.keys" <(private_keys))
  fi
  attempt
  is_done ||
    problem "the next run ends with ${status}: $(last_line said)"
  look
  look_at_end
  private_keys >"${here}/keys"
  for key in ${keys}; do
    grep -q "${key}" "${here}/keys" || problem 'a private key is gone'
  done
}
