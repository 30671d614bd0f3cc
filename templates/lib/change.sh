# ---- Folders that nobody else can change ------------------------------------

# Prints why another user could change what is in a folder, or nothing.
why_unsafe() { # why_unsafe FOLDER
  local owner mode
  read -r owner mode < <(stat --dereference --format '%u %a' -- "$1")
  if ((owner != EUID && owner != 0)); then
    printf '%s belongs to another user; take another one\n' "$1"
  elif (((8#${mode} & 8#1000) != 0 && (8#${mode} & 8#022) != 0)); then
    printf 'others can write to %s, as they are meant to; take another one\n' \
      "$1"
  elif (((8#${mode} & 8#022) != 0)); then
    printf 'others can write to %s; run: chmod go-w %s\n' "$1" "$1"
  else
    why_replaceable "$1"
  fi
}

# Who can write to a folder above can put another one in its place, and who owns
# a link on the way can turn it; in a sticky folder only an entry's owner can.
why_replaceable() { # why_replaceable FOLDER
  local mode owner part user
  user=$(user_name)
  while read -r mode owner _ part; do
    if [[ ${owner} != root && ${owner} != "${user}" ]]; then
      printf '%s could replace %s: %s on its path is theirs\n' "${owner}" \
        "$1" "${part}"
    elif [[ ${mode} =~ ^d....w...[^tT]|^d.......w[^tT] ]]; then
      printf 'others could replace %s: they can write to %s on its path\n' \
        "$1" "${part}"
    else
      continue
    fi
    return
  done < <(namei --long -- "$1" | tail --lines=+2)
}

# Below DIR no link is followed: a folder that was carried here may hold one.
# --undo removes nothing where somebody else could put one meanwhile.
need_no_links() { # need_no_links PATH
  local path=${dir} part
  local -a parts
  if [[ ${verb} == undo && -d ${path} ]]; then need_safe "${path}"; fi
  IFS=/ read -r -a parts <<<"${1#"${dir}"/}"
  for part in "${parts[@]}"; do
    path+=/${part}
    [[ ! -L ${path} ]] ||
      die 2 "${path} is a link; put what it leads to in its place"
    if [[ ${verb} == undo && -d ${path} ]]; then need_safe "${path}"; fi
  done
}

need_safe() { # need_safe FOLDER
  local problem
  problem=$(why_unsafe "$1")
  [[ -z ${problem} ]] || die 2 "${problem}"
}

# What is made in a sticky folder, such as /tmp, is its owner's alone.
need_safe_parent() { # need_safe_parent FOLDER
  local parent=${1%/*}/ problem=''
  if [[ -d ${parent} ]]; then
    problem=$(why_replaceable "${parent}")
  elif [[ ${verb} != check ]]; then
    problem="there is no folder ${parent}; make it, or give another --dir"
  fi
  [[ -z ${problem} ]] || die 2 "${problem}"
}

# Prints the process whose open file has the lock. The kernel's own list names
# the flock command, which has ended.
holder_of() { # holder_of FILE
  local file pid info holder=''
  for file in /proc/[0-9]*/fd/*; do
    pid=${file#/proc/}
    pid=${pid%%/*}
    if [[ ! ${file} -ef $1 ]]; then continue; fi
    info=$(cat -- "/proc/${pid}/fdinfo/${file##*/}" 2>/dev/null) || continue
    # Commands that the holder runs have the same open file, and larger numbers.
    if [[ ${info} == *lock:* ]] && ((pid < ${holder:-pid + 1})); then
      holder=${pid}
    fi
  done
  printf '%s\n' "${holder:-unknown}"
}

# One run at a time. The lock ends with the process, however it ends. Whoever
# can open a file can lock it: this one is its owner's alone.
lock() { # lock FILE
  local lock_fd
  # One that was carried here may be anything.
  [[ ! -L $1 && (! -e $1 || -f $1) ]] ||
    die 2 "$1 is not a regular file; remove it and run this again"
  exec {lock_fd}>>"$1"
  if [[ $(stat --format '%a' -- "$1") != 600 ]]; then chmod 0600 -- "$1"; fi
  if ! flock --nonblock "${lock_fd}"; then
    note "another run holds $1 (process $(holder_of "$1")); waiting for it"
    flock "${lock_fd}"
  fi
  # A run that was waited for may have removed the file, as --undo does.
  if [[ ! $1 -ef /proc/self/fd/${lock_fd} ]]; then lock "$1"; fi
}

# Makes a working folder; refuses one that somebody else could change.
open_folder() { # open_folder FOLDER
  if [[ $1 == "${dir}"/* ]]; then need_no_links "$1"; fi
  [[ ! -e $1 || -d $1 ]] || die 2 "$1 is no folder; move it away"
  if [[ ! -d $1 ]]; then
    need_safe_parent "$1"
    # Another first run may have made it by now: -p finds no fault with that.
    run mkdir -p -m 0700 -- "$1"
    if [[ ${verb} == check ]]; then return; fi
  fi
  need_safe "$1"
}

# ---- Changes ----------------------------------------------------------------

changed=0 # 1 once something was changed, or would be

# Whoever changes something says so first. What was printed is what was done:
# the state to report when a command fails.
begin_change() {
  changed=1
  if [[ ${verb} != check && ${leaves} == 'nothing was changed' ]]; then
    leaves='the lines above that begin with + were run, the last one perhaps in'
    leaves+=' part; run this again to finish'
  fi
}

# Commands that change something are printed so that they can be typed again:
# --check prints them on standard output and does no more.
print_line() { # print_line TEXT
  begin_change
  if [[ ${verb} == check ]]; then
    printf '%s\n' "$1"
  else
    printf '+ %s\n' "$1" >&2
  fi
}

print_command() { # print_command WORD...
  local words
  printf -v words ' %q' "$@"
  print_line "${words# }"
}

run() { # run COMMAND...
  print_command "$@"
  if [[ ${verb} == check ]]; then return; fi
  doing=$*
  "$@" || return
  doing=''
}

# Files are compared as they are: in a variable bash drops NUL bytes.
is_text_of() { # is_text_of TEXT FILE
  [[ -f $2 && ! -L $2 ]] && cmp --quiet -- "$2" <(printf '%s\n' "$1")
}

# Writes a file whole or not at all; does nothing when it is so already. Its
# temporary name is made anew: what has it already is not written through.
write_file() { # write_file FILE MODE TEXT
  local file=$1 mode=$2 text=$3
  if is_text_of "${text}" "${file}"; then return; fi
  begin_change
  if [[ ${verb} == check ]]; then
    printf "cat >%q <<'END'\n%s\nEND\n" "${file}" "${text}"
    return
  fi
  printf "+ cat >%q <<'END'\n%s\nEND\n" "${file}" "${text}" >&2
  rm -f -- "${file}.new"
  set -o noclobber
  printf '%s\n' "${text}" >"${file}.new"
  set +o noclobber
  is_text_of "${text}" "${file}.new" ||
    die 1 "${file}.new did not read back; is the disk full? ${leaves}"
  chmod -- "${mode}" "${file}.new"
  sync -- "${file}.new"
  mv -fT -- "${file}.new" "${file}"
}

# Copies a file, and has the copy on the disk before it counts. What has the
# copy's name already is removed, and not written through.
keep_copy() { # keep_copy FILE COPY
  run cp -p --remove-destination -T -- "$1" "$2"
  run sync -- "$2"
}

# True when both files are there and hold the same bytes: in a variable bash
# drops NUL bytes.
is_same_file() { # is_same_file FILE FILE
  [[ -f $1 && -f $2 ]] && cmp --quiet -- "$1" "$2"
}

# Puts a copy in place whole or not at all; one with this mode may be there.
install_copy() { # install_copy FILE COPY MODE
  if [[ ! -L $2 ]] && is_same_file "$1" "$2" &&
    [[ $(stat --format '%a' -- "$2") == "$3" ]]; then
    return
  fi
  run install -m "$3" -T -- "$1" "$2.new"
  if [[ ${verb} != check ]] && ! is_same_file "$1" "$2.new"; then
    die 1 "$2.new did not read back; is the disk full? ${leaves}"
  fi
  put_in_place "$2"
}

# Gives what was made as FILE.new its name, once it is on the disk.
put_in_place() { # put_in_place FILE
  run sync -- "$1.new"
  run mv -fT -- "$1.new" "$1"
}

# The same of a private key, which takes no other one's place.
put_key_in_place() { # put_key_in_place FILE
  run sync -- "$1.new"
  run mv -nT -- "$1.new" "$1"
  run sync -- "${1%/*}"
}

waits=0 # 1: a file has to be carried here before there is more to do

# Ends the script with the status of its verb.
finish() {
  if [[ ${verb} == check ]] && ((changed)); then exit 3; fi
  if ((waits)); then exit 5; fi
  ((changed)) || note 'nothing to do'
  exit 0
}

# Stops where a name that is written to is a folder: nothing takes its place.
need_no_folders() { # need_no_folders FILE...
  local file
  for file in "$@"; do
    [[ -L ${file} || ! -d ${file} ]] ||
      die 2 "${file} is a folder; move it away; ${leaves}"
  done
}

# Opens the folder of one party below DIR, for this run alone.
open_party() { # open_party FOLDER
  open_folder "${dir}"
  if [[ ${1%/*} != "${dir}" ]]; then open_folder "${1%/*}"; fi
  open_folder "$1"
  need_no_folders "$1"{,/next,/renewal}/*.{pem,csr,txt,cnf}.new \
    "$1"/*.{cnf,srl}
  if [[ ${verb} != check ]]; then lock "$1/.lock"; fi
}

has_terminal() {
  : 2>/dev/null </dev/tty
}

# Goes on only after a y on the terminal, or with --yes.
confirm() { # confirm QUESTION
  local answer
  if ((yes)) || [[ ${verb} == check ]]; then return; fi
  has_terminal || die 2 "$1 There is no terminal to ask on: give --yes"
  printf '%s [y/N] ' "$1" >/dev/tty
  IFS= read -r answer </dev/tty || answer=''
  [[ ${answer} == [yY]* ]] || die 2 "not confirmed; ${leaves}"
}

# ---- Undo -------------------------------------------------------------------

# What --undo removes, or would: --check prints what then becomes empty too.
declare -A removed=()

remove_file() { # remove_file FILE
  if [[ -e $1 || -L $1 ]]; then run rm -f -- "$1"; fi
  removed[$1]=1
}

# Certificates and keys are listed and kept, unless --remove-keys.
undo_working_files() { # undo_working_files FILE...
  local file
  for file in "$@"; do
    if [[ ! -e ${file} && ! -L ${file} ]]; then continue; fi
    need_no_links "${file%/*}"
    if ((remove_keys)); then
      remove_file "${file}"
    else
      note "kept: ${file} (--undo --remove-keys removes it)"
    fi
  done
}

# True when a folder holds its lock and nothing else that stays.
is_left_empty() { # is_left_empty FOLDER
  local entry
  if [[ ! -d $1 || -L $1 ]]; then return 1; fi
  while IFS= read -r entry; do
    if [[ ${entry} != .lock && -z ${removed["$1/${entry}"]:-} ]]; then
      return 1
    fi
  done < <(ls -A -- "$1")
}

# Removes a working folder once it is empty, and those above it up to DIR, but
# for one that a file system is mounted on. A killed run may have removed some.
undo_folder() { # undo_folder FOLDER
  local path=$1
  need_no_links "$1"
  while [[ ${path}/ == "${dir}"/* ]]; do
    if [[ -e ${path} || -L ${path} ]]; then
      if ! is_left_empty "${path}"; then return; fi
      remove_file "${path}/.lock"
      if mountpoint --quiet -- "${path}"; then return; fi
      run rmdir -- "${path}"
    fi
    removed[${path}]=1
    path=${path%/*}
  done
}

# Stops where another user could change what is read here as root.
need_safe_folders() {
  local folder
  if [[ -d ${dir} ]]; then need_safe "${dir}"; fi
  for folder in ca "${script%/*}" "${client_folders[@]}"; do
    need_no_links "${dir}/${folder}"
    if [[ -d ${dir}/${folder} ]]; then need_safe "${dir}/${folder}"; fi
  done
}
