#!/bin/sh
# Debian and Ubuntu ship Python without venv and pip: installs the package that has them, or says which one it is.
set -eu
version=$("$1" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
package="python$version-venv"
if ! command -v apt-get >/dev/null; then
    echo "this Python has no venv module: install the package that brings it, then run make again" >&2
    exit 1
fi
if [ "$(id -u)" -ne 0 ]; then
    echo "this Python has no venv module; run this first: sudo apt-get install $package" >&2
    exit 1
fi
apt-get update -qq
DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends "$package"
