#!/bin/bash
# Stands in front of the program of its name on the scripts' PATH, counts its
# calls by the script under test in the file `count`, and runs it. While call
# number POINT of the file `inside` runs, the whole session is killed, after
# DELAY seconds; with a POINT of 0 the file `times` gets how long each took.
here=/opt/faults
program=/usr/bin/${0##*/}
# A unit of systemd's may call the same program: it is another session.
read -r _ _ _ _ _ session _ <"/proc/$$/stat"
[[ ${session} == "$(<"${here}/said.session")" ]] || exec "${program}" "$@"
read -r point delay <"${here}/inside"
printf . >>"${here}/count"
IFS= read -r dots <"${here}/count" || :
if ((point == 0)); then
  start=${EPOCHREALTIME/./}
  "${program}" "$@"
  status=$?
  printf '%d\n' "$((${EPOCHREALTIME/./} - start))" >>"${here}/times"
  exit "${status}"
fi
if ((${#dots} == point)); then
  setsid "${here}/real/bash" -c 'sleep "$1"; pkill -KILL --session "$2"' killer \
    "${delay}" "${session}" </dev/null >/dev/null 2>&1 3<&- &
fi
exec "${program}" "$@"
