# Before anything is judged: a report that cannot be written is none.
check_junit() {
  local folder problem
  if [[ -z ${junit} ]]; then return; fi
  if [[ -L ${junit} || (-e ${junit} && ! -f ${junit}) ]]; then
    die 2 \
      "--junit wants a file, and ${junit} is something else; give another"
  fi
  folder=$(realpath --no-symlinks --canonicalize-missing -- "${junit}")
  folder=${folder%/*}/
  [[ -d ${folder} ]] ||
    die 2 "there is no folder ${folder} for --junit; make it, or give another"
  problem=$(why_replaceable "${folder}")
  [[ -z ${problem} ]] ||
    die 2 "${problem}; give --junit a file in a folder of your own"
}
