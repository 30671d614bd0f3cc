is_good_client() { # is_good_client FOLDER
  local certificate=$1/${client_certificate_file}
  [[ -z $(why_not_valid "${certificate}" "${ca}" sslclient) ]] &&
    has_same_key "${certificate}" "$1/${client_key_file}"
}

# Prints the folder of a client whose key and certificate are on this machine:
# of one whose certificate is valid, where there is one.
find_client() {
  local folder found=''
  for folder in "${client_folders[@]}"; do
    folder=${dir}/${folder}
    if [[ -f ${folder}/${client_key_file} &&
      -f ${folder}/${client_certificate_file} &&
      -r ${folder}/${client_key_file} &&
      -r ${folder}/${client_certificate_file} ]]; then
      if is_good_client "${folder}"; then
        printf '%s\n' "${folder}"
        return
      fi
      found=${found:-${folder}}
    fi
  done
  if [[ -n ${found} ]]; then printf '%s\n' "${found}"; fi
}
