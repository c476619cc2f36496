#!/bin/sh
# Installs what the system tests use from Debian, where it is missing and where that is allowed: as root, or with a
# sudo that asks nothing. Programs that cannot be installed are named, and their tests skip. Never fails. BALLAST_INSTALL=never only looks.
set -eu

has() {
  command -v "$1" >/dev/null 2>&1
}

as_root() {
  if [ "$(id -u)" = 0 ]; then
    "$@"
  else
    sudo -n "$@"
  fi
}

may_install() {
  [ "${BALLAST_INSTALL:-}" != never ] && has apt-get && as_root true 2>/dev/null
}

# Needed by which test, the Debian package, and any one of the commands that stand for it.
want() {
  purpose=$1
  package=$2
  shift 2
  for command in "$@"; do
    if has "$command"; then return; fi
  done
  if may_install; then
    echo "Installing $package ($purpose)"
    if [ -z "${updated:-}" ]; then
      as_root apt-get update -qq >"$log" 2>&1 || true
      updated=yes
    fi
    if as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$package" \
      </dev/null >"$log" 2>&1; then return; fi
    tail -n 3 "$log" >&2
  fi
  echo "Missing: $package ($purpose); its tests will skip. To have them: apt-get install $package" >&2
}

log=$(mktemp)
trap 'rm -f "$log"' EXIT
want 'events over a real NATS server' nats-server nats-server
want 'helm out of its package' unzip unzip
if [ "${1:-}" = containers ]; then
  want 'containers' runc runc
  want 'the base of their image' mmdebstrap mmdebstrap
  # It has no command: the seccomp profile is what is wanted.
  [ -f /usr/share/containers/seccomp.json ] || want 'their seccomp profile' golang-github-containers-common no-such-command
fi
want 'containers as their images start them' tini tini
want 'certificates' openssl openssl
want 'machines that are cut off from each other' iproute2 ip
want 'reports in a real browser' chromium chromium chromium-browser google-chrome
want 'dashboards and alerts in a real Prometheus' prometheus prometheus
sh "$(dirname "$0")/setup-helm.sh"
