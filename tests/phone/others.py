"""Three people who walk, for tests and pictures of the app."""

import threading
from datetime import UTC, datetime
from typing import Self

import trio

from locshare.client import Client, JoinLink, Live, Position, parse_join_link
from tests.running import LAST_RESORT_S

NAMES = ("Grace", "Alan", "Edsger")


class Others:
    """Three people who walk, in a thread with a Trio of its own."""

    def __init__(self, link: str) -> None:
        self._link = parse_join_link(link)
        self._ready = threading.Event()
        self._news = threading.Condition()
        self._scope = trio.CancelScope()
        self._token: trio.lowlevel.TrioToken | None = None
        self._thread = threading.Thread(target=trio.run, args=(self._main,), daemon=True)
        self.ids: dict[str, str] = {}
        self.heard: set[str] = set()
        """Whose positions they have received, by name."""

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._ready.wait(LAST_RESORT_S)
        return self

    def __exit__(self, *_: object) -> None:
        if self._token is not None:
            self._token.run_sync_soon(self._scope.cancel)
        self._thread.join(LAST_RESORT_S)

    def hear(self, name: str) -> None:
        """Return when one of them has received that person's position."""
        with self._news:
            assert self._news.wait_for(lambda: name in self.heard, LAST_RESORT_S), (
                f"{name} was not heard"
            )

    async def _main(self) -> None:
        self._token = trio.lowlevel.current_trio_token()
        with self._scope:
            async with Client(self._link.url) as client, trio.open_nursery() as nursery:
                for number, name in enumerate(NAMES):
                    await nursery.start(self._walk, client, self._link, number, name)
                self._ready.set()

    async def _walk(
        self, client: Client, link: JoinLink, number: int, name: str, *,
        task_status: trio.TaskStatus[None],
    ) -> None:  # fmt: skip
        color = ("#C62828", "#1D4ED8", "#7C3AED")[number]
        me = await client.join(link.session_id, name, avatar_color=color)
        self.ids[name] = me.user_id
        live = Live(me.websocket_url, me.websocket_token)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(live.run)
            await live.has_connected.wait()
            task_status.started()
            for step in range(10_000):
                turn = step * 0.0002 * (1 if number % 2 else -1)
                place = (52.5163 + 0.004 * (number - 1), 13.3777 + 0.003 * number + turn)
                await live.send_position(Position(*place, 15.0, datetime.now(UTC)))
                assert live.replica is not None
                people = live.replica.participants
                with self._news:
                    self.heard |= {people[each].display_name for each in live.replica.positions}
                    self._news.notify_all()
                await trio.sleep(0.5)
