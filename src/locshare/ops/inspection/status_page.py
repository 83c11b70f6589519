"""``/status`` on an internal port: one page for a browser, to read only, without a script.

It shows what ``locshare top`` shows first: health, latency, the slowest sessions, the parts of the
server with their restarts. It renews itself every few seconds, by the browser. Nothing can be done
from it. Like the rest of an internal port it has no login.
"""

import base64
import hashlib
from collections.abc import Awaitable, Callable, Iterable, Mapping
from html import escape
from typing import Final

from quart import Blueprint, Response

from locshare.ops.control import ControlError
from locshare.ops.inspection.operations import Inspector
from locshare.ops.inspection.text import (
    duration,
    latency,
    mailbox,
    milliseconds,
    reason,
    share,
    size,
    state,
)
from locshare.ops.inspection.views import ActorView, ProcessInfo, Tree, TreeSnapshot

Checks = Callable[[], Awaitable[Mapping[str, str]]]

RENEW_S: Final = 5
SLOWEST: Final = 15
SESSIONS: Final = "sessions"
"""The dynamic supervisor's id in the tree."""

STYLE: Final = """
body{font:15px/1.5 system-ui,sans-serif;margin:2em auto;max-width:60em;padding:0 1em;color:#222}
h1{font-size:1.3em}h2{font-size:1.05em;margin:1.8em 0 .4em}
table{border-collapse:collapse;width:100%}th,td{text-align:left;padding:.2em .8em .2em 0}
th{font-weight:600;color:#666}td.n,th.n{text-align:right}tr{border-bottom:1px solid #ddd}
.bad{color:#b00020;font-weight:600}.good{color:#1b6e1b}
@media(prefers-color-scheme:dark){body{background:#161616;color:#ddd}tr{border-color:#333}
th{color:#999}.bad{color:#ff8a80}.good{color:#81c784}}
"""
_STYLE_HASH: Final = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
HEADERS: Final = {
    "Content-Security-Policy": f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Cache-Control": "no-store",
    "Refresh": str(RENEW_S),
}


def status_blueprint(inspector: Inspector, checks: Checks) -> Blueprint:
    """``GET /status``; ``checks`` are the states of readiness, by name."""
    routes = Blueprint("status", __name__)

    @routes.get("/status")
    async def status() -> Response:
        states = await checks()
        try:
            snapshot = await inspector.snapshot(Tree(limit=SLOWEST, sort="latency"))
        except ControlError as error:
            return _answer(_page(f"<p class=bad>{escape(error.message)}</p>", states), 503)
        return _answer(render(snapshot, states), 200)

    return routes


def _answer(page: str, status: int) -> Response:
    return Response(page, status, HEADERS, content_type="text/html; charset=utf-8")


def render(snapshot: TreeSnapshot, states: Mapping[str, str]) -> str:
    """The page. Pure."""
    of = snapshot.process
    parts = [each for each in snapshot.root.children if each.id != SESSIONS]
    sessions = next((each for each in snapshot.root.children if each.id == SESSIONS), None)
    body = [_facts(of), "<h2>Slowest sessions</h2>"]
    slowest = [] if sessions is None else [_actor_of(each) for each in sessions.children]
    if slowest:
        rows = [
            (each.path.split("/")[1], milliseconds(each.latency), _people(each), mailbox(each),
             size(each.bytes or 0), str(each.restarts))
            for each in slowest
        ]  # fmt: skip
        heads = ("session", "latency", "people online", "mailbox", "memory", "restarts")
        body.append(_table(heads, rows))
        if sessions is not None and sessions.hidden:
            body.append(f"<p>{sessions.hidden} more.</p>")
    else:
        body.append("<p>No session is in memory.</p>")
    body.append("<h2>Parts of the server</h2>")
    rows_of_parts = [(each.id, state(each), str(each.restarts), reason(each)) for each in parts]
    body.append(_table(("part", "state", "restarts", "last reason"), rows_of_parts))
    return _page("\n".join(body), states)


def _actor_of(view: ActorView) -> ActorView:
    """The session's actor below its supervisor; the supervisor while there is none."""
    return view.children[0] if view.children else view


def _people(view: ActorView) -> str:
    people = view.gauges.get("participants")
    return "" if people is None else f"{view.gauges.get('online', 0)} of {people}"


def _facts(of: ProcessInfo) -> str:
    lag, window = milliseconds(of.lag), milliseconds(of.window)
    facts = [
        ("version", f"{of.version}, pid {of.pid}, up {duration(of.uptime)}"),
        ("people", f"{of.online} online of {of.participants}, in {of.sessions} sessions"),
        ("connections", f"{of.connections}, {size(of.backlog)} waiting for slow phones"),
        ("position latency", latency(of.latency)),
        ("loop", f"busy {share(of.busy)}, lag {lag}, flush window {window}"),
        ("memory", size(of.rss)),
        ("session crashes", str(of.crashes)),
    ]
    if of.faults:
        facts.append(("faults", "can be injected: this is no server for production"))
    return _table((), facts)


def _table(heads: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    head = "".join(f"<th>{escape(each)}</th>" for each in heads)
    lines = ["<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows]
    return f"<table>{f'<tr>{head}</tr>' if head else ''}{''.join(lines)}</table>"


def _page(body: str, states: Mapping[str, str]) -> str:
    health = ", ".join(
        f"<span class={'good' if each == 'ok' else 'bad'}>{escape(name)} "
        f"{escape(each.replace('_', ' '))}</span>"
        for name, each in states.items()
    )
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>locshare</title>'
        f'<meta name="viewport" content="width=device-width"><style>{STYLE}</style></head>'
        f"<body><h1>locshare</h1><p>{health}</p>\n{body}</body></html>"
    )
