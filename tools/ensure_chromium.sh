#!/bin/sh
# The browser tests drive a real Chromium. Use the one that is there; install Debian's where that
# can be done without asking; else say what to do and let those tests be skipped by name.
set -u
for name in chromium chromium-browser google-chrome google-chrome-stable; do
  command -v "$name" >/dev/null 2>&1 && exit 0
done
[ -x "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome" ] && exit 0
[ -x "/Applications/Chromium.app/Contents/MacOS/Chromium" ] && exit 0
if command -v apt-get >/dev/null 2>&1; then
  if [ "$(id -u)" = 0 ]; then
    echo "Installing Debian's chromium for the browser tests ..."
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium >/dev/null && exit 0
    echo "Installing chromium failed." >&2
    exit 1
  fi
  echo "No Chromium: the browser tests will be skipped. To run them: sudo apt-get install chromium" >&2
  exit 0
fi
echo "No Chromium or Chrome: the browser tests will be skipped. Install one to run them." >&2
