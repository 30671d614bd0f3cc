# Named by BASH_ENV: bash reads this before the script that it runs. Before each
# command of FAULT_SCRIPT, in its subshells too, a dot is added to FAULT_COUNT;
# from dot number FAULT_POINT on, if that is not 0, the process gets
# FAULT_SIGNAL; what it had started goes on once it is dead. The script itself is
# unmodified. bash runs no DEBUG trap inside an EXIT trap.
[[ $0 == "${FAULT_SCRIPT}" ]] || return 0
set -o functrace
trap '
  printf . >>"${FAULT_COUNT}"
  IFS= read -r FAULT_DOTS <"${FAULT_COUNT}" || :
  if ((FAULT_POINT && ${#FAULT_DOTS} >= FAULT_POINT)) &&
    kill -0 "$$" 2>/dev/null; then
    kill -s "${FAULT_SIGNAL}" "$$" "${BASHPID}"
  fi
' DEBUG
