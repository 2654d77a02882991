#!/bin/sh
# What a fresh Debian lacks, installed by apt. The one step that is not Rust: without a linker cargo cannot even build xtask.
# usage: sh xtask/machine.sh build|page|fuzz|up|test
#
# As root what is missing is installed; otherwise the one line that does it is printed and nothing is started.
# Debian 12 has Node 18, too old for the page: xtask/src/machine.rs then takes a newer one from npm.
set -eu

missing=
lacks() { case " $missing " in *" $1 "*) ;; *) missing="${missing:+$missing }$1" ;; esac; }
need() { command -v "$1" >/dev/null 2>&1 || lacks "$2"; }

compiler() {
    need cc gcc
    [ -e /usr/include/stdlib.h ] || lacks libc6-dev
    # downloads are refused without them; other systems keep theirs elsewhere
    [ ! -e /etc/debian_version ] || [ -e /etc/ssl/certs/ca-certificates.crt ] || lacks ca-certificates
}
page() { need node nodejs; need npm npm; }

case "${1:-}" in
    build) compiler ;;
    page) page ;;
    fuzz) compiler; need c++ g++ ;;
    up) compiler; page ;;
    test)
        compiler; page
        need git git
        need chromium chromium
        need python3 python3
        # the registry is tried with a client from PyPI, in a virtual environment
        python3 -c 'import ensurepip, venv' 2>/dev/null || lacks python3-venv
        ;;
    *) echo "usage: $0 build|page|fuzz|up|test" >&2; exit 2 ;;
esac

if ! command -v cargo >/dev/null 2>&1; then
    echo "Rust is missing on this machine: install rustup for this user (rust-toolchain.toml names the version), then try again" >&2
    exit 1
fi
[ -n "$missing" ] || exit 0
line="apt-get update && apt-get install --yes --no-install-recommends $missing"
if ! command -v apt-get >/dev/null 2>&1; then
    echo "missing on this machine, by their names in Debian: $missing; install them, then try again" >&2
    exit 1
fi
if [ "$(id -u)" != 0 ]; then
    echo "missing on this machine: $missing; run this as root, then try again:" >&2
    echo "  $line" >&2
    exit 1
fi
export DEBIAN_FRONTEND=noninteractive
echo "── package lists" >&2
apt-get -q=2 update
echo "── packages $missing" >&2
apt-get -q=2 -o Dpkg::Use-Pty=0 install --yes --no-install-recommends $missing
echo "── packages done" >&2
