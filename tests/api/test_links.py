"""The join link: replacing it, and what the one of before still tells."""

from typing import Any

import httpx
import pytest

from locshare.api import ApiLimits
from locshare.model.rate import Rate
from tests.api.conftest import URLS, Api, MakeApp, assert_problem, bearer, client_of


async def replaced(client: httpx.AsyncClient, created: dict[str, Any]) -> dict[str, str]:
    answer = await client.post(
        f"/api/sessions/{created['session_id']}/link", headers=bearer(created["host_token"])
    )
    assert answer.status_code == 200, answer.text
    found: dict[str, str] = answer.json()
    return found


async def test_a_host_replaces_the_link_and_who_joins_needs_the_new_one(
    api: Api, client: httpx.AsyncClient
) -> None:
    created = await api.create()
    session = created["session_id"]
    new = await replaced(client, created)
    assert new["join_link"] == f"{URLS.http}/join/{session}-{new['link_key']}"
    path = f"/api/sessions/{session}/join"
    for body in ({}, {"link_key": None}, {"link_key": "a" * 24}):
        answer = await client.post(path, json={"display_name": "Bo", **body})
        assert_problem(answer, 403, "LINK_REPLACED")
    joined = await client.post(path, json={"display_name": "Bo", "link_key": new["link_key"]})
    assert joined.status_code == 201
    host = await client.post(
        path, json={"display_name": "Ada"}, headers=bearer(created["host_token"])
    )
    assert host.status_code == 201, "a host needs no link"
    answer = await client.post(path, json={"display_name": "Bo", "link_key": "a" * 101})
    assert_problem(answer, 400, "VALIDATION_FAILED")


@pytest.mark.parametrize("what", ["", "/participants", "/link.svg"])
async def test_the_link_of_before_tells_nothing_but_that_it_was_replaced(
    api: Api, client: httpx.AsyncClient, what: str
) -> None:
    created = await api.create(name="Secret meeting")
    path = f"/api/sessions/{created['session_id']}{what}"
    bo = await api.join(created["session_id"], "Bo")
    assert (await client.get(path)).status_code == 200
    assert (await client.get(path, headers=bearer("nonsense"))).status_code == 200
    key = (await replaced(client, created))["link_key"]
    for query in ("", "?link_key=", f"?link_key={'a' * 24}", "?link_key=%FF"):
        answer = await client.get(path + query)
        problem = assert_problem(answer, 403, "LINK_REPLACED")
        assert "Secret" not in str(problem)
        assert key not in answer.text
    assert (await client.get(f"{path}?link_key={key}")).status_code == 200
    for token in (created["host_token"], bo["websocket_token"]):
        assert (await client.get(path, headers=bearer(token))).status_code == 200
    assert_problem(await client.get(path, headers=bearer("nonsense")), 401, "TOKEN_INVALID")
    other = (await api.create())["host_token"]
    assert_problem(await client.get(path, headers=bearer(other)), 403, "FORBIDDEN")
    await client.delete(
        f"/api/sessions/{created['session_id']}", headers=bearer(created["host_token"])
    )
    assert_problem(await client.get(path), 410, "SESSION_ENDED")


async def test_members_are_told_the_key_and_nobody_is_while_there_is_none(
    api: Api, client: httpx.AsyncClient
) -> None:
    created = await api.create()
    path = f"/api/sessions/{created['session_id']}"
    assert "link_key" not in (await client.get(path)).json()
    key = (await replaced(client, created))["link_key"]
    described = await client.get(path, headers=bearer(created["host_token"]))
    assert described.json()["link_key"] == key


async def test_only_a_host_replaces_the_link(api: Api, client: httpx.AsyncClient) -> None:
    created = await api.create()
    path = f"/api/sessions/{created['session_id']}/link"
    bo = await api.join(created["session_id"])
    assert_problem(await client.post(path), 401, "TOKEN_MISSING")
    answer = await client.post(path, headers=bearer(bo["websocket_token"]))
    assert_problem(answer, 403, "FORBIDDEN")
    other = (await api.create())["host_token"]
    assert_problem(await client.post(path, headers=bearer(other)), 403, "FORBIDDEN")
    unknown = path.replace(created["session_id"], "0" * 8 + created["session_id"][8:])
    answer = await client.post(unknown, headers=bearer(other))
    assert_problem(answer, 403, "FORBIDDEN")


async def test_new_links_of_one_session_are_limited(make_app: MakeApp) -> None:
    limits = ApiLimits(new_links=Rate(per_second=0.1, burst=2.0))
    async with client_of(make_app(limits=limits)) as client:
        one, other = await Api(client).create(), await Api(client).create()
        for _ in range(2):
            await replaced(client, one)
        answer = await client.post(
            f"/api/sessions/{one['session_id']}/link", headers=bearer(one["host_token"])
        )
        problem = assert_problem(answer, 429, "RATE_LIMITED")
        assert "new links" in problem["detail"]
        assert 0 < int(answer.headers["retry-after"]) <= 10
        await replaced(client, other)
