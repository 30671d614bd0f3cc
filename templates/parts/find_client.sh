# Prints the folder of a client whose key and certificate are on this machine.
# One that has ended says nothing of the daemon.
find_client() {
  local folder certificate
  for folder in "${client_folders[@]}"; do
    certificate=${dir}/${folder}/${client_certificate_file}
    if [[ -r ${dir}/${folder}/${client_key_file} && -r ${certificate} &&
      -z $(why_not_valid "${certificate}" "${ca}" sslclient) ]] &&
      has_same_key "${certificate}" "${dir}/${folder}/${client_key_file}"; then
      printf '%s\n' "${dir}/${folder}"
      return
    fi
  done
}
