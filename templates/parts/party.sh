# Opens the folder of one party below DIR, for this run alone.
open_party() { # open_party FOLDER
  local part
  for part in "${dir}" "${1%/*}" "$1"; do open_folder "${part}"; done
  if [[ ${verb} != check ]]; then lock "$1/.lock"; fi
}
