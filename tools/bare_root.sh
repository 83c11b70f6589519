#!/bin/sh
# bare_root.sh DIR [PACKAGES]: Debian's smallest root in DIR, with PACKAGES (joined by commas) and what
# they need, unless it is there. RELEASE: bookworm (12) if it is not set. Needs root and debootstrap.
set -eu
root=$1
# debootstrap removes its own folder at the end.
if [ -d "$root/usr" ] && [ ! -d "$root/debootstrap" ]; then
  exit 0
fi
rm -rf --one-file-system "$root"
echo "Making $root with debootstrap (once) ..." >&2
debootstrap --variant=minbase ${2:+"--include=$2"} "${RELEASE:-bookworm}" "$root" >"$root.log" 2>&1 || {
  tail -n 20 "$root.log" >&2
  exit 1
}
