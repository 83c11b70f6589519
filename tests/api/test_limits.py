"""How often one address may create and join, and whose address it is."""

import httpx
import pytest
import trio
import trio.testing
from hypothesis import given
from hypothesis import strategies as st

from locshare.api import ApiLimits, Rate
from locshare.api.limits import ClientAddress, RateLimiter
from tests.api.conftest import Api, MakeApp, StandIn, assert_problem, bearer, client_of

LOOPBACK = ("127.0.0.0/8", "::1/128")


def test_a_burst_is_allowed_and_then_a_rate() -> None:
    limiter = RateLimiter(Rate(per_second=2, burst=3), 10)
    assert [limiter.take("a", 0) for _ in range(5)] == [0, 0, 0, 0.5, 0.5]
    assert limiter.take("a", 0.25) == 0.25
    assert limiter.take("a", 0.5) == 0
    assert limiter.take("a", 0.5) > 0


def test_a_bucket_never_holds_more_than_the_burst() -> None:
    limiter = RateLimiter(Rate(per_second=2, burst=3), 10)
    limiter.take("a", 0)
    assert [limiter.take("a", 1000) > 0 for _ in range(4)] == [False, False, False, True]


def test_each_address_has_a_bucket_of_its_own() -> None:
    limiter = RateLimiter(Rate(per_second=1, burst=1), 10)
    assert limiter.take("a", 0) == 0
    assert limiter.take("a", 0) > 0
    assert limiter.take("b", 0) == 0


def test_the_address_not_seen_for_longest_is_forgotten_first() -> None:
    limiter = RateLimiter(Rate(per_second=0.001, burst=1), 2)
    limiter.take("a", 0)
    limiter.take("b", 0)
    assert limiter.take("a", 0) > 0
    limiter.take("c", 0)
    assert len(limiter) == 2
    assert limiter.take("a", 0) > 0
    assert limiter.take("b", 0) == 0


def test_a_rate_of_zero_is_no_limit() -> None:
    limiter = RateLimiter(Rate(per_second=0, burst=0), 10)
    assert [limiter.take("a", 0) for _ in range(1000)] == [0] * 1000
    assert len(limiter) == 0


@given(
    times=st.lists(st.floats(min_value=0, max_value=100), max_size=60).map(sorted),
    burst=st.integers(min_value=1, max_value=5),
    rate=st.floats(min_value=0.1, max_value=10),
)
def test_no_more_is_allowed_than_the_burst_and_the_rate(
    times: list[float], burst: int, rate: float
) -> None:
    limiter = RateLimiter(Rate(rate, burst), 1)
    allowed = sum(limiter.take("a", now) == 0 for now in times)
    assert allowed <= burst + (times[-1] - times[0] if times else 0) * rate + 1e-6


@pytest.mark.parametrize(
    ("peer", "forwarded", "key"),
    [
        ("203.0.113.7", None, "203.0.113.7"),
        ("203.0.113.7", "198.51.100.1", "203.0.113.7"),  # nobody's proxy
        ("127.0.0.1", None, "127.0.0.1"),
        ("127.0.0.1", "198.51.100.1", "198.51.100.1"),
        ("127.0.0.1", "1.2.3.4, 198.51.100.1", "198.51.100.1"),  # 1.2.3.4 is what the client said
        ("127.0.0.1", "198.51.100.1, 127.0.0.1", "198.51.100.1"),
        ("127.0.0.1", "1.2.3.4, nonsense", "127.0.0.1"),
        ("127.0.0.1", "", "127.0.0.1"),
        ("::1", "198.51.100.1", "198.51.100.1"),
        ("::ffff:127.0.0.1", "198.51.100.1", "198.51.100.1"),
        ("::ffff:203.0.113.7", None, "203.0.113.7"),
        ("2001:db8:1:2:3:4:5:6", None, "2001:db8:1:2::/64"),
        ("2001:db8:1:2::9", None, "2001:db8:1:2::/64"),
        ("fe80::1%eth0", None, "fe80::/64"),
        (None, "198.51.100.1", "local"),
        ("/run/socket", None, "/run/socket"),
    ],
)
def test_a_client_counts_by_the_address_that_trusted_proxies_saw(
    peer: str | None, forwarded: str | None, key: str
) -> None:
    assert ClientAddress(LOOPBACK).key(peer, forwarded) == key


def test_without_trusted_proxies_nobody_is_believed() -> None:
    assert ClientAddress(()).key("127.0.0.1", "198.51.100.1") == "127.0.0.1"


def test_a_trusted_proxy_is_a_network() -> None:
    with pytest.raises(ValueError, match="does not appear to be"):
        ClientAddress(["my-proxy"])


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


async def test_joining_too_often_is_a_429_and_reading_is_not_limited(
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


async def test_bad_joins_count_as_joins(make_app: MakeApp) -> None:
    app = make_app(limits=ApiLimits(join=Rate(per_second=0.1, burst=3)))
    async with client_of(app) as client:
        session = (await Api(client).create())["session_id"]
        statuses = [
            (await client.post(f"/api/sessions/{session}/join", content=b"{")).status_code
            for _ in range(4)
        ]
    assert statuses == [415, 415, 415, 429]


async def test_clients_behind_a_trusted_proxy_are_told_apart(make_app: MakeApp) -> None:
    app = make_app(limits=ApiLimits(create=Rate(per_second=0.1, burst=1)))
    async with client_of(app, "127.0.0.1") as client:
        for address, status in (
            ("198.51.100.1", 201),
            ("198.51.100.2", 201),
            ("198.51.100.1", 429),
        ):
            answer = await client.post("/api/sessions", headers={"X-Forwarded-For": address})
            assert answer.status_code == status


async def test_joins_at_once_fill_a_session_to_exactly_its_limit(
    api: Api, client: httpx.AsyncClient, manager: StandIn
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
