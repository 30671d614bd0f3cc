# ---- The docker daemon on this machine --------------------------------------

# D16, with absolute paths: under systemd the working directory is /.
readonly -a flags=(
  --tlsverify
  "--tlscacert=${tls_directory}/${ca_certificate_file}"
  "--tlscert=${tls_directory}/${certificate_file}"
  "--tlskey=${tls_directory}/${key_file}"
)

daemon_property() { # daemon_property PROPERTY
  systemctl show --property "$1" --value docker.service
}

# Prints the command line of the running dockerd, one word a line.
running_arguments() {
  local pid
  pid=$(daemon_property MainPID)
  if ((pid)); then tr '\0' '\n' <"/proc/${pid}/cmdline"; fi
}

is_running_with_flags() {
  local arguments flag
  arguments=$'\n'$(running_arguments)$'\n'
  for flag in "tcp://${listen}" "${flags[@]}"; do
    [[ ${arguments} == *$'\n'"${flag}"$'\n'* ]] || return 1
  done
}

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
