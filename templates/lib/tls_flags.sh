# D16, with absolute paths: under systemd the working directory is /.
flags=(
  "--tlscert=${tls_directory}/${certificate_file}"
  "--tlskey=${tls_directory}/${key_file}"
)
case ${daemon_mode} in
  mutual)
    flags=(
      --tlsverify
      "--tlscacert=${tls_directory}/${ca_certificate_file}"
      "${flags[@]}"
    )
    ;;
  # D19: with certificate and key, =false is TLS that asks clients for none.
  server-only) flags=(--tlsverify=false "${flags[@]}") ;;
  *) die 2 "unknown mode ${daemon_mode}" ;;
esac
