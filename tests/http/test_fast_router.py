"""The fast router by itself, over ASGI."""

import json
from typing import Any

import pytest

from locshare.http.fast_router import FastRouter, HandlerLimits
from locshare.http.problems import HttpProblem
from locshare.http.types import ROUTE, Request, Response

LIMITS = HandlerLimits(body_bytes=100, body_timeout_s=10, response_timeout_s=20)


async def get_thing(_request: Request, thing: str) -> Response:
    return Response(200, f"thing {thing}".encode(), "text/plain")


async def put_parts(request: Request, thing: str) -> Response:
    return Response(201, thing.encode() + await request.read(), "text/plain")


async def fail(_request: Request, _thing: str) -> Response:
    raise ZeroDivisionError


async def framework(scope: Any, _receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 404, "headers": []})
    await send({"type": "http.response.body", "body": scope["path"].encode()})


def problem_of(error: Exception) -> HttpProblem | None:
    return error if isinstance(error, HttpProblem) else None


ROUTER = FastRouter(
    {
        ("GET", "/things/<thing>"): get_thing,
        ("PUT", "/things/<thing>/parts"): put_parts,
        ("GET", "/others/<other>"): get_thing,
        ("GET", "/broken/<thing>"): fail,
    },
    LIMITS,
    problem_of,
    framework,
)


async def ask(method: str, path: str, parts: list[Any], **headers: str) -> tuple[int, bytes, Any]:
    """Status, body, and the route that the middleware will log. The last of ``parts`` repeats."""
    sent: list[Any] = []
    waiting = iter(parts)
    scope: dict[str, Any] = {
        "type": "http",
        "method": method,
        "path": path,
        "headers": [(name.replace("_", "-").encode(), v.encode()) for name, v in headers.items()],
    }

    async def receive() -> Any:
        return next(waiting, parts[-1])

    async def send(message: Any) -> None:
        sent.append(message)

    await ROUTER(scope, receive, send)
    return sent[0]["status"], b"".join(each.get("body", b"") for each in sent), scope.get(ROUTE)


def part(body: bytes, *, more_body: bool = False) -> dict[str, Any]:
    return {"type": "http.request", "body": body, "more_body": more_body}


WHOLE = [part(b"")]


@pytest.mark.parametrize(
    ("method", "path", "status", "body", "route"),
    [
        ("GET", "/things/a", 200, b"thing a", "/things/<thing>"),
        ("GET", "/things/%2F", 200, b"thing %2F", "/things/<thing>"),
        ("PUT", "/things/a/parts", 201, b"a", "/things/<thing>/parts"),
        ("GET", "/others/b", 200, b"thing b", "/others/<other>"),
        ("GET", "/things/", 404, b"/things/", None),
        ("GET", "/things", 404, b"/things", None),
        ("GET", "/things/a/", 404, b"/things/a/", None),
        ("GET", "/things/a/parts", 404, b"/things/a/parts", None),
        ("PUT", "/things//parts", 404, b"/things//parts", None),
        ("PUT", "/things/a/b/parts", 404, b"/things/a/b/parts", None),
        ("HEAD", "/things/a", 404, b"/things/a", None),
        ("PUT", "/others/a/parts", 404, b"/others/a/parts", None),
    ],
)
async def test_only_a_whole_match_of_method_and_path_is_taken_from_the_framework(
    method: str, path: str, status: int, body: bytes, route: str | None
) -> None:
    assert await ask(method, path, WHOLE) == (status, body, route)


@pytest.mark.parametrize(
    ("parts", "headers", "status", "code"),
    [
        ([part(b"x" * 60, more_body=True)], {}, 413, "BODY_TOO_LARGE"),
        (WHOLE, {"content_length": "101"}, 413, "BODY_TOO_LARGE"),
        ([{"type": "http.disconnect"}], {}, 400, "BAD_REQUEST"),
    ],
)  # fmt: skip
async def test_a_body_is_bounded_and_whole(
    parts: list[Any], headers: dict[str, str], status: int, code: str
) -> None:
    got, body, _ = await ask("PUT", "/things/a/parts", parts, **headers)
    assert (got, json.loads(body)["code"]) == (status, code)


async def test_a_body_of_exactly_the_limit_is_read() -> None:
    parts = [
        part(b"x" * 50, more_body=True),
        part(b"y" * 50),
    ]
    status, body, _ = await ask("PUT", "/things/a/parts", parts, content_length="100")
    assert (status, body) == (201, b"a" + b"x" * 50 + b"y" * 50)


async def test_an_error_without_a_problem_is_raised() -> None:
    with pytest.raises(ZeroDivisionError):
        await ask("GET", "/broken/a", WHOLE)
