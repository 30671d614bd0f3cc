# Ends the script with the status of its verb.
finish() {
  ((changed)) || note 'nothing to do'
  if [[ ${verb} == check ]] && ((changed)); then exit 3; fi
  exit 0
}
