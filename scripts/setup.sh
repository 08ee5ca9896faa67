#!/usr/bin/env bash
# Installs what building and testing bd needs on Debian 12 beside Rust (rustup), Node and Python. Run by `make setup`.
# The only step that needs root: the Debian packages. Everything else goes into the cache folder.
set -euo pipefail
cd "$(dirname "$0")/.."

# build-essential, zlib1g-dev, libssl-dev, pkg-config: librdkafka is built from source. kcat: a client in the tests. curl: REST checks.
# python3-venv: the Python client in the tests. time: CPU and memory figures in the benchmarks. mariadb, mosquitto: sources of the demo,
# run as private instances. chromium: looks at the dashboards in the tests.
packages=(build-essential zlib1g-dev libssl-dev pkg-config kcat curl python3-venv time
  mariadb-server mariadb-client mosquitto mosquitto-clients chromium)
missing=()
for package in "${packages[@]}"; do
  dpkg -s "$package" 2>/dev/null | grep -q '^Status: install ok installed' || missing+=("$package")
done
# The servers are needed as programs, not as services of the machine: one that was not there before stays off.
services=()
for service in mariadb mosquitto; do
  case " ${missing[*]} " in *" $service"*) services+=("$service") ;; esac
done
if [ ${#missing[@]} -gt 0 ]; then
  install="apt-get update -q && apt-get install -q -y --no-install-recommends ${missing[*]}"
  if [ "$(id -u)" = 0 ]; then
    echo "setup: installing Debian packages: ${missing[*]}"
    DEBIAN_FRONTEND=noninteractive sh -c "$install"
  elif command -v sudo >/dev/null; then
    echo "setup: installing Debian packages with sudo: ${missing[*]}"
    sudo DEBIAN_FRONTEND=noninteractive sh -c "$install"
  else
    echo "setup: these Debian packages are missing: ${missing[*]}" >&2
    echo "setup: as root, run: $install" >&2
    exit 1
  fi
  if [ ${#services[@]} -gt 0 ] && [ -d /run/systemd/system ]; then
    stop="systemctl disable --now ${services[*]}"
    if [ "$(id -u)" = 0 ]; then $stop; else sudo $stop; fi
  fi
fi

venv="${BD_CACHE:-$HOME/.cache/bd}/venv"
# The copy beside the packages says which were installed: with another list they are installed anew.
if ! cmp -s scripts/requirements.txt "$venv/requirements.txt" ||
  ! "$venv/bin/python" -c 'import confluent_kafka' 2>/dev/null; then
  echo "setup: installing Python's confluent-kafka, with its serializers, into $venv"
  python3 -m venv "$venv"
  "$venv/bin/pip" install -q --disable-pip-version-check -r scripts/requirements.txt
  cp scripts/requirements.txt "$venv/requirements.txt"
fi
node_major_minor() { node --version | sed 's/^v//' | awk -F. '{ print $1 * 1000 + $2 }'; }
if ! command -v node >/dev/null || [ "$(node_major_minor)" -lt 20019 ]; then
  echo "setup: Node 20.19 or later is missing: install it first" >&2
  exit 1
fi
command -v cargo >/dev/null || { echo "setup: cargo is missing: install Rust with rustup first" >&2; exit 1; }
echo "setup: done"
