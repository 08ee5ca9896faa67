#!/usr/bin/env bash
# Installs what building and testing bd needs on Debian 12 beside Rust (rustup), Node and Python. Run by `make setup`.
# The only step that needs root: the Debian packages. Everything else goes into the cache folder.
set -euo pipefail
cd "$(dirname "$0")/.."

# build-essential, zlib1g-dev, pkg-config: librdkafka is built from source. kcat: a client in the tests. curl: REST checks.
# python3-venv: the Python client in the tests. time: CPU and memory figures in the benchmarks.
packages=(build-essential zlib1g-dev pkg-config kcat curl python3-venv time)
missing=()
for package in "${packages[@]}"; do
  dpkg -s "$package" 2>/dev/null | grep -q '^Status: install ok installed' || missing+=("$package")
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
fi

venv="${BD_CACHE:-$HOME/.cache/bd}/venv"
if ! "$venv/bin/python" -c 'import confluent_kafka' 2>/dev/null; then
  echo "setup: installing the Python client confluent-kafka into $venv"
  python3 -m venv "$venv"
  "$venv/bin/pip" install -q --disable-pip-version-check -r scripts/requirements.txt
fi
command -v cargo >/dev/null || { echo "setup: cargo is missing: install Rust with rustup first" >&2; exit 1; }
echo "setup: done"
