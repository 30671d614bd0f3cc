# Prints why a file is not read as a key, certificate or request, or nothing.
# A pipe would be waited for, and a device or a large file read without end.
why_not_plain() { # why_not_plain FILE
  if [[ ! -e $1 && ! -L $1 ]]; then
    return
  elif [[ ! -f $1 ]]; then
    printf 'it is not a regular file\n'
  elif (($(stat --dereference --format '%s' -- "$1") > 65536)); then
    printf 'it is larger than 64 KiB\n'
  elif [[ ! -r $1 ]]; then
    printf '%s may not read it\n' "$(id -un)"
  fi
}

need_plain() { # need_plain FILE...
  local file problem
  for file in "$@"; do
    problem=$(why_not_plain "${file}")
    [[ -z ${problem} ]] || die 2 "${file}: ${problem}; ${leaves}"
  done
}
