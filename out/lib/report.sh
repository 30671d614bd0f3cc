# ---- JSON -------------------------------------------------------------------

json_string() { # json_string TEXT
  local text
  text=$(plain_text "$1")
  text=${text//\\/\\\\}
  text=${text//\"/\\\"}
  printf '"%s"' "${text//$'\n'/\\n}"
}

# ---- Controls: one line each, a table or --json -----------------------------

readonly benchmark='CIS Docker Benchmark v1.6.0'
# Of dockseal, and what this machine calls itself: where a result is from.
readonly dockseal_version='0.1.0'
machine_name=$(</proc/sys/kernel/hostname)
readonly machine_name

failed=0
asked=''        # what was run for the control that is reported next
show_evidence=0 # 1: also of the controls that hold
has_items=0     # 1 once a control has an item of the benchmark

report_as_json() { # report_as_json ID RESULT WHAT EVIDENCE REMEDY BENCHMARK
  local number text line=''
  local -a fields values
  fields=(machine script version id result what asked evidence remedy benchmark)
  values=("${machine_name}" "${script}" "${dockseal_version}" "${@:1:3}"
    "${asked}" "${@:4:3}")
  for number in "${!fields[@]}"; do
    text=$(json_string "${values[number]}")
    line+=",\"${fields[number]}\":${text}"
  done
  printf '{%s}\n' "${line#,}"
}

report_as_text() { # report_as_text ID RESULT WHAT EVIDENCE REMEDY BENCHMARK
  local what evidence indent=$'\n                     '
  what=$(plain_text "$3")
  printf '%-8s %s  %s%s\n' "$1" "$2" "${what//$'\n'/ }" \
    "${6:+ [CIS ${6#"${benchmark}, "}]}"
  if [[ $2 != PASS ]] || ((show_evidence)); then
    evidence=$(plain_text "$4")
    printf '              found: %s\n' "${evidence//$'\n'/"${indent}"}"
  fi
  if [[ $2 == FAIL ]]; then
    printf '              do:    %s\n' "$(plain_text "$5")"
  fi
}

# Prints the result of a control. EVIDENCE is what came back, REMEDY what to
# do, CIS_ITEM its number in the benchmark, where it has one.
report() { # report ID RESULT WHAT EVIDENCE REMEDY [CIS_ITEM]
  local -a control=("${@:1:5}" "${6:+${benchmark}, ${6}}")
  if [[ $2 == FAIL ]]; then failed=1; fi
  if [[ -n ${control[5]} ]]; then has_items=1; fi
  if ((json)); then
    report_as_json "${control[@]}"
  else
    report_as_text "${control[@]}"
  fi
  asked=''
}

# Reports PASS when there is no problem, FAIL with the problem otherwise.
judge() { # judge ID WHAT PROBLEM EVIDENCE REMEDY [CIS_ITEM]
  if [[ -z $3 ]]; then
    report "$1" PASS "$2" "$4" '' "${6:-}"
  else
    report "$1" FAIL "$2" "$3" "$5" "${6:-}"
  fi
}

finish_report() { # finish_report [STATUS]
  if ((has_items && ! json)); then
    printf 'CIS items are those of the %s.\n' "${benchmark}"
  fi
  if ((failed)); then exit 4; fi
  exit "${1:-0}"
}
