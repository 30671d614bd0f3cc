# Stops where another user could change what is read here as root.
need_safe_folders() {
  local folder
  if [[ -d ${dir} ]]; then need_safe "${dir}"; fi
  for folder in "${script%/*}" "${client_folders[@]}"; do
    need_no_links "${dir}/${folder}"
    if [[ -d ${dir}/${folder} ]]; then need_safe "${dir}/${folder}"; fi
  done
}
