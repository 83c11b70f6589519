"""Running servers, given by their address: the flag ``--target``."""

import os
import re
import signal
from collections.abc import Sequence
from typing import get_args
from urllib.parse import urlsplit

from bench.errors import NotServing
from bench.results import Dialect, DisruptionKind, TargetDescription
from bench.servers import send_signal
from bench.targets.limits import ResourceLimits

FORM = "NAME=URL,dialect=plain|compact|phoenix[,ws=URL][,topic=session:{session_id}][,pid=N[+N...]]"
TOPIC = "session:{session_id}"

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_PIDS = re.compile(r"[1-9][0-9]*(\+[1-9][0-9]*)*")
_DIALECTS: tuple[str, ...] = get_args(Dialect)
_KEYS = ("dialect", "ws", "topic", "pid")


class RemoteTarget:
    """See :class:`bench.targets.target.Target`. It can be paused and limited when its processes are
    known; it cannot be killed, because it could not be restarted.
    """

    def __init__(
        self,
        description: TargetDescription,
        *,
        http_url: str,
        ws_url: str | None,
        topic: str,
        pids: Sequence[int],
    ) -> None:
        self.description = description
        self.http_url = http_url
        self.ws_url = ws_url
        self.topic = topic
        self._pids = tuple(pids)
        self._limits = ResourceLimits(self.pids)

    def pids(self) -> Sequence[int]:
        return self._pids

    def can(self, kind: DisruptionKind) -> bool:
        return bool(self._pids) and (kind == "pause_process" or self._limits.can(kind))

    def begin(self, kind: DisruptionKind, session_id: str) -> str:  # noqa: ARG002 - of all sessions
        if self._pids and self._limits.can(kind):
            return self._limits.begin(kind)
        self._signal(kind, signal.SIGSTOP)
        return f"SIGSTOP to process {', '.join(map(str, self._pids))}"

    def end(self, kind: DisruptionKind) -> None:
        if self._pids and self._limits.can(kind):
            self._limits.end()
        else:
            self._signal(kind, signal.SIGCONT)

    def _signal(self, kind: DisruptionKind, number: signal.Signals) -> None:
        if not self.can(kind):
            raise NotServing(f"{self.description.name} cannot be disrupted by {kind}")
        try:
            send_signal(self._pids, number)
        except PermissionError as error:
            raise NotServing(f"{self.description.name}: process {error}") from None


def parse(text: str) -> RemoteTarget:
    """The value of a flag, in the form of FORM. Raises ValueError, which names the wrong part."""
    head, *parts = text.split(",")
    name, equals, http_url = head.partition("=")
    if not equals or not _NAME.fullmatch(name):
        raise _wrong(text, f"it begins with {head!r}, which is not NAME=URL", "the form is " + FORM)
    options = _options(text, parts)
    dialect: Dialect
    match options.get("dialect"):
        case "plain" | "compact" | "phoenix" as known:
            dialect = known
        case None:
            raise _wrong(text, "dialect is missing", f"allowed are {', '.join(_DIALECTS)}")
        case other:
            raise _wrong(text, f"dialect={other}", f"allowed are {', '.join(_DIALECTS)}")
    return RemoteTarget(
        TargetDescription(name=name, title=f"{name} at {http_url}", dialect=dialect),
        http_url=_url(text, "the address", http_url, ("http", "https")).rstrip("/"),
        ws_url=_url(text, "ws", options["ws"], ("ws", "wss")) if "ws" in options else None,
        topic=_topic(text, options, dialect),
        pids=_pids(text, options.get("pid")),
    )


def _options(text: str, parts: Sequence[str]) -> dict[str, str]:
    options: dict[str, str] = {}
    for part in parts:
        key, equals, value = part.partition("=")
        if key not in _KEYS or not equals or not value:
            raise _wrong(text, repr(part), f"allowed are {', '.join(f'{k}=…' for k in _KEYS)}")
        if key in options:
            raise _wrong(text, f"{key} is given twice", "give it once")
        options[key] = value
    return options


def _url(text: str, what: str, url: str, schemes: Sequence[str]) -> str:
    try:
        split = urlsplit(url)
        usable = split.scheme in schemes and bool(split.hostname) and split.port != 0
    except ValueError:
        usable = False
    if not usable or split.query or split.fragment:
        allowed = " or ".join(f"{scheme}://HOST[:PORT]" for scheme in schemes)
        raise _wrong(text, f"{what} is {url!r}", f"allowed is {allowed}")
    return url


def _topic(text: str, options: dict[str, str], dialect: Dialect) -> str:
    topic = options.get("topic", TOPIC)
    if "topic" in options and dialect != "phoenix":
        raise _wrong(text, "topic is given", "only the dialect phoenix has topics; leave it out")
    if "{session_id}" not in topic:
        raise _wrong(text, f"topic={topic}", "it has {session_id} where the session's id stands")
    return topic


def _pids(text: str, value: str | None) -> list[int]:
    if value is None:
        return []
    if not _PIDS.fullmatch(value):
        raise _wrong(text, f"pid={value}", "allowed are numbers of processes, as in pid=71+72")
    pids = [int(each) for each in value.split("+")]
    for pid in pids:
        if not _lives(pid):
            raise _wrong(text, f"pid={pid}", "there is no such process on this machine")
    return pids


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except PermissionError:
        return True
    except (ProcessLookupError, OverflowError):
        return False
    return True


def _wrong(text: str, what: str, allowed: str) -> ValueError:
    return ValueError(f"--target {text}: {what}: {allowed}")
