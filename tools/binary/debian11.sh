#!/bin/sh
# Build the single file for Debian 11 and newer: in a root of Debian 11, with a Python that is made
# there from Debian's source package of 3.13, since Debian 11's own is too old. Root, debootstrap and
# half an hour of two cores; the root in build/debian11 is used again. Writes dist/debian11/locshare.
#
# The TLS of this file's connections to a database is OpenSSL 1.1.1, the last that Debian 11 has, for
# which Debian's support has ended. Where the file is to run on Debian 12 only, take `make binary`.
set -eu
cd "$(dirname "$0")/../.."
root=$PWD/build/debian11
out=$PWD/dist/debian11

if [ -z "${INSIDE:-}" ]; then # mounts of its own, which end with it
  exec env INSIDE=1 unshare --mount "$0" "$@"
fi

[ -d "$root/usr" ] || debootstrap --variant=minbase \
  --include=binutils,ca-certificates,gcc,libbz2-dev,libc6-dev,libffi-dev,liblzma-dev,libssl-dev,libzstd-dev,make,pkg-config,xz-utils,zlib1g-dev \
  bullseye "$root"
# PostgreSQL's files find each other by /proc, and Python's semaphores are made in /dev/shm.
mount -t proc proc "$root/proc"
mkdir -p "$root/dev/shm"
mount -t tmpfs tmpfs "$root/dev/shm"
cp /etc/resolv.conf "$root/etc/resolv.conf"
# The authorities that this machine trusts: the package index may be a company's mirror.
authorities=/etc/ssl/certs/ca-certificates.crt
[ ! -e "$authorities" ] || cp "$authorities" "$root$authorities"

if [ ! -x "$root/opt/python/bin/python3.13" ]; then
  apt=$root/var/cache/python-source
  mkdir -p "$apt/lists/partial"
  keys=/usr/share/keyrings/debian-archive-keyring.gpg
  mirror=$(sed -n 's/^deb \([^ ]*\) .*/\1/p' "$root/etc/apt/sources.list" | head -n 1)
  echo "deb-src [signed-by=$keys] $mirror trixie main" >"$apt/sources.list"
  set -- -o "Dir::Etc::sourcelist=$apt/sources.list" -o Dir::Etc::sourceparts=/dev/null \
    -o "Dir::State::lists=$apt/lists"
  (cd "$apt" && apt-get -qq "$@" update && apt-get -qq "$@" source --download-only python3.13)
  tar -x -C "$root/usr/src" -f "$apt"/python3.13_*.orig.tar.xz
  chroot "$root" /bin/sh -euc '
    cd /usr/src/Python-3.13*
    ./configure --prefix=/opt/python --enable-shared --disable-test-modules \
      LDFLAGS=-Wl,-rpath,/opt/python/lib >/dev/null
    make -j"$(nproc)" >/dev/null
    make install >/dev/null'
fi

rm -rf "$root/src"
mkdir -p "$root/src" "$out"
git ls-files -z | tar -c --null --files-from=- | tar -x -C "$root/src"
chroot "$root" /bin/sh -euc 'cd /src && PATH=/opt/python/bin:$PATH python3.13 -m tools.binary.build'
cp "$root/src/dist/"* "$out"
