# shellcheck shell=bash
# Shared by the scripts of tools/; to be sourced, not run.
#
# Puts the caller into the project's root, finds cargo, names the build cache, and installs what a
# script needs: from the distribution, as root or through a sudo that asks nothing. Where that is not
# possible it says exactly what to install and stops.
set -euo pipefail

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$ROOT"
CACHE="${XDG_CACHE_HOME:-${HOME:?}/.cache}/tachograph"
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$CACHE/target}"
RUST_WANTED=1.95
NODE_WANTED=20
APT_UPDATED=

say() { printf '%s\n' "$*" >&2; }
die() {
  say "error: $*"
  exit 1
}
have() { command -v "$1" >/dev/null 2>&1; }

# as_root COMMAND...: as root, or fails if that is not possible without a question.
as_root() {
  if [ "$(id -u)" = 0 ]; then
    "$@"
  elif have sudo && sudo -n true 2>/dev/null; then
    sudo -n "$@"
  else
    return 1
  fi
}

# install_deb PACKAGE...: installs Debian packages or says that somebody must.
install_deb() {
  have apt-get || die "please install: $* (these are Debian's names; there is no apt-get here)"
  as_root true || die "please install as root: apt-get install $*"
  say "installing $*"
  if [ -z "$APT_UPDATED" ]; then
    as_root apt-get update -qq >&2 || say "apt-get update failed; going on with what is known"
    APT_UPDATED=yes
  fi
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >&2 ||
    die "apt-get could not install: $*"
  for package in "$@"; do
    case $package in
      prometheus | prometheus-node-exporter | victoria-metrics) stop_service "$package" ;;
    esac
  done
}

# stop_service NAME: Debian starts its servers when they are installed; only the programs are wanted.
stop_service() {
  if [ -d /run/systemd/system ]; then
    as_root systemctl disable --now "$1" >/dev/null 2>&1 || true
  elif have service; then
    as_root service "$1" stop >/dev/null 2>&1 || true
  fi
}

# need_deb PACKAGE PROGRAM...: installs PACKAGE unless one of the programs is there.
need_deb() {
  local package=$1 program
  shift
  for program in "$@"; do
    if have "$program"; then return 0; fi
  done
  install_deb "$package"
  for program in "$@"; do
    if have "$program"; then return 0; fi
  done
  die "$package is installed but brings none of: $*"
}

# need_libclang: bindgen reads RocksDB's header with it.
need_libclang() {
  if [ -n "${LIBCLANG_PATH:-}" ]; then return 0; fi
  # The names that bindgen looks for; libclang-cpp is another library.
  local dir found
  for dir in /usr/lib/llvm-*/lib /usr/lib/*-linux-gnu* /usr/lib /usr/lib64 /usr/local/lib; do
    for found in "$dir"/libclang.so* "$dir"/libclang-[0-9]*.so*; do
      if [ -e "$found" ]; then return 0; fi
    done
  done
  install_deb libclang-dev
}

# need_cargo: sets CARGO. Rust is not taken from the distribution, which is behind.
need_cargo() {
  if have cargo; then
    CARGO=cargo
  elif [ -x "${CARGO_HOME:-$HOME/.cargo}/bin/cargo" ]; then
    CARGO="${CARGO_HOME:-$HOME/.cargo}/bin/cargo"
    PATH="$(dirname "$CARGO"):$PATH"
    export PATH
  else
    die "cargo is missing: install Rust $RUST_WANTED or newer with rustup (https://rustup.rs)"
  fi
  local version
  version=$("$CARGO" --version | cut -d' ' -f2)
  at_least "$version" "$RUST_WANTED" ||
    die "cargo is $version, Rust $RUST_WANTED or newer is needed: rustup update stable"
}

# at_least VERSION WANTED
at_least() { [ "$(printf '%s\n%s\n' "$2" "$1" | sort -V | head -n 1)" = "$2" ]; }

# need_node: Node and npm, new enough for the page's build.
need_node() {
  need_deb nodejs node
  need_deb npm npm
  local version
  version=$(node --version)
  at_least "${version#v}" "$NODE_WANTED" ||
    die "node is $version, $NODE_WANTED or newer is needed; the distribution has no newer one:" \
      "take it from https://nodejs.org (or nvm, fnm, volta) and put it first in PATH"
}

# need_build_tools: everything `cargo build` needs besides Rust.
need_build_tools() {
  need_cargo
  need_deb g++ c++ g++ clang++
  need_libclang
}

# need_servers: what the demo starts.
need_servers() {
  need_deb prometheus prometheus
  need_deb prometheus-node-exporter prometheus-node-exporter node_exporter
}
