#!/bin/sh
# What some tests need and pip does not have. Use what is there; install Debian's packages where
# that can be done without asking (root, apt); else say what to do, and those tests are skipped.
# Where it can be done a skipped test fails (tests/skipping.py).
set -u

PATH=$PATH:${SYSTEM_PATH-/usr/sbin:/sbin}

has() { # a program, under one of these names
  for name in "$@"; do
    command -v "$name" >/dev/null 2>&1 && return 0
  done
  return 1
}

on_linux() {
  [ "$(uname -s)" = Linux ]
}

have_chromium() {
  has chromium chromium-browser google-chrome google-chrome-stable \
    || [ -x "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome" ] \
    || [ -x "/Applications/Chromium.app/Contents/MacOS/Chromium" ]
}

# playwright's driver is linked against it; the smallest Debian installations have none.
have_libatomic() {
  on_linux || return 0
  for path in /usr/lib*/*/libatomic.so.1 /usr/lib*/libatomic.so.1; do
    [ -e "$path" ] && return 0
  done
  return 1
}

# Debian's Python comes without what a C module is compiled against.
have_headers() {
  python=${PYTHON:-python3}
  case "$(command -v "$python")" in /usr/bin/*) ;; *) return 0 ;; esac
  [ -e "$("$python" -c 'import sysconfig; print(sysconfig.get_path("include"))')/Python.h" ]
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
has cc gcc clang || want "gcc libc6-dev" "those with C"
have_headers || want python3-dev "those with C"
if on_linux; then
  [ -n "$(ls /usr/lib/*/libzstd.a /usr/lib/libzstd.a 2>/dev/null)" ] || want libzstd-dev "those of the single file"
  has zstd || want zstd "those of the single file"
  has systemd-analyze || want systemd "those of the units"
fi
has redis-server || want redis-server "those with Redis"
has openssl || want openssl "those with TLS"
has curl || want curl "those of the commands in the documents"
has pgbouncer || want pgbouncer "those with pgbouncer"
has nginx || want nginx-light "those behind a proxy"
has caddy || want caddy "those behind a proxy"
has haproxy || want haproxy "those behind a proxy"
has apache2 || want apache2 "those behind a proxy"
has promtool || want prometheus "those with Prometheus"
has prometheus-alertmanager alertmanager || want prometheus-alertmanager "those with Prometheus"
if on_linux; then
  has ip || want iproute2 "those with packet loss"
  has nft || want nftables "those with packet loss"
fi
if [ "${1:-}" = binary ]; then # for `make binary`, and nothing else
  missing=""
  has cc gcc clang || want "gcc libc6-dev" "the single file"
  has strip || want binutils "the single file"
  [ -n "$(ls /usr/lib/*/libzstd.a /usr/lib/libzstd.a 2>/dev/null)" ] || want libzstd-dev "the single file"
fi
if [ "${1:-}" = test-binary ]; then
  missing=""
  has debootstrap || want debootstrap "those in a bare root"
fi
if [ "${1:-}" = test-compose ]; then
  missing=""
  has debootstrap || want debootstrap "those of Compose"
  has dockerd || want docker.io "those of Compose"
  has docker || want docker.io "those of Compose"
  has buildah || want buildah "those of Compose"
  has ip || want iproute2 "those of Compose"
fi
[ -z "$missing" ] && exit 0

# A package of a server would start it, with its own settings on its own port.
no_services=${NO_SERVICES-/usr/sbin/policy-rc.d}
install() {
  export DEBIAN_FRONTEND=noninteractive
  if [ ! -e "$no_services" ]; then
    printf '#!/bin/sh\nexit 101\n' >"$no_services" && chmod 755 "$no_services"
    trap 'rm -f "$no_services"' EXIT INT TERM
  fi
  # shellcheck disable=SC2086  # a list of names
  apt-get update -qq && apt-get install -y -qq --no-install-recommends $missing >/dev/null
}

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
