"""Our Python client and the real program: what a crash of the whole server is for it."""

from datetime import UTC, datetime

import pytest
import trio

from locshare.client import (
    COMPACT_DIALECT,
    Backoff,
    Client,
    Live,
    ParticipantPosition,
    Position,
    ServerMessage,
    Snapshot,
    Watcher,
)
from tests.program import data_directory, running_program
from tests.running import LAST_RESORT_S
from tests.simulate.kit import until

pytestmark = pytest.mark.e2e

QUICK = Backoff(initial_s=0.1, max_s=0.3)


class Seen(Watcher):
    def __init__(self) -> None:
        self.snapshots: list[Snapshot] = []
        self.positions: list[ParticipantPosition] = []

    def connected(self, snapshot: Snapshot) -> None:
        self.snapshots.append(snapshot)
        self.positions += [each for each in snapshot.positions if each.lat == 47.5]

    def received(self, message: ServerMessage) -> None:
        if isinstance(message, ParticipantPosition):
            self.positions.append(message)


async def test_after_a_kill_all_come_back_and_see_where_the_others_are() -> None:
    seen = Seen()
    with data_directory() as folder, running_program({"LOCSHARE_DATA_DIR": str(folder)}) as program:
        async with Client(program.http_url) as rest:
            session = await rest.create_session("Alps")
            ada, bo = [await rest.join(session.session_id, name) for name in ("Ada", "Bo")]
        walking = Live(ada.websocket_url, ada.websocket_token, backoff=QUICK)
        watching = Live(bo.websocket_url, bo.websocket_token, watcher=seen, backoff=QUICK)
        with trio.fail_after(3 * LAST_RESORT_S):
            async with trio.open_nursery() as nursery:
                await nursery.start(watching.run)
                await nursery.start(walking.run)
                assert walking.dialect == watching.dialect == COMPACT_DIALECT
                fix = Position(47.5, 10.25, 8.0, datetime.now(UTC), age_ms=1500.0)
                assert await walking.send_position(fix)
                await until(lambda: len(seen.positions) == 1)

                await trio.to_thread.run_sync(program.kill)
                await until(lambda: not walking.connected and not watching.connected)
                await trio.to_thread.run_sync(program.start)
                await until(lambda: len(seen.positions) > 1)
                nursery.cancel_scope.cancel()
    assert [each.resumed for each in seen.snapshots] == [None, False]
    again = seen.positions[1]
    assert (again.user_id, again.lat, again.lng) == (ada.user_id, 47.5, 10.25), "nobody moved"
    assert again.age_ms is not None
    assert again.age_ms > 1500, "the fix got older meanwhile"
