#!/bin/dash
# In the place of bash on the host under test: starts the real one. A script
# starts itself again with an empty environment and -p, so that nothing that its
# caller hands over reaches it. Without -p, for the script that is named in the
# file `armed` alone, bash reads trap.sh first. The script itself is unmodified.
# What runs in the sandbox of lib/confine.sh cannot write to `count`: it changes
# nothing, and dies with whoever started it.
here=/opt/faults
real=${here}/real/bash
[ -e "${here}/armed" ] || exec "${real}" "$@"
[ -w "${here}/count" ] || exec "${real}" "$@"
read -r script _ <"${here}/armed"
case "$* " in
  "-p -- ${script} "*) shift 2 ;;
  "-p ${script} "*) shift ;;
  "${script} "*) ;;
  *) exec "${real}" "$@" ;;
esac
BASH_ENV=${here}/trap.sh exec "${real}" "$@"
