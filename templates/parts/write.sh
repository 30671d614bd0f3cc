# Writes a file whole or not at all; does nothing when it is so already.
write_file() { # write_file FILE MODE TEXT
  local file=$1 mode=$2 text=$3
  if [[ -f ${file} && $(<"${file}") == "${text}" ]]; then return; fi
  changed=1
  if [[ ${verb} == check ]]; then
    printf "cat >%q <<'END'\n%s\nEND\n" "${file}" "${text}"
    return
  fi
  printf "+ cat >%q <<'END'\n%s\nEND\n" "${file}" "${text}" >&2
  rm -f -- "${file}.new"
  printf '%s\n' "${text}" >"${file}.new"
  [[ $(<"${file}.new") == "${text}" ]] ||
    die 1 "${file}.new did not read back; is the disk full? ${leaves}"
  chmod -- "${mode}" "${file}.new"
  sync -- "${file}.new"
  mv -fT -- "${file}.new" "${file}"
}
