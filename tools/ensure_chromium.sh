#!/bin/sh
# The browser tests drive a real Chromium with playwright. Use what is there; install Debian's
# packages where that can be done without asking; else say what to do, and those tests are skipped.
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
  [ "$(uname -s)" != Linux ] || ls /usr/lib*/*/libatomic.so.1 /usr/lib*/libatomic.so.1 >/dev/null 2>&1
}

missing=""
have_chromium || missing="chromium"
have_libatomic || missing="$missing libatomic1"
[ -z "$missing" ] && exit 0

if command -v apt-get >/dev/null 2>&1; then
  if [ "$(id -u)" = 0 ]; then
    echo "Installing for the browser tests, from Debian: $missing ..."
    export DEBIAN_FRONTEND=noninteractive
    # shellcheck disable=SC2086  # a list of names
    apt-get update -qq && apt-get install -y -qq --no-install-recommends $missing >/dev/null && exit 0
    echo "Installing $missing failed." >&2
    exit 1
  fi
  echo "The browser tests will be skipped. To run them: sudo apt-get install $missing" >&2
  exit 0
fi
echo "The browser tests will be skipped, for want of: $missing" >&2
