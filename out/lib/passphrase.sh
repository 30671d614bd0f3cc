# ---- The passphrase of the CA key -------------------------------------------

# It reaches openssl through file descriptor 3: never in an argument, never in
# a file.
readonly passphrase_minimum=12
opened_key='' # the CA's private key, in this variable alone

# Prints why a passphrase file is refused, or nothing. bash drops NUL bytes: a
# read that ends at one has found it.
passphrase_file_problem() {
  local owner mode file=${passphrase_file}
  read -r owner mode < <(stat --dereference --format '%u %a' -- "${file}")
  if ((owner != EUID && owner != 0)); then
    printf '%s belongs to another user\n' "${file}"
  elif (((8#${mode} & 8#077) != 0)); then
    printf 'others can read %s; run: chmod 600 %s\n' "${file}" "${file}"
  elif [[ ! -f ${file} ]]; then
    return
  elif [[ ! -s ${file} ]]; then
    printf 'passphrase file %s is empty\n' "${file}"
  elif IFS= read -r -d '' _ <"${file}"; then
    printf '%s holds a NUL byte, which nobody can type\n' "${file}"
  else
    file=$(realpath -- "${file}")
    why_unsafe "${file%/*}/"
  fi
}

# Sets passphrase, unless take_passphrase has.
read_passphrase_file() {
  local problem
  if [[ -z ${passphrase} ]]; then
    [[ -r ${passphrase_file} ]] ||
      die 2 "passphrase file ${passphrase_file} cannot be read"
    problem=$(passphrase_file_problem)
    [[ -z ${problem} ]] || die 2 "${problem}; ${leaves}"
    IFS= read -r passphrase <"${passphrase_file}" || [[ -n ${passphrase} ]] ||
      die 2 "passphrase file ${passphrase_file} is empty"
  fi
  [[ ! ${passphrase} =~ [[:cntrl:]] &&
    ${passphrase} != $'\xef\xbb\xbf'* ]] ||
    die 2 \
      "${passphrase_file} holds what nobody can type: a carriage return, a" \
      'byte order mark or a control character; write it with Unix line ends'
}

ask_on_terminal() { # ask_on_terminal PROMPT; sets answer
  printf '%s' "$1" >/dev/tty
  IFS= read -r -s answer </dev/tty || answer=''
  printf '\n' >/dev/tty
}

# Prints the private key that the passphrase opens. Given an empty passphrase,
# openssl 1.1.1 would ask for one on the terminal.
open_with_passphrase() { # open_with_passphrase KEY
  if [[ -z ${passphrase} ]]; then return 1; fi
  openssl pkey -in "$1" -passin fd:3 3< <(
    printf '%s\n' "${passphrase}"
  ) 2>/dev/null
}

is_right_passphrase() { # is_right_passphrase KEY
  open_with_passphrase "$1" >/dev/null
}

# Sets problem: what is wrong with the passphrase, or nothing. Opening a key
# takes its time: what comes out is kept.
try_passphrase() { # try_passphrase KEY AGAIN; sets problem, opened_key
  problem=''
  if [[ -e $1 ]]; then
    opened_key=$(open_with_passphrase "$1") ||
      problem="this passphrase does not open $1"
  elif ((${#passphrase} < passphrase_minimum)); then
    problem="the passphrase has ${#passphrase} characters, at least"
    problem+=" ${passphrase_minimum} are needed"
  elif [[ $2 != "${passphrase}" ]]; then
    problem='the two passphrases differ'
  fi
}

# Sets passphrase and opened_key: what opens KEY, and what it holds; or a new
# passphrase where KEY is not there.
get_passphrase() { # get_passphrase KEY
  local key=$1 answer again problem tries
  if [[ -n ${passphrase_file} ]]; then
    read_passphrase_file
    try_passphrase "${key}" "${passphrase}"
    [[ -z ${problem} ]] || die 2 "${problem}; ${leaves}"
    return
  fi
  has_terminal || die 2 \
    'the CA key needs a passphrase and there is no terminal:' \
    'give --passphrase-file'
  for tries in 2 1 0; do
    ask_on_terminal 'Passphrase for the CA key: '
    passphrase=${answer}
    if [[ ! -e ${key} ]]; then ask_on_terminal 'The same passphrase again: '; fi
    again=${answer}
    try_passphrase "${key}" "${again}"
    if [[ -z ${problem} ]]; then return; fi
    note "${problem}"
    ((tries)) || die 2 "three tries; ${leaves}"
  done
}

# Runs openssl with the passphrase on file descriptor 3 (-passin fd:3).
run_with_passphrase() { # run_with_passphrase COMMAND...
  print_command "$@"
  if [[ ${verb} == check ]]; then return; fi
  doing=$*
  "$@" 3< <(printf '%s\n' "${passphrase}") || return
  doing=''
}
