"""How often one address may create, join and read."""

import httpx
import pytest
import trio
import trio.testing

from locshare.api import ApiLimits, Rate
from tests.api.conftest import Api, FakeSessions, MakeApp, assert_problem, bearer, client_of


async def test_creating_too_often_is_a_429_with_the_time_to_wait(
    make_app: MakeApp, autojump_clock: trio.testing.MockClock
) -> None:
    app = make_app(limits=ApiLimits(create=Rate(per_second=0.1, burst=2)))
    async with client_of(app) as client, client_of(app, "203.0.113.8") as other:
        for _ in range(2):
            assert (await client.post("/api/sessions")).status_code == 201
        answer = await client.post("/api/sessions")
        assert_problem(answer, 429, "RATE_LIMITED")
        wait = int(answer.headers["retry-after"])
        assert 10 <= wait <= 11
        assert (await other.post("/api/sessions")).status_code == 201
        await trio.sleep(wait)
        assert (await client.post("/api/sessions")).status_code == 201


async def test_joining_too_often_is_a_429_and_takes_nothing_from_reading(
    make_app: MakeApp,
) -> None:
    app = make_app(limits=ApiLimits(join=Rate(per_second=0.1, burst=1)))
    async with client_of(app) as client:
        api = Api(client)
        session = (await api.create())["session_id"]
        await api.join(session)
        path = f"/api/sessions/{session}"
        answer = await client.post(f"{path}/join", json={"display_name": "Bo"})
        assert_problem(answer, 429, "RATE_LIMITED")
        for _ in range(20):
            assert (await client.get(path)).status_code == 200


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", ""), ("HEAD", ""), ("GET", "/participants"), ("DELETE", ""),
     ("DELETE", "/participants/x")],
)  # fmt: skip
async def test_every_other_call_too_often_is_a_429_with_the_time_to_wait(
    make_app: MakeApp, autojump_clock: trio.testing.MockClock, method: str, path: str
) -> None:
    app = make_app(limits=ApiLimits(read=Rate(per_second=0.1, burst=2)))
    async with client_of(app) as client, client_of(app, "203.0.113.8") as other:
        url = f"/api/sessions/{(await Api(client).create())['session_id']}{path}"
        usual = [(await client.request(method, url)).status_code for _ in range(2)]
        assert 429 not in usual
        answer = await client.request(method, url)
        assert answer.status_code == 429
        wait = int(answer.headers["retry-after"])
        assert 10 <= wait <= 11
        assert (await other.request(method, url)).status_code == usual[0]
        await trio.sleep(wait)
        assert (await client.request(method, url)).status_code == usual[0]


async def test_reads_of_no_session_and_of_no_id_count_too(make_app: MakeApp) -> None:
    app = make_app(limits=ApiLimits(read=Rate(per_second=0.1, burst=2)))
    async with client_of(app) as client:
        statuses = [
            (await client.get(f"/api/sessions/{each}")).status_code
            for each in ("6f1c9d0e-8f0e-4a5b-9f57-0d7a4f0b3c11", "nonsense", "nonsense")
        ]
    assert statuses == [404, 400, 429]


async def test_a_join_with_a_wrong_token_counts_as_a_join(make_app: MakeApp) -> None:
    app = make_app(limits=ApiLimits(join=Rate(per_second=0.1, burst=1)))
    async with client_of(app) as client:
        path = f"/api/sessions/{(await Api(client).create())['session_id']}/join"
        statuses = [
            (await client.post(path, json={"display_name": "A"}, headers=bearer("x"))).status_code
            for _ in range(2)
        ]
    assert statuses == [401, 429]


@pytest.mark.parametrize("body", [b"", b"a=%41&" * 65], ids=["query", "form"])
async def test_a_query_or_a_form_of_thousands_of_parameters_is_not_read(
    client: httpx.AsyncClient, api: Api, body: bytes
) -> None:
    """It would cost the server ten times what anything else does that a stranger can ask."""
    query = "" if body else "a=%41&" * 65
    refused = await client.post(f"/api/osmand?{query}", content=body)
    assert_problem(refused, 400, "BAD_REQUEST")
    session_id = (await api.create())["session_id"]
    described = await client.get(f"/api/sessions/{session_id}?{query}")
    assert described.status_code == (200 if body else 400)


async def test_a_content_type_of_kilobytes_is_not_read(client: httpx.AsyncClient) -> None:
    for parameters, status in ((";charset=utf-8", 201), (";a=b" * 100, 415)):
        headers = {"Content-Type": f"application/json{parameters}"}
        answer = await client.post("/api/sessions", content=b"{}", headers=headers)
        assert answer.status_code == status


async def test_bad_joins_count_as_joins(make_app: MakeApp) -> None:
    app = make_app(limits=ApiLimits(join=Rate(per_second=0.1, burst=3)))
    async with client_of(app) as client:
        session = (await Api(client).create())["session_id"]
        statuses = [
            (await client.post(f"/api/sessions/{session}/join", content=b"{")).status_code
            for _ in range(4)
        ]
    assert statuses == [415, 415, 415, 429]


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("X-Forwarded-For", "{}"),
        ("X-Forwarded-For", "192.0.2.9, {}:4711"),
        ("X-Forwarded-For", '"{}"'),
        ("Forwarded", 'for=192.0.2.9, For="{}:4711";proto=https'),
    ],
)
async def test_clients_behind_a_trusted_proxy_are_distinguished(
    make_app: MakeApp, name: str, written: str
) -> None:
    app = make_app(limits=ApiLimits(create=Rate(per_second=0.1, burst=1)))
    async with client_of(app, "127.0.0.1") as client:
        for address, status in (
            ("198.51.100.1", 201),
            ("198.51.100.2", 201),
            ("198.51.100.1", 429),
        ):
            answer = await client.post("/api/sessions", headers={name: written.format(address)})
            assert answer.status_code == status


async def test_joins_at_once_fill_a_session_to_exactly_its_limit(
    api: Api, client: httpx.AsyncClient, manager: FakeSessions
) -> None:
    created = await api.create()
    path = f"/api/sessions/{created['session_id']}"
    statuses: list[int] = []

    async def join(number: int) -> None:
        headers = bearer(created["host_token"]) if number == 0 else {}
        answer = await client.post(
            f"{path}/join", json={"display_name": f"P{number}"}, headers=headers
        )
        statuses.append(answer.status_code)

    async with trio.open_nursery() as nursery:
        for number in range(manager.limit + 20):
            nursery.start_soon(join, number)
    assert statuses.count(201) == manager.limit
    assert statuses.count(409) == 20
    assert (await client.get(path)).json()["participant_count"] == manager.limit
