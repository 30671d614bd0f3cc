#!/bin/bash
# ---- Without a fault --------------------------------------------------------

# Leads to the beginning and to the end, twice: what differs between the two
# could not be compared. Prints the numbers of the commands before which a kill
# may leave something else than before the last one, and how many there are.
measure() {
  local difference
  if [[ ! -d ${here}/new ]]; then daemon=1 keep new; fi
  daemon=1 bring_back new
  prepare >"${here}/said" 2>&1 || fail 'its beginning cannot be made'
  keep begin
  private_keys >"${here}/begin.keys"
  : >"${here}/judged"
  attempt
  printf '%s\n' "${status}" >"${here}/end.status"
  [[ ${status} =~ ^[0345]$ ]] || fail "ends with ${status} without a fault"
  keep end
  bring_back begin
  arm 0 KILL
  printf '%s\n' "${roots[@]}" >"${here}/roots"
  : >"${here}/marks"
  attempt
  disarm
  mv -- "${here}/marks" "${here}/marked"
  difference=$(diff "${here}/end.state" <(state) | grep '^[<>]' | head -n 3)
  [[ -z ${difference} ]] || fail "two runs differ: ${difference}"
  look
  look_at_pairs
  ((${#problems[@]} == 0)) || fail "without a fault: ${problems[*]}"
  places
  wc -c <"${here}/count"
}

# Between two commands that leave all files as they are, and start no program
# that changes something, a kill leaves the same.
places() {
  local number=0 files length command last='' may_change=1
  while read -r files length command; do
    number=$((number + 1))
    if ((may_change)) || [[ "${files} ${length}" != "${last}" ]]; then
      printf '%d\n' "${number}"
    fi
    last="${files} ${length}"
    may_change=0
    case ${command} in
      '"$@"' | '"${@:2}"' | docker | systemctl) may_change=1 ;;
      *) ;;
    esac
  done <"${here}/marked"
}

# ---- Killed -----------------------------------------------------------------

# From its command number POINT on, the next run of the script gets SIGNAL.
arm() { # arm POINT SIGNAL
  : >"${here}/count"
  printf '%s %s %s\n' "${script}" "$1" "$2" >"${here}/armed"
}

disarm() { rm -f -- "${here}/armed"; }

kill_at() { # kill_at POINT
  arm "$1" KILL
  attempt
  disarm
  ((status == 137)) || problem "not killed, ended with ${status}"
  ends
}

# Before command number POINT.
kill_before() { # kill_before POINT...
  local point
  for point in "$@"; do
    bring_back begin
    kill_at "${point}"
    judge
    report "${point}"
  done
}

# Before command number POINT. What was not synced by then is empty: a file can
# have its name on the disk before it has its content. docker syncs nothing of
# its contexts: they may be empty until the next run. Without the file of the last
# serial openssl takes a random one.
cut_power() { # cut_power POINT...
  local point may_be_half='/[.]docker/contexts/' may_be_gone='[.]srl '
  for point in "$@"; do
    bring_back begin
    durable >"${here}/durable"
    install -m 0755 -- "${here}/sync.sh" /usr/local/sbin/sync
    kill_at "${point}"
    rm -f -- /usr/local/sbin/sync
    lose_what_is_not_durable
    if ((daemon)); then restart_daemon; fi
    judge
    report "${point}"
  done
}

# Prints inode, time and size of each file, as sync.sh does of what it synced.
durable() {
  find "${roots[@]}" -type f -printf '%i %T@ %s\n' 2>/dev/null
}

lose_what_is_not_durable() {
  local file inode
  while read -r inode file; do
    grep -qxF -- "${inode//:/ }" "${here}/durable" || : >"${file}"
  done < <(find "${roots[@]}" -type f -printf '%i:%T@:%s %p\n' 2>/dev/null)
}

# They do POINT and DELAY of shim.sh.
put_shims() { # put_shims POINT DELAY
  local name
  : >"${here}/count"
  printf '%s %s\n' "$1" "$2" >"${here}/inside"
  for name in openssl docker systemctl mv; do
    install -m 0755 -- "${here}/shim.sh" "/usr/local/sbin/${name}"
  done
}

# Prints the microseconds of each call of openssl, docker, systemctl and mv.
measure_calls() {
  bring_back begin
  put_shims 0 0
  : >"${here}/times"
  attempt
  cat -- "${here}/times"
}

# With the program of call number CALL, after so many seconds of it.
kill_inside() { # kill_inside CALL SECONDS [CALL SECONDS]...
  local call
  while (($#)); do
    call=$1
    bring_back begin
    put_shims "${call}" "$2"
    attempt
    ends
    rm -f -- /usr/local/sbin/{openssl,docker,systemctl,mv}
    judge
    report "${call}"
    shift 2
  done
}

# ---- No room, no right to write ---------------------------------------------

# A folder that is mounted is there before the script: it may take note of that.
readonly notes='/before-dockseal/record$'

# With FOLDER on a file system that has 1, 2, 3 and so on of UNIT (pages of
# 4 KiB, or inodes), or of every so many, until the script has all it needs.
fill_up() { # fill_up FOLDER pages|inodes STEP
  local number=0 fits=0 options may_be_half=${notes} may_be_gone=${notes}
  until ((fits)); do
    number=$((number + $3))
    ((number < 2000)) || fail "$1 needs more than 2000 $2"
    bring_back begin
    options=size=$((4 * number))k,nr_inodes=10k
    [[ $2 == pages ]] || options=size=64m,nr_inodes=${number}
    if mount_copy "$1" "${options}"; then
      attempt
      if ((status == $(<"${here}/end.status"))); then
        fits=1
      else
        look_at_refusal
      fi
      look
      mount -o remount,size=64m,nr_inodes=10k "$1"
      run_again
      report "${number}"
    fi
    umount --lazy -- "$1"
  done
}

make_as_in_the_end() { # make_as_in_the_end FOLDER
  [[ -d $1 ]] || mkdir -m "$(stat --format '%a' -- "${here}/end$1")" -- "$1"
}

# False where what is there at the beginning does not fit already.
mount_copy() { # mount_copy FOLDER OPTIONS
  make_as_in_the_end "$1"
  mount -t tmpfs -o "mode=$(stat --format '%a' -- "$1"),$2" tmpfs "$1"
  [[ ! -d ${here}/begin$1 ]] || cp -aT -- "${here}/begin$1" "$1"
} 2>/dev/null

# With one folder after the other read-only.
forbid() { # forbid FOLDER...
  local folder number=0 may_be_half=${notes} may_be_gone=${notes}
  for folder in "$@"; do
    number=$((number + 1))
    bring_back begin
    make_as_in_the_end "${folder}"
    mount --bind -- "${folder}" "${folder}"
    mount -o remount,bind,ro -- "${folder}"
    attempt
    ((status != $(<"${here}/end.status"))) ||
      problem "${folder} is read-only, and the script says it is done"
    look_at_refusal
    look
    umount --lazy -- "${folder}"
    run_again
    report "${number}"
  done
}

# ---- Together ---------------------------------------------------------------

# COUNT runs at once.
run_together() { # run_together COUNT
  local number pid
  local -a pids=()
  bring_back begin
  for ((number = 1; number <= $1; number++)); do
    start_attempt "together-${number}"
    pids+=("$!")
  done
  number=0
  for pid in "${pids[@]}"; do
    wait "${pid}"
    status=$?
    number=$((number + 1))
    is_done || problem \
      "run ${number} ended with ${status}: $(last_line "together-${number}")"
  done
  look
  look_at_end
  run_again
  report "$1"
}

# The run that works stands still before command number POINT. The next one says
# who that is and waits; once the first is killed, it does the work.
kill_holder() { # kill_holder POINT...
  local point first second
  for point in "$@"; do
    bring_back begin
    arm "${point}" STOP
    start_attempt holder
    first=$!
    holds || problem 'the first run did not stand still'
    disarm
    start_attempt said
    second=$!
    timeout 60 bash -c \
      'until grep -q "waiting for it" "$1" || ! kill -0 "$2"; do sleep 0.02; done' \
      wait "${here}/said" "${second}" 2>/dev/null
    grep -Eq 'another run holds .* \(process [0-9]+\)' "${here}/said" ||
      problem "the second run did not say who works: $(last_line said)"
    pkill -KILL --session "$(<"${here}/holder.session")"
    wait "${first}"
    wait "${second}"
    status=$?
    is_done ||
      problem "the second run ended with ${status}: $(last_line said)"
    look
    look_at_end
    run_again
    report "${point}"
  done
} 2>/dev/null

# Waits until a process of the holder's session is stopped.
holds() {
  timeout 60 bash -c '
    until pgrep --session "$(<"$1")" --runstates T; do sleep 0.02; done
  ' wait "${here}/holder.session" >/dev/null 2>&1
}

# ---- What is refused --------------------------------------------------------

# The request was made hostile by CHANGE: nothing is signed, the script ends with
# STATUS, REASON is said and, with a LOGGED of 1, in the log. With the good request
# the same script does its work.
refuse() { # refuse NUMBER CHANGE REASON LOGGED STATUS
  local before patience=120
  bring_back begin
  bash -euo pipefail -c "$2" || fail "cannot be made: $2"
  before=$(state)
  attempt
  ((status == $5)) || problem "ended with ${status}, not with $5"
  grep -qF -- "$3" "${here}/said" ||
    problem "says not '$3' but '$(last_line said)'"
  [[ $(state | grep -v '/refused[.]txt ') == "${before}" ]] ||
    problem "something was changed"
  ((! $4)) || grep -qF -- "$3" "${work}/ca/refused.txt" ||
    problem 'the refusal is not in the log'
  bring_back begin
  run_again
  report "$1"
} 2>/dev/null

# ---- For a run on a terminal ------------------------------------------------

begin_on_terminal() { bring_back begin; }

# Before the first answer nothing is changed.
end_on_terminal() { # end_on_terminal NUMBER ANSWERED
  session=$(<"${here}/terminal.session")
  ends
  (($2)) || cmp --silent -- "${here}/begin.everything" <(everything) ||
    problem 'something was changed before the first answer'
  look
  run_again
  report "$1"
}
