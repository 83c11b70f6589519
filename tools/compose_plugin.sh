#!/bin/sh
# Where Docker's plugin `compose` is (2.24 or newer), for the tests that run deploy/compose. Debian 12
# has none: the one of Debian 13, a single program, is unpacked into build/compose-plugin.
set -eu
cd "$(dirname "$0")/.."
for each in "${DOCKER_CONFIG:-$HOME/.docker}" /usr/libexec/docker /usr/lib/docker /usr/local/lib/docker; do
  [ ! -x "$each/cli-plugins/docker-compose" ] || { echo "$each/cli-plugins/docker-compose"; exit 0; }
done
to=$PWD/build/compose-plugin
found=$to/usr/libexec/docker/cli-plugins/docker-compose
if [ ! -x "$found" ]; then
  mkdir -p "$to/lists/partial"
  keys=/usr/share/keyrings/debian-archive-keyring.gpg
  mirror=${MIRROR:-http://deb.debian.org/debian}
  echo "deb [signed-by=$keys] $mirror trixie main" >"$to/sources.list"
  set -- -o "Dir::Etc::sourcelist=$to/sources.list" -o Dir::Etc::sourceparts=/dev/null \
    -o "Dir::State::lists=$to/lists" -o APT::Sandbox::User=root
  (cd "$to" && apt-get -qq "$@" update && apt-get -qq "$@" download docker-compose) >&2
  dpkg -x "$to"/docker-compose_*.deb "$to"
fi
echo "$found"
