#!/usr/bin/env bash
# Backs up the CA into one encrypted file, reads it back and restores it into an
# empty folder before it says done. Without a back-up a lost CA means: no
# renewal, no new client, and a new CA for everyone.
#
# Reads:      DIR/ca/: ca-private.pem, ca-public.pem, ledger.txt; FILE
#             (--restore)
# Writes:     FILE (--to); DIR/ca/: ca-private.pem, ca-public.pem, ledger.txt,
#             .lock, ca-public.srl, refused.txt, authorities.pem,
#             retired-SERIAL/; DIR/ca/next/: ca-private.pem, ca-public.pem;
#             DIR/ca/previous/: ca-private.pem, ca-public.pem; DIR/.lock
# Temporary:  /tmp/RANDOM/; DIR/ca/SHA256SUMS
# Restarts:   nothing
# Needs root: no
# Undo:       the file of --to, or the CA of --restore, stays; what a killed
#             --restore left is listed and kept, unless --remove-keys
# Options:    --to FILE | --restore FILE  --dir DIR (~/docker-tls)
#             --passphrase-file FILE  --yes  --check
#             --undo [--remove-keys]  --help
# Status:     0 done, 1 failed, 2 wrong use, 3 --check found changes to make

POSIXLY_CORRECT=1 # why: begin.sh
case $0 in "${BASH_SOURCE-}") lib=$0 ;; *) lib= ;; esac
lib=$(/usr/bin/realpath -e -- "${lib:?run: bash FILE}") || exit 2
. "${lib%/*/*}/lib/begin.sh"

readonly script='ca/70-back-up-ca.sh'
readonly ca_key_file='ca-private.pem'
readonly ca_certificate_file='ca-public.pem'
readonly ledger_file='ledger.txt'

# ==== Below this line every site has the same bytes ====

. "${lib}/common.sh"
. "${lib}/change.sh"
. "${lib}/certificates.sh"
. "${lib}/passphrase.sh"
. "${lib}/ledger.sh"
. "${lib}/authority.sh"

# ---- The archive ------------------------------------------------------------

accepts=' --to --restore --dir --passphrase-file --yes --check --undo '
accepts+='--remove-keys --help '
readonly accepts
# The same passphrase as that of the CA's key, made slow to guess. This cipher
# does not notice changes: the sums inside do, and the key that must open.
readonly -a cipher=(-aes-256-cbc -pbkdf2 -iter 600000 -md sha512)
# What may stand in an archive: plain files of these names, nothing else.
readonly member='^\./((next|previous|retired-[0-9A-F]{1,16})/)?[A-Za-z0-9._-]+$'
readonly sums=SHA256SUMS

# Prints the files of a CA's folder, one a line.
files_of() { # files_of FOLDER
  local file
  (
    cd -- "$1"
    for file in ./* ./*/* ./*/*/*; do
      if [[ -f ${file} && ${file} != *.new && ${file} != "./${sums}" ]]; then
        printf '%s\n' "${file}"
      fi
    done | sort
  )
}

# Encrypts a folder of plain files. Nothing of it is ever written unencrypted
# but in there.
encrypt() { # encrypt FOLDER FILE
  tar --create --directory "$1" --sort=name --owner=0 --group=0 . |
    openssl enc "${cipher[@]}" -e -salt -pass fd:3 3< <(
      printf '%s\n' "${passphrase}"
    ) >"$2"
}

decrypt() { # decrypt FILE
  openssl enc "${cipher[@]}" -d -pass fd:3 -in "$1" 3< <(
    printf '%s\n' "${passphrase}"
  ) 2>/dev/null
}

# Prints why an archive is not taken, or nothing.
archive_problem() { # archive_problem FILE
  local line mode name
  decrypt "$1" | tar --list --verbose >"${scratch}/list" 2>/dev/null || {
    printf 'it does not open: another passphrase, or it is damaged\n'
    return
  }
  while read -r mode _ _ _ _ name; do
    if [[ ${mode} == d* && ${name} == */ ]]; then continue; fi
    [[ ${mode} == -* && ${name} =~ ${member} ]] || {
      printf 'it holds what no back-up holds: %s\n' "${name}"
      return
    }
  done <"${scratch}/list"
}

# Unpacks an archive into an empty folder, and proves that it is a CA.
unpack() { # unpack FILE FOLDER; sets problem
  problem=$(archive_problem "$1")
  if [[ -n ${problem} ]]; then return; fi
  decrypt "$1" | tar --extract --directory "$2" --no-same-owner || {
    problem='it cannot be unpacked; is the disk full?'
    return 0
  }
  problem=$(folder_problem "$2")
}

# Prints what is wrong with an unpacked CA, or nothing.
folder_problem() { # folder_problem FOLDER
  local key=$1/${ca_key_file} public
  if ! (cd -- "$1" && sha256sum --check --quiet --strict "${sums}") \
    &>/dev/null; then
    printf 'the sums in it do not fit: it is damaged\n'
  elif [[ $(files_of "$1") != "$(listed_in "$1/${sums}")" ]]; then
    printf 'it holds other files than its list says\n'
  elif ! is_right_passphrase "${key}"; then
    printf 'its key does not open with this passphrase\n'
  else
    public=$(openssl pkey -in "${key}" -passin fd:3 -pubout 3< <(
      printf '%s\n' "${passphrase}"
    ))
    [[ ${public} == "$(public_key_of "$1/${ca_certificate_file}")" ]] ||
      printf 'its key does not belong to its certificate\n'
  fi
}

# Prints the names in a list of sums, one a line.
listed_in() { # listed_in FILE
  local name
  while read -r _ name; do printf '%s\n' "${name#\*}"; done <"$1" | sort
}

# ---- Back-up ----------------------------------------------------------------

# The key in there is encrypted by itself; the copy is what the sums are of.
copy_authority() { # copy_authority FOLDER
  local file
  while IFS= read -r file; do
    mkdir -p -- "$1/${file%/*}"
    cp -pT -- "${folder}/${file}" "$1/${file}"
  done < <(files_of "${folder}")
  (
    cd -- "$1"
    files_of . | while IFS= read -r file; do sha256sum -- "${file}"; done \
      >"${sums}"
  )
}

is_same_authority() { # is_same_authority FOLDER
  [[ $(files_of "${folder}") == "$(files_of "$1")" ]] &&
    (cd -- "${folder}" && sha256sum --check --quiet --strict "$1/${sums}") \
      &>/dev/null
}

# Stops where a file beside the CA's own would make an archive that is refused.
need_members() {
  local file
  while IFS= read -r file; do
    [[ ${file} =~ ${member} ]] ||
      die 2 "${folder}/${file#./} is none of the CA's files, and no back-up" \
        "holds it; move it out of ${folder}; ${leaves}"
  done < <(files_of "${folder}")
}

# Stops where FILE cannot be made. Its name until it is whole, PART, is this
# script's own: a file of it is what a killed run left.
need_free_name() { # need_free_name FILE PART
  [[ ! -e $1 ]] ||
    die 2 "$1 is there already; give another name, or move it away"
  [[ $1 != *.dockseal.new ]] ||
    die 2 "$1 has the name of a back-up that is not whole; give another name"
  [[ -d ${1%/*}/ ]] || die 2 "there is no folder ${1%/*}"
  need_safe_parent "$1"
  [[ ! -d $2 && (! -e $2 || -O $2) ]] ||
    die 2 "$2 is a folder or another user's file; move it away"
}

# A file of this name that somebody else makes meanwhile is no way out.
write_back_up() { # write_back_up FILE
  local problem=''
  get_passphrase "${key}"
  mkdir -- "${scratch}/copy" "${scratch}/restored"
  copy_authority "${scratch}/copy"
  set -o noclobber
  encrypt "${scratch}/copy" "$1" ||
    die 1 "$1 could not be written; is the disk full? ${leaves}"
  set +o noclobber
  unpack "$1" "${scratch}/restored"
  [[ -z ${problem} ]] || die 1 "$1 did not read back: ${problem}; ${leaves}"
  is_same_authority "${scratch}/restored" ||
    die 1 "$1 is not what is in ${folder}; run this again"
}

back_up() {
  local part=${to}.dockseal.new
  need_access "${folder}"
  [[ -e ${key} && -e ${folder}/${ca_certificate_file} ]] ||
    die 2 "there is no CA in ${folder} to back up"
  open_party "${folder}"
  need_private "${new_ca}" "${key}"
  need_ledger
  need_whole "${folder}/${ca_certificate_file}"
  need_members
  need_free_name "${to}" "${part}"
  run rm -f -- "${part}"
  print_line "tar --create . | openssl enc ${cipher[*]} -e -salt -pass fd:3\
 >${part}"
  if [[ ${verb} != check ]]; then write_back_up "${part}"; fi
  run sync -- "${part}"
  run mv -nT -- "${part}" "${to}"
  # Where others may make files, one may have that name by now: mv is silent.
  [[ ${verb} == check || ! -e ${part} ]] ||
    die 1 "somebody has made ${to} meanwhile: the back-up is ${part}; move it" \
      'to a folder where nobody else can write'
  run sync -- "${to%/*}/"
  note "${to} was read back, restored and compared. Carry it elsewhere. It" \
    'opens with the passphrase of the CA key, which is not in it: without' \
    'both there is no renewal and no new client'
}

# ---- Restore ----------------------------------------------------------------

get_archive_passphrase() {
  local answer=''
  if [[ -n ${passphrase_file} ]]; then
    read_passphrase_file
    return
  fi
  has_terminal || die 2 \
    'the back-up needs a passphrase and there is no terminal:' \
    'give --passphrase-file'
  ask_on_terminal 'Passphrase for the CA key: '
  passphrase=${answer}
}

restore() {
  local problem='' part=${folder}.dockseal.new
  [[ -f ${restore_from} ]] || die 2 "there is no file ${restore_from}"
  open_folder "${dir}"
  if [[ ${verb} != check ]]; then lock "${dir}/.lock"; fi
  [[ ! -e ${folder} ]] ||
    die 2 "${folder} is there already; give another --dir, or move it away"
  if [[ -e ${part} ]]; then run rm -rf -- "${part}"; fi
  run mkdir -m 0700 -- "${part}"
  print_line "openssl enc ${cipher[*]} -d -in ${restore_from} | tar --extract"
  if [[ ${verb} != check ]]; then
    get_archive_passphrase
    # Nobody changes the copy between the look at it and its use.
    cp -T -- "${restore_from}" "${scratch}/archive"
    unpack "${scratch}/archive" "${part}"
    if [[ -n ${problem} ]]; then
      rm -rf -- "${part}"
      die 2 "refused ${restore_from}: ${problem}; nothing was restored"
    fi
  fi
  run rm -f -- "${part}/${sums}"
  run sync --file-system -- "${part}"
  run mv -T -- "${part}" "${folder}"
  run sync -- "${dir}"
  note "the CA is back in ${folder}, with its key and its ledger"
}

# A killed --restore leaves a folder that holds the key.
undo() {
  local left=${folder}.dockseal.new
  need_no_links "${left}"
  if [[ -e ${left} ]] && ((remove_keys)); then
    run rm -rf -- "${left}"
  elif [[ -e ${left} ]]; then
    note "kept: ${left} (--undo --remove-keys removes it)"
  fi
  undo_folder "${left}"
  finish
}

main() {
  parse_options "$@"
  need_openssl
  folder=${dir}/ca
  key=${folder}/${ca_key_file}
  ledger=${folder}/${ledger_file}
  if [[ ${verb} == undo ]]; then undo; fi
  [[ -n ${to}${restore_from} && (-z ${to} || -z ${restore_from}) ]] ||
    die 2 'give one of --to FILE and --restore FILE'
  scratch=$(mktemp -d)
  trap 'rm -rf -- "${scratch}"' EXIT
  if [[ -n ${to} ]]; then
    to=$(realpath --canonicalize-missing -- "${to}")
    back_up
  else
    restore
  fi
  finish
}

main "$@"
