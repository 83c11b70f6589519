#!/bin/bash
# Every check of wsload must be able to pass and to fail.  Low rates: takes about two minutes, ~10 % of each core.
cd "$(dirname "$0")" || exit 2
OUT=${OUT:-../build}
W=$OUT/wsload PORT=${PORT:-8911} T=$(mktemp -d) E=0
trap 'rm -rf "$T"; [ -n "$P" ] && kill $P 2>/dev/null' EXIT
serve() { taskset -c 0 "$OUT/wsecho" --port $PORT "$@" 2>"$T/echo.log" & P=$!; sleep 0.2; }
load() { taskset -c 1 $W --plan "$T/p" --port $PORT --ramp 0.5 --settle 0.3 --warmup 0.5 --duration 4 --drain 2 --interval 1 --loss-detail --json ${P:+--pid $P} "$@" >"$T/out" 2>"$T/err"; RC=$?; tail -1 "$T/out" >"$T/json"; }
end() { [ -n "$P" ] && kill $P && wait $P 2>/dev/null; P=; }
check() {   # NAME, then a Python expression over the JSON keys
  if python3 -c "
import json,sys
d=json.load(open('$T/json'))
class D(dict):
    def __missing__(s,k): return d[k]
sys.exit(0 if eval(sys.argv[1],{'abs':abs,'sum':sum,'d':d},D()) else 1)" "$2" 2>"$T/pyerr"; then echo "ok    $1"
  else echo "FAIL  $1: $2"; sed 's/^/      /' "$T/out" "$T/err" | grep -v '{' | head -30; tail -1 "$T/pyerr"; E=1; fi
}
CLEAN='leaks==0 and unknown_senders==0 and malformed==0 and unpaired==0 and protocol_errors==0 and connect_failed==0 and lost==0 and stale_pairs==0'
./mkplan.sh 4 50 >"$T/p"

$W --unit >"$T/out" && echo "ok    arithmetic" || { cat "$T/out"; E=1; }
for a in 10.0.0.1 8.8.8.8 example.org 0.0.0.0; do $W --plan "$T/p" --host $a --port 80 >/dev/null 2>&1; [ $? = 2 ] || { echo "FAIL  $a not refused"; E=1; }; done; echo "ok    only loopback is accepted"

serve; load; end
check "clean: nothing lost, duplicated, reordered; expected = sent x 49" "$CLEAN and duplicates==0 and reorders==0 and sent>=790 and expected==sent*49 and delivered==expected and own_echoes==0 and unexpected_closes==0 and latency_p50_ms<5 and pairs==4*50*49"
serve --delay 100; load --senders 0.02; end
check "latency: one sender per session, server delay 100 ms" "$CLEAN and senders==4 and expected==sent*49 and 100<=latency_p50_ms<106"
serve --lose 10; load; end
check "fault: 10 % of the deliveries withheld" "9<loss_pct<11 and stale_pairs>500 and leaks==0"
serve --leak 5; load; end
check "fault: 5 % of the updates leak to another session" "leaks>0.02*sent and leaks<0.1*sent*1.4 and lost==0"
serve --dup 10; load; end
check "fault: 10 % delivered twice" "0.08*delivered<duplicates<0.16*delivered and lost==0"
serve --coalesce 200 --reorder 50; load --senders 0.02 --interval 0.05; end
check "fault: neighbours exchanged" "reorders>500 and lost==0 and leaks==0"
serve --drop 5; load; end
check "fault: the server drops 5 connections/s" "15<=unexpected_closes<=45 and d['close_codes'].get('1011',0)>0 and sum(d['close_codes'].values())==unexpected_closes and skipped_down>0 and leaks==0"
serve --bad-accept; load --drain 0.5 --duration 1; end
check "fault: wrong Sec-WebSocket-Accept" "fail_accept==200 and connect_ok==0"
load --drain 0.5 --duration 1
check "fault: nobody listens" "fail_tcp==200 and connect_ok==0"
serve --torture; load; end
check "fragments, pings inside messages, TCP cut anywhere" "$CLEAN and pings>100 and delivered==expected and duplicates==0"
./mkplan.sh 4 50 '{"lng": @LNG@ , "p": {"x":1}, "lat" :@LAT@}' >"$T/q"
serve --coalesce 60 --batch; load --plan "$T/q"; end
check "batches: one frame, several updates, lng first, spaces, own included" "$CLEAN and delivered==expected and own_echoes>0.9*sent and frames_per_s<0.7*updates_per_s"
./mkplan.sh 4 50 '{"data":"{\"lat\":\"@LAT@\",\"lng\":\"@LNG@\"}"}' >"$T/q"
serve; load --plan "$T/q"; end
check "JSON inside a string, numbers as strings" "$CLEAN and delivered==expected and delivered>0"
./mkplan.sh 2 10 "{\"pad\":\"$(head -c 300 /dev/zero | tr '\0' x)\",\"lat\":@LAT@,\"lng\":@LNG@}" >"$T/q"
serve; load --plan "$T/q"; end
check "16-bit lengths" "$CLEAN and delivered==expected and delivered>500"
./mkplan.sh 2 10 "{\"pad\":\"$(head -c 70000 /dev/zero | tr '\0' x)\",\"lat\":@LAT@,\"lng\":@LNG@}" >"$T/q"
serve; load --plan "$T/q"; end
check "64-bit lengths" "$CLEAN and delivered==expected and delivered>500 and bytes_per_s>20*9*70000*0.95"
awk -F'\t' -vOFS='\t' '{$5="{\"join\":"$2"}@NEXT@READY"; $7="{\"hb\":@SEQ@}"; print}' "$T/p" >"$T/q"
serve --echo --ping; load --plan "$T/q" --ready READY --heartbeat 2; end
check "hello, ready text, own echo, pings, heartbeats" "$CLEAN and delivered==expected and joined_end==200 and own_echoes>0.9*sent and pings>200 and heartbeats>200"
serve; load --ready NEVER --duration 1; end
check "fault: ready never comes: nobody counts as joined" "joined_end==0 and connect_ok==200 and expected==0"
serve; load --churn 20; end
check "churn 20/s: others lose nothing" "$CLEAN and 80<=churned<=105 and unexpected_closes==0 and reconnect_n>=75"
serve; load --churn 20 --churn-abort; end
check "churn by reset" "$CLEAN and 80<=churned<=105 and unexpected_closes==0"
serve --max-queue 1000; ./mkplan.sh 4 50 "{\"pad\":\"$(head -c 6000 /dev/zero | tr '\0' x)\",\"lat\":@LAT@,\"lng\":@LNG@}" >"$T/q"; load --plan "$T/q" --slow 8 --interval 0.5 --warmup 4; end
check "slow consumers: closed by the server, the others lose nothing" "$CLEAN and slow==8 and senders==192 and slow_closed==8 and delivered==expected"
serve --max-queue 400000000; load --plan "$T/q" --slow 8 --interval 0.5 --warmup 4; end
check "slow consumers: kept by a server that queues without limit, which shows in its memory" "$CLEAN and slow_closed==0 and delivered==expected and d['server_hwm_kb']>d['server_rss_start_kb']+8000"
[ $E = 0 ] && echo "selftest: all ok" || echo "selftest: FAILED"
exit $E
