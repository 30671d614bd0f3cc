# Prints the folder of a client whose key and certificate are on this machine.
find_client() {
  local folder
  for folder in "${client_folders[@]}"; do
    if [[ -r ${dir}/${folder}/${client_key_file} &&
      -r ${dir}/${folder}/${client_certificate_file} ]]; then
      printf '%s\n' "${dir}/${folder}"
      return
    fi
  done
}
