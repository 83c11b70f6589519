"""One HTTP request whose answer is bounded in bytes and in time, whatever the server is.

httpx bounds neither: its timeouts are for each read, and it unpacks a compressed answer whole. A
client that follows a stranger's link talks to a stranger's server.
"""

from collections.abc import Mapping
from typing import Final, NamedTuple

import httpx
import trio

from locshare.client.errors import Unreachable

LARGEST: Final = 4_194_304
"""Bytes of an answer: a list of many thousand participants. What is longer is none of a server of
this contract.
"""


class Answer(NamedTuple):
    status: int
    headers: Mapping[str, str]
    body: bytes


async def exchange(
    http: httpx.AsyncClient,
    method: str,
    address: str,
    *,
    content: bytes | None = None,
    headers: Mapping[str, str] | None = None,
    timeout: float,
    largest: int = LARGEST,
) -> Answer:
    """The answer of ``address``, of at most ``largest`` bytes, within ``timeout`` seconds from the
    first packet to the last. Raises Unreachable; its text quotes nothing of request or answer.
    Cancelled: the outcome at the server is unknown.
    """
    asked = {"Accept-Encoding": "identity", **(headers or {})}
    with trio.move_on_after(timeout):
        try:
            async with http.stream(method, address, content=content, headers=asked) as answer:
                if answer.headers.get("content-encoding", "identity") != "identity":
                    raise Unreachable("the answer is compressed, which was not asked for")
                body = bytearray()
                async for chunk in answer.aiter_raw():
                    body += chunk
                    if len(body) > largest:
                        raise Unreachable(f"the answer is longer than {largest} bytes")
                return Answer(answer.status_code, answer.headers, bytes(body))
        except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
            raise Unreachable(f"no answer: {type(error).__name__}") from error
    raise Unreachable(f"no answer within {timeout:g} s")
