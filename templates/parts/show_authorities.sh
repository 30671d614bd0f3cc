# What people compare by voice: the same on the CA's machine, on each host and
# on each client.
show_authorities() { # show_authorities BUNDLE
  local digest
  [[ -f $1 ]] || return 0
  while IFS= read -r digest; do
    note "CA certificate sha256: ${digest}"
  done < <(ca_digests_of "$1")
}
