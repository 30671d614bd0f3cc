#!/bin/bash
# Runs on the Docker host under test: runs one script of a case with a fault,
# looks at what is left, runs it again, and looks whether all is as after a run
# without the fault. Prints a line for each attempt, number and problem with a
# tab between them; "ok" is an attempt without a problem.
#
# Usage: driver.sh CASE VERB [ARGUMENT]...
# CASE is a file that sets script, words, work, daemon, again, keeps_keys, ignored,
# and has the function prepare: from a new host to the case's beginning.
set -uo pipefail
umask 022
export LC_ALL=C
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
readonly here=/opt/faults
readonly passphrase=/opt/passphrase
readonly -a roots=(
  /root /etc/docker /etc/systemd/system /usr/local/sbin /usr/local/lib/dockseal
  /etc/passwd /etc/group /etc/shadow /etc/gshadow /etc/subuid /etc/subgid
)
# Their content is another in every run: they are judged by what they mean.
random='[.](pem|csr|srl|backup)$|/(ledger|refused)[.]txt$|/key[.]json$'
random+='|/before-dockseal/digests$'
readonly random
cd /root || exit 1

source "${here}/machine.sh"
source "${here}/judge.sh"
source "${here}/attempts.sh"
source "$1"

patience=600 # seconds for one run
problems=()
problem() { # problem TEXT...
  local text="$*"
  problems+=("${text//[$'\t\n']/ }")
}

report() { # report NUMBER
  local text
  ((${#problems[@]})) || problems=(ok)
  for text in "${problems[@]}"; do printf '%s\t%s\n' "$1" "${text}"; done
  problems=()
}

# Runs the script in a session of its own; sets status.
attempt() {
  start_attempt said
  wait "$!"
  status=$?
  session=$(<"${here}/said.session")
}

# In the background. One that hangs ends with status 124.
start_attempt() { # start_attempt NAME
  setsid --wait bash -c 'printf "%s" "$$" >"$0"; timeout "$@"; exit "$?"' \
    "${here}/$1.session" "${patience}" \
    bash "${script}" "${words[@]}" </dev/null >"${here}/$1" 2>&1 &
}

# What a killed script had started ends by itself.
ends() {
  timeout 60 bash -c 'while pgrep --session "$1"; do sleep 0.02; done' \
    wait "${session}" >/dev/null ||
    problem "still runs: $(pgrep --list-full --session "${session}")"
}

fail() { # fail TEXT
  printf '%s: %s\n' "${script}" "$1" >&2
  tail -n 3 -- "${here}/said" >&2
  exit 1
}

"${@:2}"
