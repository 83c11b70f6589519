#!/bin/sh
# Join a session, say where you are each second, print where the others are. With curl, and websocat or
# wscat for the WebSocket.
set -eu
link=$1 name=$2 # a name without quotes

me=$(curl -sSf -H 'Content-Type: application/json' -d "{\"display_name\": \"$name\"}" \
  "${link%%/join/*}/api/sessions/${link##*/join/}/join")
field() { printf %s "$1" | sed "s/.*\"$2\":\"\{0,1\}\([^\",}]*\).*/\1/"; }

connect() { # lines to and from the WebSocket
  token=$(field "$me" websocket_token) url=$(field "$me" websocket_url)
  if command -v websocat >/dev/null; then
    websocat --protocol "locshare.v1, locshare.bearer.$token" "$url"
  else
    wscat --no-color -s locshare.v1 -s "locshare.bearer.$token" -c "$url"
  fi
}

report() {
  while sleep 1; do
    now=$(date -u +%Y-%m-%dT%H:%M:%SZ)
    printf '{"type": "location_update", "data": {"lat": 52.52, "lng": 13.405, "timestamp": "%s"}}\n' \
      "$now" 2>/dev/null || return
  done
}

report | connect | while read -r line; do
  case $line in *'"location_update"'*)
    echo "$(field "$line" user_id) is at $(field "$line" lat), $(field "$line" lng)" ;;
  esac
done
echo ended
