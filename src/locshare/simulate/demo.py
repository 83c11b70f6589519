"""A demo session: participants walk and drive through one city for as long as the server runs.

They are ordinary clients: they join over REST, connect over WebSocket, and reconnect when they lose
their connection. One of them goes offline now and then, as phones do. When the session ends, for
whatever reason, a new one replaces it and its link is announced.

Nothing here is shared with the server but the process.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from random import Random
from typing import Final, final

import structlog
import trio

from locshare.client import (
    Client,
    ClientError,
    Live,
    SessionCreated,
    SessionJoined,
    retry,
)
from locshare.net.addresses import Addresses
from locshare.simulate.cities import CITIES, DEFAULT_CITY
from locshare.simulate.movement import Phone, journey, kind_of
from locshare.simulate.people import person

log = structlog.get_logger()

INTERVAL_S: Final = 2.0
"""Between two updates of one participant."""
LIFETIME_MIN: Final = 1440
"""The longest lifetime allowed, so that the link stays valid."""
CONNECT_DEADLINE_S: Final = 5.0
"""The link is announced then, even if participants are missing."""
PAUSE_S: Final = 1.0
"""Before a new session replaces one that has ended."""
ONLINE_S: Final = (40.0, 90.0)
OFFLINE_S: Final = (20.0, 28.0)
"""Longer than the others go on seeing them online, shorter than the retention of positions."""
SEED: Final = 20
"""Of the routes: always the same, since these look good."""
SESSION_NAME: Final = "A walk through the city"


_FLAKY_INDEX: Final = 2
"""The participant that loses the network now and then: one that walks."""


async def run_demo(
    addresses: Addresses,
    *,
    people: int = 8,
    announce: Callable[[str], None] | None = None,
    task_status: trio.TaskStatus[str] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Keep a session with ``people`` in it. Started, with the join link, when all are connected;
    ``announce`` gets the link of each session that takes the place of one that has ended.

    Runs until it is cancelled; then the connections are closed and the session stays, to end by
    itself. Raises ClientError when the first session cannot be made.
    """
    tell: Callable[[str], None] = task_status.started
    running = False
    async with Client(addresses.http_url) as client:
        while True:
            try:
                session = await DemoSession.prepare(client, addresses, people)
                running = True
                await session.run(tell)
            except ClientError as error:
                if not running:
                    raise
                # The text of a ClientError holds no token and no position.
                log.warning("demo_not_possible_now", error=str(error))
            tell = announce or _ignore
            await trio.sleep(PAUSE_S)


def _ignore(_link: str) -> None:
    pass


@final
class DemoSession:
    """One session of the demo, its participants and their connections."""

    def __init__(self, created: SessionCreated, tickets: list[SessionJoined], ws_url: str) -> None:
        self._link = created.join_link
        self._session = created.session_id
        self._over = trio.Event()
        self._began = trio.current_time()
        # The public URL in a ticket may not be reachable from here.
        self._lives = [Live(ws_url, each.websocket_token) for each in tickets]

    @classmethod
    async def prepare(cls, client: Client, addresses: Addresses, people: int) -> "DemoSession":
        """Make the session, and let ``people`` participants join in turn."""
        created = await retry(
            partial(client.create_session, SESSION_NAME, expires_in_minutes=LIFETIME_MIN)
        )
        tickets = []
        for number in range(people):
            name, color = person(number)
            join = partial(client.join, created.session_id, name, avatar_color=color)
            tickets.append(await retry(join))
        return cls(created, tickets, f"{addresses.ws_url}/ws")

    async def run(self, announce: Callable[[str], None]) -> None:
        """Move until the session has ended. ``announce`` gets the link when all are connected."""
        async with trio.open_nursery() as nursery:
            for number, live in enumerate(self._lives):
                nursery.start_soon(self._stay, live)
                nursery.start_soon(self._move, number, live)
            if len(self._lives) > _FLAKY_INDEX:
                nursery.start_soon(_go_offline_sometimes, self._lives[_FLAKY_INDEX])
            with trio.move_on_after(CONNECT_DEADLINE_S):
                for live in self._lives:
                    await live.has_connected.wait()
            # As in all logs, eight characters of the id: the whole id is the link.
            log.info("demo_session", session=self._session[:8], people=len(self._lives))
            announce(self._link)
            await self._over.wait()
            log.info("demo_session_ended", session=self._session[:8])
            nursery.cancel_scope.cancel()

    async def _stay(self, live: Live) -> None:
        # A participant that cannot reconnect ends this session and starts the next: the session has
        # ended, or the server no longer accepts the token.
        await live.run()
        self._over.set()

    async def _move(self, number: int, live: Live) -> None:
        """Report once connected, then evenly spread, so that the map always moves."""
        seed = SEED + number
        phone = Phone(journey(kind_of("mixed", number), CITIES[DEFAULT_CITY], seed), seed)
        await live.has_connected.wait()
        due = trio.current_time() - INTERVAL_S + INTERVAL_S * number / len(self._lives)
        while True:
            now = trio.current_time()
            await live.send_position(phone.position(now - self._began, datetime.now(UTC)))
            while due <= now:
                due += INTERVAL_S
            await trio.sleep_until(due)


async def _go_offline_sometimes(live: Live) -> None:
    random = Random(SEED)  # noqa: S311 - a phone's luck, not a secret
    while True:
        await trio.sleep(random.uniform(*ONLINE_S))
        live.go_offline()
        await trio.sleep(random.uniform(*OFFLINE_S))
        live.go_online()
