#!/bin/bash
# ---- What the machine looks like --------------------------------------------

daemon_line() {
  local pid
  pid=$(systemctl show --property MainPID --value docker.service)
  tr '\0' ' ' <"/proc/${pid}/cmdline"
} 2>/dev/null

networks() { docker network ls --format '{{.Name}} {{.Driver}}' | sort; }

units() {
  local unit
  for unit in docker.service docker.socket dockseal-watch-expiry.timer; do
    printf '%s %s %s\n' "${unit}" "$(systemctl is-enabled "${unit}" 2>&1)" \
      "$(systemctl is-active "${unit}" 2>&1)"
  done
}

# The files whose content is the same in every run of the case.
contents() {
  find "${roots[@]}" -type f 2>/dev/null | grep -Ev -- "${random}" | sort |
    xargs -r -d '\n' sha256sum --
}

# All of them. What is only locked holds nothing.
everything() {
  find "${roots[@]}" -type f ! -name .lock -exec sha256sum -- {} + 2>/dev/null | sort
}

# Everything that must be as without the fault.
state() {
  find "${roots[@]}" -printf '%y %m %U:%G %p %l\n' 2>/dev/null |
    grep -Ev -- "${ignored:-^$}" |
    sed -E 's/retired-[0-9A-F]+/retired-SERIAL/g; s/tls-[0-9a-f]{16}/tls-SERIAL/g' |
    sort
  contents
  find "${roots[@]}" -name ledger.txt -exec cut -d ' ' -f 2 -- {} + 2>/dev/null |
    sort
  if ((daemon)); then
    daemon_line
    printf '\n'
    networks
    docker ps --all --format '{{.Names}}'
    units
  fi
}

# ---- Beginnings -------------------------------------------------------------

keep() { # keep NAME
  rm -rf -- "${here:?}/$1"
  mkdir -- "${here}/$1"
  local root
  for root in "${roots[@]}"; do
    [[ -e ${root} ]] || continue
    mkdir -p -- "${here}/$1${root%/*}"
    cp -aT -- "${root}" "${here}/$1${root}"
  done
  state >"${here}/$1.state"
  everything >"${here}/$1.everything"
  if ((daemon)); then daemon_line >"${here}/$1.daemon"; fi
}

bring_back() { # bring_back NAME
  local root
  for root in "${roots[@]}"; do
    if [[ -d ${root} ]]; then find "${root}" -mindepth 1 -delete; fi
    if [[ -d ${here}/$1${root} ]]; then
      mkdir -p -- "${root}"
      cp -aT -- "${here}/$1${root}" "${root}"
    elif [[ -e ${here}/$1${root} ]]; then
      cmp --silent -- "${here}/$1${root}" "${root}" ||
        cp -aT -- "${here}/$1${root}" "${root}"
    else
      rm -rf -- "${root}"
    fi
  done
  if ((daemon)); then bring_daemon_back "$1"; fi
}

restart_daemon() {
  systemctl daemon-reload
  systemctl reset-failed docker.service docker.socket
  systemctl restart docker.socket
  systemctl start docker.service
}

bring_daemon_back() { # bring_daemon_back NAME
  local name
  systemctl daemon-reload
  # A verification finds files that changed after dockerd had read them.
  if [[ ! -e ${here}/$1.daemon || ${script} == */90-verify.sh ||
    $(daemon_line) != "$(<"${here}/$1.daemon")" ]]; then
    restart_daemon
  fi
  systemctl --quiet is-active docker.socket || systemctl start docker.socket
  answers || return 1
  docker ps --all --quiet | xargs -r docker rm --force >/dev/null
  while read -r name _; do
    grep -q "^${name} " "${here}/$1.state" 2>/dev/null && continue
    [[ ${name} =~ ^(bridge|host|none)$ ]] || docker network rm "${name}"
  done < <(networks) >/dev/null
  if [[ -e ${here}/$1.state ]] && grep -q '^isolated ' "${here}/$1.state" &&
    ! docker network inspect isolated >/dev/null 2>&1; then
    bash /opt/out/hosts/localhost/30-create-networks.sh --yes >/dev/null 2>&1
  fi
  if [[ -e /etc/systemd/system/dockseal-watch-expiry.timer ]]; then
    systemctl start dockseal-watch-expiry.timer
  else
    systemctl stop dockseal-watch-expiry.timer || :
  fi 2>/dev/null
}

# Waits until dockerd answers, for 60 seconds at most. Whoever connects while
# the socket is systemd's own, at a restart, is never answered: it asks again.
answers() {
  local ask='timeout 5 docker version >/dev/null 2>&1'
  timeout 60 bash -c "until ${ask}; do sleep 0.1; done"
}
