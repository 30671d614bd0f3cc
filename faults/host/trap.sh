# Named by BASH_ENV: bash reads this before the script that it runs. Before each
# command of the script, in its subshells too, a dot is added to the file
# `count`; from dot number FAULT_POINT on, if that is not 0, the process gets
# FAULT_SIGNAL; what it had started goes on once it is dead. bash runs no DEBUG
# trap inside an EXIT trap. How often a script asks until something holds is
# another number in every run, and so is that of the lines in the kernel's table
# of connections: what these functions run has no dot. With a file
# `marks` each dot gets a line there: what the files are by then, and the command
# that is about to run.
unset -v BASH_ENV
# shellcheck disable=SC2034 # the trap uses it
read -r _ FAULT_POINT FAULT_SIGNAL </opt/faults/armed
set -o functrace
trap '
  case " ${FUNCNAME[*]:-} " in
    *" wait_for_daemon "* | *" refusal_in_log "* | *" run_for "* | \
      *" listening_sockets "*) ;;
    *)
      printf . >>/opt/faults/count
      if [[ -e /opt/faults/marks ]]; then
        /opt/faults/mark.sh "${BASH_COMMAND%%[[:space:]]*}"
      fi
      IFS= read -r FAULT_DOTS </opt/faults/count || :
      if ((FAULT_POINT && ${#FAULT_DOTS} >= FAULT_POINT)) &&
        kill -0 "$$" 2>/dev/null; then
        kill -s "${FAULT_SIGNAL}" "$$" "${BASHPID}"
      fi
      ;;
  esac
' DEBUG
