# D15: requests and extension files are not needed any more.
remove_request() {
  local file
  for file in "${folder}/${request_file}" "${folder}/${extensions_file}"; do
    if [[ -e ${file} ]]; then run rm -f -- "${file}"; fi
  done
}
