"""Report codes and the set-up of other apps: what a code can do, how long, how it is guessed."""

import json
from base64 import b64decode
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import UUID, uuid4

import httpx
import pytest
import trio

from locshare.api import ApiLimits
from locshare.api.report_codes import ReportCredentials
from locshare.auth.report_codes import is_code_of, parse, report_code
from locshare.auth.signing_keys import SigningKeys
from locshare.auth.tokens import TokenInvalid, TokenKeys
from locshare.model.rate import Rate
from locshare.store.port import FoundParticipant, StoreUnavailable
from tests.api.conftest import Api, FakeSessions, MakeApp, assert_problem, bearer, client_of

PLACE = {"lat": 47.5, "lng": 8.5}
KEYS = SigningKeys(b"one secret of more than 32 bytes, for tests")


@pytest.fixture
async def session(api: Api) -> str:
    return str((await api.create())["session_id"])


@pytest.fixture
async def joined(api: Api, session: str) -> dict[str, Any]:
    return await api.join(session)


@pytest.fixture
def code(joined: dict[str, Any]) -> str:
    return str(joined["setup"]["code"])


async def osmand(client: httpx.AsyncClient, code: str) -> httpx.Response:
    return await client.get("/api/osmand", params={"id": code, "lat": 1, "lon": 2})


async def code_from(client: httpx.AsyncClient) -> str:
    api = Api(client)
    joined = await api.join(str((await api.create())["session_id"]))
    return str(joined["setup"]["code"])


# --- the code itself --------------------------------------------------------------------------


def test_a_code_is_that_of_one_participant() -> None:
    mine, other = uuid4(), uuid4()
    code = parse(report_code(KEYS, mine))
    assert code is not None
    assert code.first <= mine <= code.last
    assert is_code_of(KEYS, code, mine)
    assert not is_code_of(KEYS, code, other)
    assert not is_code_of(KEYS, code, UUID(int=mine.int ^ 1))  # in the same range


def test_a_code_is_read_however_it_is_typed() -> None:
    participant = UUID(int=1 << 100)
    text = report_code(KEYS, participant)
    assert len(text) == 14
    typed = text.lower().replace("-", " ").replace("0", "o").replace("1", "l")
    assert parse(typed) == parse(text) == parse(text.replace("-", ""))


@pytest.mark.parametrize("text", ["", "AAAA-BBBB-CCC", "AAAA-BBBB-CCCU", "ey.J.x", "A" * 5000])
def test_what_is_no_code_is_taken_for_a_token(text: str) -> None:
    assert parse(text) is None


def test_a_code_outlives_a_change_of_the_secret_as_tokens_do() -> None:
    participant = uuid4()
    code = parse(report_code(KEYS, participant))
    assert code is not None
    changed = SigningKeys(b"another secret of more than 32 bytes", previous=KEYS.current)
    assert is_code_of(changed, code, participant)
    assert not is_code_of(SigningKeys(changed.current), code, participant)


# --- what it can do ---------------------------------------------------------------------------


async def test_a_code_reports_in_every_protocol(
    client: httpx.AsyncClient,
    session: str,
    joined: dict[str, Any],
    code: str,
    manager: FakeSessions,
) -> None:
    message = {"_type": "location", "lat": 1, "lon": 2}
    answers = [
        await osmand(client, code.lower()),
        await client.post("/api/osmand", json={"device_id": code, "location": {}}),
        await client.post("/api/owntracks", json=message, auth=("locshare", code)),
        await client.post(f"/api/sessions/{session}/positions", json=PLACE, headers=bearer(code)),
    ]
    assert [each.status_code for each in answers] == [200] * 4
    assert [user for user, _ in manager.reports] == [joined["user_id"]] * 3
    assert manager.look_ups == 1  # remembered


async def test_a_code_can_do_nothing_but_report(
    client: httpx.AsyncClient, session: str, joined: dict[str, Any], code: str
) -> None:
    path = f"/api/sessions/{session}"
    gone = await client.delete(f"{path}/participants/{joined['user_id']}", headers=bearer(code))
    assert_problem(gone, 401, "TOKEN_INVALID")
    assert_problem(await client.get(f"{path}/setup", headers=bearer(code)), 401, "TOKEN_INVALID")


async def test_a_code_ends_with_its_participant(
    client: httpx.AsyncClient, session: str, joined: dict[str, Any], code: str
) -> None:
    await client.delete(
        f"/api/sessions/{session}/participants/{joined['user_id']}",
        headers=bearer(joined["websocket_token"]),
    )
    assert_problem(await osmand(client, code), 401, "TOKEN_INVALID")


async def test_a_known_code_of_a_participant_who_left_is_refused(
    client: httpx.AsyncClient, session: str, joined: dict[str, Any], code: str
) -> None:
    await osmand(client, code)
    await client.delete(
        f"/api/sessions/{session}/participants/{joined['user_id']}",
        headers=bearer(joined["websocket_token"]),
    )
    assert_problem(await osmand(client, code), 403, "FORBIDDEN")


async def test_a_known_code_needs_no_database(
    client: httpx.AsyncClient, code: str, manager: FakeSessions, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(first: UUID, last: UUID) -> Any:
        raise StoreUnavailable

    await osmand(client, code)
    monkeypatch.setattr(manager, "find_participants", away)
    assert (await osmand(client, code)).status_code == 200
    assert_problem(await osmand(client, "AAAA-BBBB-CCCC"), 503, "UNAVAILABLE")


async def test_a_known_code_of_a_secret_that_counts_no_more_is_refused() -> None:
    participant, secret = uuid4(), b"an old secret of more than 32 bytes, for tests"
    until = datetime(2026, 3, 1, tzinfo=UTC)
    now = until - timedelta(hours=1)

    class Rows:
        async def find_participants(self, _first: UUID, _last: UUID) -> tuple[FoundParticipant]:
            return (FoundParticipant(participant, uuid4(), "ada", "participant", until),)

    keys = TokenKeys(KEYS.current, previous=secret, previous_until=until, now=lambda: now)
    credentials = ReportCredentials(Rows(), keys, ApiLimits())
    code = TokenKeys(secret).report_code(participant)
    assert (await credentials.claims(code, "203.0.113.7")).user_id == "ada"
    now = until
    with pytest.raises(TokenInvalid):
        await credentials.claims(code, "203.0.113.7")


# --- guessing ---------------------------------------------------------------------------------


async def test_guesses_of_one_address_are_limited_and_hold_up_nobody_else(
    make_app: MakeApp,
) -> None:
    few = Rate(per_second=0.001, burst=2)
    app = make_app(limits=ApiLimits(code_per_address=few))
    guesser, phone = client_of(app, "203.0.113.66"), client_of(app, "203.0.113.7")
    async with guesser, phone:
        code = await code_from(phone)
        for _ in range(2):
            assert_problem(await osmand(guesser, "AAAA-BBBB-CCCC"), 401, "TOKEN_INVALID")
        refused = await osmand(guesser, "AAAA-BBBB-CCCD")
        assert_problem(refused, 429, "RATE_LIMITED")
        assert int(refused.headers["retry-after"]) > 1
        assert (await osmand(phone, code)).status_code == 200


async def test_guesses_of_all_addresses_are_limited_and_known_codes_go_on(
    make_app: MakeApp,
) -> None:
    app = make_app(limits=ApiLimits(code=Rate(per_second=0.001, burst=3)))
    phone = client_of(app)
    async with phone:
        code = await code_from(phone)
        assert (await osmand(phone, code)).status_code == 200
        for n in range(2):
            async with client_of(app, f"203.0.113.{n + 50}") as guesser:
                assert_problem(await osmand(guesser, "AAAA-BBBB-CCCC"), 401, "TOKEN_INVALID")
        async with client_of(app, "203.0.113.99") as guesser:
            assert_problem(await osmand(guesser, "AAAA-BBBB-CCCC"), 429, "RATE_LIMITED")
        assert (await osmand(phone, code)).status_code == 200


# --- the set-up -------------------------------------------------------------------------------


async def test_the_set_up_can_be_had_again_with_the_token(
    client: httpx.AsyncClient, session: str, joined: dict[str, Any]
) -> None:
    answer = await client.get(
        f"/api/sessions/{session}/setup", headers=bearer(joined["websocket_token"])
    )
    assert (answer.status_code, answer.json()) == (200, joined["setup"])
    assert answer.headers["cache-control"] == "no-store"


async def test_a_host_who_has_not_joined_has_no_set_up(client: httpx.AsyncClient, api: Api) -> None:
    created = await api.create()
    answer = await client.get(
        f"/api/sessions/{created['session_id']}/setup", headers=bearer(created["host_token"])
    )
    assert_problem(answer, 403, "FORBIDDEN")


async def test_owntracks_is_set_up_by_its_link(joined: dict[str, Any], code: str) -> None:
    link = urlsplit(joined["setup"]["owntracks"]["link"])
    assert (link.scheme, link.netloc, link.path) == ("owntracks", "", "/config")
    settings = json.loads(b64decode(parse_qs(link.query, strict_parsing=True)["inline"][0]))
    assert settings["_type"] == "configuration"
    assert (settings["mode"], settings["auth"], settings["password"]) == (3, True, code)
    assert settings["url"] == "https://where.example/api/owntracks"
    assert (settings["monitoring"], settings["moveModeLocatorInterval"]) == (2, 15)
    assert len(settings["tid"]) == 2


async def test_traccars_link_is_the_address_it_reports_to(
    client: httpx.AsyncClient, joined: dict[str, Any], code: str
) -> None:
    setup = joined["setup"]["traccar"]
    link = urlsplit(setup["link"])
    assert f"{link.scheme}://{link.netloc}{link.path}" == setup["url"]
    assert parse_qs(link.query)["id"] == [code]
    assert parse_qs(link.query)["interval"] == ["15"]
    opened = await client.get(setup["link"].removeprefix("https://where.example"))
    assert opened.status_code == 200  # by a browser, when the app is not there


async def test_gpsloggers_profile_is_behind_its_link(
    client: httpx.AsyncClient, joined: dict[str, Any], manager: FakeSessions
) -> None:
    setup = joined["setup"]["gpslogger"]
    path = setup["link"].removeprefix("gpslogger://properties/https://where.example")
    profile = await client.get(path)
    lines = dict(line.split("=", 1) for line in profile.text.splitlines())
    assert lines["log_customurl_url"] == setup["url"]
    assert lines["time_before_logging"] == "15"
    filled = setup["url"].removeprefix("https://where.example")
    for name, value in {"LAT": "1", "LON": "2", "TIMESTAMP": "1772366400", "ALT": "3", "ACC": "4",
                        "SPD": "5", "DIR": "6", "BATT": "70"}.items():  # fmt: skip
        filled = filled.replace(f"%{name}", value)
    assert (await client.get(filled)).status_code == 200
    ((_, position),) = manager.reports
    assert (position.speed, position.battery) == (5, 70)


async def test_a_profile_of_an_unknown_code_is_refused(client: httpx.AsyncClient) -> None:
    answer = await client.get("/api/gpslogger/AAAA-BBBB-CCCC/locshare.properties")
    assert_problem(answer, 401, "TOKEN_INVALID")


@pytest.mark.parametrize("app", ["owntracks", "traccar", "gpslogger"])
async def test_each_link_is_drawn_as_a_qr_code(
    client: httpx.AsyncClient, session: str, joined: dict[str, Any], app: str
) -> None:
    answer = await client.get(
        f"/api/sessions/{session}/setup/{app}.svg", headers=bearer(joined["websocket_token"])
    )
    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/svg+xml")
    assert answer.content.startswith(b"<svg ")


async def test_a_join_link_is_drawn_for_whoever_has_it(
    client: httpx.AsyncClient, session: str
) -> None:
    assert (await client.get(f"/api/sessions/{session}/link.svg")).content.startswith(b"<svg ")
    unknown = await client.get(f"/api/sessions/{uuid4()}/link.svg")
    assert_problem(unknown, 404, "SESSION_NOT_FOUND")


async def test_one_address_has_few_qr_codes_drawn_and_sees_those_again(make_app: MakeApp) -> None:
    app = make_app(limits=ApiLimits(draw_per_address=Rate(per_second=0.001, burst=1)))
    async with client_of(app, "203.0.113.66") as greedy, client_of(app) as other:
        one, two = [(await Api(greedy).create())["session_id"] for _ in range(2)]
        assert (await greedy.get(f"/api/sessions/{one}/link.svg")).status_code == 200
        refused = await greedy.get(f"/api/sessions/{two}/link.svg")
        assert_problem(refused, 429, "RATE_LIMITED")
        assert (await greedy.get(f"/api/sessions/{one}/link.svg")).status_code == 200
        assert (await other.get(f"/api/sessions/{two}/link.svg")).status_code == 200


async def test_a_group_that_looks_at_once_has_one_qr_code_drawn(make_app: MakeApp) -> None:
    app = make_app(limits=ApiLimits(draw=Rate(per_second=0.001, burst=2)))
    async with client_of(app) as client, trio.open_nursery() as nursery:
        session_id = (await Api(client).create())["session_id"]

        async def look() -> None:
            assert (await client.get(f"/api/sessions/{session_id}/link.svg")).status_code == 200

        for _ in range(20):
            nursery.start_soon(look)


async def test_an_app_without_a_link_has_no_qr_code(
    client: httpx.AsyncClient, session: str, joined: dict[str, Any]
) -> None:
    answer = await client.get(
        f"/api/sessions/{session}/setup/osmand.svg", headers=bearer(joined["websocket_token"])
    )
    assert_problem(answer, 404, "NOT_FOUND")
