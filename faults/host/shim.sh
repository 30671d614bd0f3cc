#!/bin/bash
# Stands in front of the program of its name on the scripts' PATH, counts its
# calls in FAULT_COUNT, and runs it. While call number FAULT_POINT runs, the
# whole session is killed, after FAULT_DELAY seconds.
program=/usr/bin/${0##*/}
[[ -n ${FAULT_COUNT:-} ]] || exec "${program}" "$@"
printf . >>"${FAULT_COUNT}"
IFS= read -r dots <"${FAULT_COUNT}" || :
if ((FAULT_POINT == 0)); then
  start=${EPOCHREALTIME/./}
  "${program}" "$@"
  status=$?
  printf '%d\n' "$((${EPOCHREALTIME/./} - start))" >>"${FAULT_TIMES}"
  exit "${status}"
fi
if ((${#dots} == FAULT_POINT)); then
  read -r _ _ _ _ _ session _ <"/proc/$$/stat"
  setsid bash -c 'sleep "$1"; pkill -KILL --session "$2"' killer \
    "${FAULT_DELAY}" "${session}" </dev/null >/dev/null 2>&1 3<&- &
fi
exec "${program}" "$@"
