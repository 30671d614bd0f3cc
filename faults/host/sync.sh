#!/bin/bash
# Stands in front of sync on the scripts' PATH, runs it, and adds what is on the
# disk from then on to the file `durable`: inode, time and size of each file.
/usr/bin/sync "$@" || exit
for file; do
  if [[ -d ${file} && $* == *--file-system* ]]; then
    find "${file}" -type f -printf '%i %T@ %s\n'
  elif [[ -f ${file} ]]; then
    find "${file}" -type f -printf '%i %T@ %s\n'
  fi
done >>/opt/faults/durable
