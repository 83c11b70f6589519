"""One example each against the real server, and the loops of Hypothesis around them."""

import itertools
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from hypothesis.errors import HypothesisException

from tests.fuzz import calls, conversations
from tests.fuzz.calls import Call
from tests.fuzz.conversations import Conversation, Piece
from tests.fuzz.health import Health
from tests.fuzz.oracle import check_answer, check_close, check_message
from tests.fuzz.sockets import Busy, Client, Ended, Fault
from tests.fuzz.world import World, upgrade
from tests.sockets import client_frame

SLOW_S: Final = 3.0
_SPOILS: Final = {"DELETE", "PATCH"}
_numbers = itertools.count()


def converse(world: World, example: Conversation) -> None:
    """The server answers a ping and a close behind it all, or closes with a code that says why."""
    token = world.member()
    query = world.fill(example.query.encode()).decode()
    with Client(world.port) as client:
        client.send(upgrade(example.dialect, token, query))
        status, _ = client.head()
        if status != 101:
            if status == 400 and "vsn" in query:
                return  # of two the newest counts
            raise (Busy if status == 503 else Fault)(f"the upgrade was refused: {status}")
        ours = b"fuzz %d" % next(_numbers)
        client.send(b"".join(map(_encoder(world), example.sent)) + client_frame(ours, 9))
        closes = any(isinstance(each, Piece) and each.opcode == 8 for each in example.sent)
        if not example.is_sound:
            client.end()
        code = _read(client, example, ours, echo=closes)
        if code is None:
            # A pong overtakes what was sent before its ping; the answer to a close does not.
            client.send(client_frame((1000).to_bytes(2, "big"), 8))
            code = _read(client, example, b"", echo=closes)
        client.end()
        client.rest()
    if code is not None and code != 1005:
        world.replace_member()
    world.look()


def _encoder(world: World) -> Callable[[Piece | bytes], bytes]:
    def encode(each: Piece | bytes) -> bytes:
        if isinstance(each, Piece):
            return each.encode(world.fill(each.payload))
        return world.fill(each)

    return encode


def _read(client: Client, example: Conversation, ours: bytes, *, echo: bool) -> int | None:
    """Until the pong to our ping, None; or until the close frame, its code. Checks what comes."""
    while True:
        try:
            opcode, payload = client.frame()
        except Ended:
            if example.is_sound:
                raise Fault("the connection ended without a close frame") from None
            return 1005
        if opcode == 8:
            return check_close(payload, echo)
        if opcode == 10:
            if ours and payload == ours:
                return None
        elif opcode != 9:
            check_message(example.dialect, opcode, payload)


def call(world: World, example: Call) -> None:
    """The server answers, whole, and not with a failure."""
    world.member()
    to_head = example.method == "HEAD"
    with Client(world.port) as client:
        client.send(world.fill(example.encode()))
        try:
            answer = client.answer(to_head=to_head)
        except Ended:
            raise Fault("no answer") from None
        check_answer(answer, example.target.partition("?")[0], to_head=to_head)
        client.rest()
    if answer.status < 300 and (example.method in _SPOILS or example.target.endswith("/join")):
        world.spoil()  # its witnesses may have been closed
    else:
        world.look()


def attempt(world: World, example: bytes) -> None:
    """Whatever these bytes are, each answer to them is one, and then the connection ends."""
    world.member()
    with Client(world.port) as client:
        client.send(world.fill(example))
        client.end()
        while b"HEAD" not in example:  # the answer to that has a length and no body
            try:
                answer = client.answer()
            except Ended:
                break
            if answer.status == 101:
                break
            check_answer(answer, "")
        client.rest()
    world.look()


Run = Callable[[World, Any], None]
KINDS: Final[Mapping[str, tuple[st.SearchStrategy[Any], Run]]] = {
    **{name: (conversations.conversations(name), converse) for name in conversations.MESSAGES},
    "rest": (calls.REST, call),
    "reports": (calls.REPORTS, call),
    "upgrades": (calls.UPGRADES, attempt),
    "requests": (calls.REQUESTS, attempt),
}
"""What is tried: a strategy, and what is done with each example of it."""


def attempt_and_check(world: World, health: Health, kind: str, example: Any) -> None:
    """One example of this kind.

    The server's own deadlines may pass on a machine that is too busy. So an example is no failure
    that ends with "not now" after longer than ``SLOW_S``.
    """
    began = time.monotonic()
    try:
        world.begin()
        KINDS[kind][1](world, example)
        health.check()
    except HypothesisException:
        raise
    except BaseException as error:
        # So that the next one, which may be a smaller form of this one, begins anew.
        world.spoil()
        health.forget()
        if not isinstance(error, Busy) or time.monotonic() - began < SLOW_S:
            raise


def fuzz(world: World, kind: str, examples: int, number: int) -> None:
    """Try so many examples of one kind. Raises what the smallest that fails raises, with a note
    that says which it is. ``number`` decides which they are.
    """
    health = Health(world)

    @seed(number)
    @settings(
        max_examples=examples, deadline=None, database=None, print_blob=False,
        phases=(Phase.generate, Phase.shrink), suppress_health_check=list(HealthCheck),
        report_multiple_bugs=False,
    )  # fmt: skip
    @given(KINDS[kind][0])
    def each(example: Any) -> None:
        attempt_and_check(world, health, kind, example)

    each()
