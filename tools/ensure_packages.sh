#!/bin/sh
# What some tests need and pip does not have: a Chromium (playwright drives it) and a Redis (one of
# the servers in the benchmarks). Use what is there; install Debian's packages where that can be
# done without asking; else say what to do, and those tests are skipped.
set -u

have_chromium() {
  for name in chromium chromium-browser google-chrome google-chrome-stable; do
    command -v "$name" >/dev/null 2>&1 && return 0
  done
  [ -x "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome" ] \
    || [ -x "/Applications/Chromium.app/Contents/MacOS/Chromium" ]
}

# playwright's driver is linked against it; the smallest Debian installations have none.
have_libatomic() {
  [ "$(uname -s)" = Linux ] || return 0
  for path in /usr/lib*/*/libatomic.so.1 /usr/lib*/libatomic.so.1; do
    [ -e "$path" ] && return 0
  done
  return 1
}

have_redis() {
  command -v redis-server >/dev/null 2>&1
}

install() {
  export DEBIAN_FRONTEND=noninteractive
  # shellcheck disable=SC2086  # a list of names
  apt-get update -qq && apt-get install -y -qq --no-install-recommends $missing >/dev/null
}

missing=""
skipped=""
want() { # package, the tests that need it
  missing="$missing $1"
  case "$skipped" in
    *"$2"*) ;;
    *) skipped="$skipped${skipped:+, }$2" ;;
  esac
}

have_chromium || want chromium "those with a browser"
have_libatomic || want libatomic1 "those with a browser"
have_redis || want redis-server "those with Redis"
[ -z "$missing" ] && exit 0

if command -v apt-get >/dev/null 2>&1; then
  if [ "$(id -u)" = 0 ]; then
    echo "Installing for the tests, from Debian:$missing ..."
    install && exit 0
    echo "Installing$missing failed." >&2
    exit 1
  fi
  echo "Some tests will be skipped ($skipped). To run them: sudo apt-get install$missing" >&2
  exit 0
fi
echo "Some tests will be skipped ($skipped), for want of:$missing" >&2
