# Opens the folder of one party below DIR, for this run alone.
open_party() { # open_party FOLDER
  open_folder "${dir}"
  if [[ ${1%/*} != "${dir}" ]]; then open_folder "${1%/*}"; fi
  open_folder "$1"
  if [[ ${verb} != check ]]; then lock "$1/.lock"; fi
}
