"""Every call of the REST interface, again and again beside the load: a process of its own, since
the driver's loop must not wait for an answer.

    python -m bench.driver.rest_probe http://127.0.0.1:8080  # until its input ends

Calls that a server does not have (404, 405 or 501 every time) are left out: the comparators have
those that the contract tests require. Nothing is retried, so that a refusal counts.

One call at a time: while a server stalls, no other is made. A call that was due meanwhile counts
from when it was due (else a stall of seconds would be one slow call among hundreds of quick ones).
"""

import contextlib
import http.client
import json
import select
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final
from urllib.parse import urlencode, urlsplit

import msgspec

from bench.certificates import trusted_authorities
from bench.driver.latency import Histogram
from bench.guardian import entrust
from bench.results import RestCall

PER_SECOND: Final = 5.0
"""Calls. Of some 20 kinds: each comes three or four times in a quarter of a minute, and the server
spends half a per cent of a core on them.
"""
TIMEOUT_S: Final = 10.0
_GIVE_UP_S: Final = TIMEOUT_S + 5
_NOT_THERE: Final = (404, 405, 501)
_PLACE: Final = {"lat": 52.52, "lng": 13.405, "accuracy": 5}


class RestProbe:
    """A running probe, or none."""

    def __init__(self, process: "subprocess.Popen[bytes] | None") -> None:
        self._process = process
        self._found: tuple[RestCall, ...] | None = None

    def calls(self) -> tuple[RestCall, ...]:
        """End it. Returns what it measured; empty when there was none, or it failed."""
        if self._found is None:
            self._found = self._end()
        return self._found

    def _end(self) -> tuple[RestCall, ...]:
        if self._process is None:
            return ()
        try:
            out, _ = self._process.communicate(timeout=_GIVE_UP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.communicate()
            return ()
        try:
            return msgspec.json.decode(out, type=tuple[RestCall, ...])
        except msgspec.MsgspecError:
            return ()


@contextmanager
def rest_probe(url: str | None) -> Iterator[RestProbe]:
    """Probe the interface at ``url`` while the block lasts; None: nothing."""
    process = None
    if url is not None:
        command = [sys.executable, "-m", __spec__.name, url]
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,  # Ctrl-C is for the driver
        )
        entrust(process)
    probe = RestProbe(process)
    try:
        yield probe
    finally:
        probe.calls()


# --- the probe's own process ------------------------------------------------------------------


class Probe:
    """Makes the calls of one round after the other, one call at a time."""

    def __init__(self, url: str) -> None:
        self._parts = urlsplit(url)
        self._connection: http.client.HTTPConnection | None = None
        self._times: dict[str, Histogram] = {}
        self._failed: dict[str, int] = {}
        self._missing: set[str] = set()
        self._calls = self._rounds()
        self._due = self._answered_at = 0.0

    def step(self, due: float) -> None:
        """Make the next call, which was due then by the monotonic clock."""
        self._due = due
        next(self._calls)

    def calls(self) -> list[RestCall]:
        """In the order of a round."""
        return [
            RestCall(call=call, latencies=times.latencies(), failed=self._failed[call])
            for call, times in self._times.items()
            if times.count or call not in self._missing
        ]

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()

    def _rounds(self) -> Iterator[None]:
        while True:
            yield from self._round()

    def _round(self) -> Iterator[None]:
        """One session from beginning to end. Yields after every call."""
        session = self._call("POST", "/api/sessions", body={"name": "probe"})
        yield
        if not isinstance(session, dict) or "session_id" not in session:
            return
        session_id, host = session["session_id"], session.get("host_token", "")
        one = f"/api/sessions/{session_id}"
        ids = {session_id: "{id}"}
        people: list[Mapping[str, Any]] = []
        for name in ("Ada", "Bo"):
            joined = self._call("POST", f"{one}/join", ids, body={"display_name": name})
            yield
            if isinstance(joined, dict) and "user_id" in joined:
                people.append(joined)
        for path in ("", "/participants", "/link.svg"):
            self._call("GET", one + path, ids)
            yield
        self._call("PATCH", one, ids, token=host, body={"locked": False})
        yield
        if "host_key" in session:
            self._call("POST", f"{one}/host", ids, body={"host_key": session["host_key"]})
            yield
        if people:
            first, last = people[0], people[-1]
            yield from self._reports(one, ids, first)
            user = f"{one}/participants/{first['user_id']}"
            ids |= {first["user_id"]: "{user_id}", last["user_id"]: "{user_id}"}
            self._call("PATCH", user, ids, token=host, body={"role": "host"})
            yield
            token = last["websocket_token"]
            self._call("DELETE", f"{one}/participants/{last['user_id']}", ids, token=token)
            yield
        self._call("POST", f"{one}/link", ids, token=host)
        yield
        self._call("DELETE", one, ids, token=host)
        yield
        self._call("GET", f"{one}/receipt", ids, token=host)
        yield
        self._call("GET", "/health/ready")
        yield

    def _reports(
        self, one: str, ids: Mapping[str, str], person: Mapping[str, Any]
    ) -> Iterator[None]:
        """What other apps call for a participant."""
        token = person["websocket_token"]
        self._call("GET", f"{one}/setup", ids, token=token)
        yield
        app = {**ids, "owntracks.svg": "{app}.svg"}
        self._call("GET", f"{one}/setup/owntracks.svg", app, token=token)
        yield
        if "setup" in person:
            code = person["setup"]["code"]
            self._call("GET", f"/api/gpslogger/{code}/locshare.properties", {code: "{code}"})
            yield
        self._call("POST", f"{one}/positions", ids, token=token, body=_PLACE)
        yield
        where = urlencode({"lat": _PLACE["lat"], "lon": _PLACE["lng"]})
        self._call("GET", f"/api/osmand?{where}", token=token)
        yield
        report = {"_type": "location", "lat": _PLACE["lat"], "lon": _PLACE["lng"]}
        self._call("POST", "/api/owntracks", token=token, body=report)
        yield

    def _call(
        self,
        method: str,
        path: str,
        ids: Mapping[str, str] | None = None,
        *,
        token: str = "",
        body: object = None,
    ) -> Any:
        """The answer's JSON; None when there is none. ``ids`` names what varies in ``path``."""
        name = path.partition("?")[0]
        for found, instead in (ids or {}).items():
            name = name.replace(found, instead)
        name = f"{method} {name}"
        times = self._times.setdefault(name, Histogram())
        self._failed.setdefault(name, 0)
        headers = {"Content-Type": "application/json"} if body is not None else {}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        data = None if body is None else json.dumps(body).encode()
        # That this process came late to a call is not the server's doing.
        began = self._due if self._answered_at > self._due else time.monotonic()
        try:
            status, content = self._exchange(method, path, data, headers)
        except (OSError, http.client.HTTPException):
            self.close()
            self._connection = None
            self._failed[name] += 1
            return None
        finally:
            self._answered_at = time.monotonic()
        if 200 <= status < 300:
            times.add(self._answered_at - began)
            with contextlib.suppress(ValueError):
                return json.loads(content)
            return None
        if status in _NOT_THERE and not times.count:
            self._missing.add(name)
        self._failed[name] += 1
        return None

    def _exchange(
        self, method: str, path: str, data: bytes | None, headers: Mapping[str, str]
    ) -> tuple[int, bytes]:
        if self._connection is None:
            self._connection = self._connect()
        self._connection.request(method, self._parts.path + path, data, dict(headers))
        answer = self._connection.getresponse()
        return answer.status, answer.read()

    def _connect(self) -> http.client.HTTPConnection:
        host, port = self._parts.hostname or "", self._parts.port
        if self._parts.scheme == "https":
            return http.client.HTTPSConnection(
                host, port, timeout=TIMEOUT_S, context=trusted_authorities()
            )
        return http.client.HTTPConnection(host, port, timeout=TIMEOUT_S)


def keep_probing(probe: Probe, wait: Callable[[float], bool]) -> None:
    """PER_SECOND calls a second until ``wait``, which is given the pause, returns True. What a
    stall has held up is made up for, of TIMEOUT_S at most.
    """
    due = time.monotonic()
    while not wait(max(due - time.monotonic(), 0.0)):
        probe.step(due)
        due = max(due + 1 / PER_SECOND, time.monotonic() - TIMEOUT_S)


def main() -> None:
    """Probe until standard input ends, then print what was found as JSON."""
    probe = Probe(sys.argv[1])
    keep_probing(probe, lambda pause_s: bool(select.select([sys.stdin], [], [], pause_s)[0]))
    probe.close()
    sys.stdout.write(msgspec.json.encode(probe.calls()).decode())


if __name__ == "__main__":
    main()
