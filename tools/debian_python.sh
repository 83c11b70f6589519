#!/bin/sh
# Run a command in a root of another Debian, for its Python: `make test-all` has 3.14 from forky so.
# Sees this checkout under its own path, this machine's certificates and its settings of pip, and
# nothing else of its files. Needs root and debootstrap; the root in build/debian-SUITE is used again.
#
#   tools/debian_python.sh forky python3 --version
set -eu
cd "$(dirname "$0")/.."
checkout=$PWD
suite=$1
shift
root=${DEBIAN_ROOT:-$checkout/build/debian-$suite}

if [ -z "${INSIDE:-}" ]; then # mounts and processes of its own, which end with it
  exec env INSIDE=1 unshare --mount --pid --fork --kill-child "$checkout/tools/debian_python.sh" "$suite" "$@"
fi

if [ ! -e "$root/.complete" ]; then
  rm -rf "$root"
  # Of a suite that is newer than debootstrap: every script is sid's.
  echo "Installing Debian's $suite in $root (once) ..." >&2
  debootstrap --variant=minbase \
    --include=ca-certificates,gcc,git,libc6-dev,make,procps,python3,python3-dev,python3-venv \
    "$suite" "$root" http://deb.debian.org/debian /usr/share/debootstrap/scripts/sid >/dev/null
  # A mirror may be behind. What it signed is still checked.
  echo 'Acquire::Check-Valid-Until "false";' >"$root/etc/apt/apt.conf.d/behind"
  touch "$root/.complete"
fi

mount --bind "$root" "$root" # a namespace of the network is made beside mounts, of which / is one
mount -t proc proc "$root/proc"
mount --rbind /sys "$root/sys"
mount --rbind /dev "$root/dev" # terminals, and the shared memory of PostgreSQL and of browsers
for each in /etc/resolv.conf /etc/pip.conf; do
  [ ! -e "$each" ] || cp "$each" "$root$each"
done
for seen in /etc/ssl/certs "$checkout" "$(git rev-parse --path-format=absolute --git-common-dir)"; do
  mkdir -p "$root$seen"
  mount --bind "$seen" "$root$seen"
done
export HOME=/root LANG=C.UTF-8 PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin
unset INSIDE VIRTUAL_ENV
# shellcheck disable=SC2016  # the inner shell's
exec chroot "$root" /bin/sh -euc 'cd "$1" && shift && exec "$@"' sh "$checkout" "$@"
