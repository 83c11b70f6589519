"""The parts of hypercorn that its documentation does not promise: which one a version changed."""

import inspect
from dataclasses import fields
from importlib.metadata import version
from typing import Any

import h11
import pytest
import trio
from hypercorn.events import Closed, Event, RawData, Updated
from hypercorn.protocol.h11 import H11Protocol
from hypercorn.trio.worker_context import WorkerContext

from locshare.http.hypercorn_protocol import RequestTasks, make_config, make_protocol
from locshare.http.limits import ServerLimits
from locshare.http.strict_h11 import StrictConnection
from tests.running import LAST_RESORT_S

LIMITS = ServerLimits()


def changed(part: str) -> str:
    return f"hypercorn {version('hypercorn')} has changed {part}: see http/hypercorn_protocol.py"


def test_the_protocol_is_made_from_the_same_nine_things() -> None:
    assert list(inspect.signature(H11Protocol.__init__).parameters) == [
        "self", "app", "config", "context", "task_group", "connection_state", "ssl", "client",
        "server", "send",
    ], changed("the parameters of H11Protocol")  # fmt: skip


@pytest.mark.parametrize(("event", "names"), [(RawData, {"data"}), (Closed, set()),
                                              (Updated, {"idle"})])  # fmt: skip
def test_the_events_have_the_same_fields(event: Any, names: set[str]) -> None:
    assert names <= {each.name for each in fields(event)}, changed(f"the event {event.__name__}")


async def test_the_context_has_an_event_that_ends_keep_alive() -> None:
    context = WorkerContext(None)
    assert not context.terminated.is_set(), changed("WorkerContext.terminated")
    await context.terminated.set()
    with trio.fail_after(LAST_RESORT_S):
        await context.terminated.wait()


async def exchange(requests: bytes, app: Any) -> tuple[list[Event], StrictConnection]:
    """The events of the protocol when it receives ``requests``, and its h11 connection."""
    events: list[Event] = []
    connection = StrictConnection(LIMITS.head, LIMITS.body_bytes)

    async def send(event: Event) -> None:
        events.append(event)

    async with trio.open_nursery() as nursery:
        protocol = make_protocol(
            make_config(LIMITS),
            WorkerContext(None),
            RequestTasks(app, nursery, lambda: None),
            connection,
            state={"key": "value"},
            client=("203.0.113.7", 4711),
            server=("192.0.2.1", 80),
            send=send,
        )
        assert protocol.connection is connection, changed("H11Protocol.connection")
        await protocol.handle(RawData(requests))
    return events, connection


async def test_a_request_becomes_a_task_and_its_response_bytes() -> None:
    scopes: list[Any] = []
    bodies: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        scopes.append(scope)
        bodies.append(await receive())
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"hello"})

    request = b"POST /a%20b?c=d HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}"
    events, connection = await exchange(request, app)
    (scope,) = scopes
    asked = {"method": "POST", "path": "/a b", "raw_path": b"/a%20b", "query_string": b"c=d",
             "client": ("203.0.113.7", 4711), "state": {"key": "value"}}  # fmt: skip
    assert {name: scope[name] for name in asked} == asked, changed("the scope of a request")
    assert bodies[0]["body"] == b"{}", changed("the parts of a request")
    assert [event for event in events if isinstance(event, Updated)] == [
        Updated(idle=False), Updated(idle=True),
    ], changed("when a connection is idle")  # fmt: skip
    sent = b"".join(event.data for event in events if isinstance(event, RawData))
    assert sent.startswith(b"HTTP/1.1 200"), changed("how a response is written")
    assert b"hello" in sent
    assert b"server:" not in sent.lower()
    assert connection.our_state is h11.IDLE, changed("the reuse of a connection")


async def test_a_refused_request_gets_the_problem_and_the_connection_is_closed() -> None:
    async def app(*_: Any) -> None:
        raise AssertionError("the application must not see it")

    events, connection = await exchange(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", app)
    sent = b"".join(event.data for event in events if isinstance(event, RawData))
    assert sent.startswith(b"HTTP/1.1 505"), changed("the response to a refusal")
    assert sent.count(b"HTTP/1.1 505") == 1, changed("the response to a refusal")
    assert b"application/problem+json" in sent
    assert events[-1] == Closed(), changed("the end of a refused connection")
    assert connection.refusal is not None
