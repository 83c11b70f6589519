"""The calls of a host: the key, the lock, removal and bans, passing the role on."""

import httpx

from tests.api.conftest import Api, assert_problem, bearer

# --- the host's means -----------------------------------------------------------------------------


async def test_the_host_key_gives_a_host_token(api: Api, client: httpx.AsyncClient) -> None:
    created = await api.create()
    session, other = created["session_id"], await api.create()
    path = f"/api/sessions/{session}/host"
    answer = await client.post(path, json={"host_key": created["host_key"]})
    assert answer.status_code == 200
    assert answer.json()["expires_at"] == created["expires_at"]
    host = bearer(answer.json()["host_token"])
    for wrong in (other["host_key"], "", "x" * 22, created["host_key"][:-1], "ключ"):
        assert_problem(await client.post(path, json={"host_key": wrong}), 403, "FORBIDDEN")
    assert_problem(await client.post(path, json={"host_key": 7}), 400, "VALIDATION_FAILED")
    assert_problem(await client.post(path, json={}), 400, "VALIDATION_FAILED")
    assert (await client.delete(f"/api/sessions/{session}", headers=host)).status_code == 200
    again = await client.post(path, json={"host_key": created["host_key"]})
    assert_problem(again, 410, "SESSION_ENDED")


async def test_only_the_host_joins_a_locked_session(api: Api, client: httpx.AsyncClient) -> None:
    created = await api.create()
    session, host = created["session_id"], bearer(created["host_token"])
    path = f"/api/sessions/{session}"
    ada = await api.join(session)
    for locked in (True, True, False):
        answer = await client.patch(path, json={"locked": locked}, headers=host)
        assert answer.status_code == 200
        assert answer.json()["locked"] is locked
        assert (await client.get(path)).json()["locked"] is locked
        refused = await client.post(f"{path}/join", json={"display_name": "Bo"})
        if locked:
            assert_problem(refused, 409, "SESSION_LOCKED")
        else:
            assert refused.status_code == 201
        await api.join(session, "Host", headers=host)
    assert_problem(await client.patch(path, json={"locked": True}), 401, "TOKEN_MISSING")
    own = bearer(ada["websocket_token"])
    assert_problem(await client.patch(path, json={"locked": True}, headers=own), 403, "FORBIDDEN")
    for body in ({}, {"locked": 1}, {"locked": None}, {"locked": "true"}):
        answer = await client.patch(path, json=body, headers=host)
        assert_problem(answer, 400, "VALIDATION_FAILED")


async def test_a_token_of_a_former_participant_is_refused(
    api: Api, client: httpx.AsyncClient
) -> None:
    created = await api.create()
    session, host = created["session_id"], bearer(created["host_token"])
    path = f"/api/sessions/{session}"
    second = await api.join(session, "Second host", headers=host)
    bo = await api.join(session, "Bo")
    gone = bearer(second["websocket_token"])
    answer = await client.delete(f"{path}/participants/{second['user_id']}", headers=host)
    assert answer.status_code == 200
    for answer in (
        await client.delete(path, headers=gone),
        await client.patch(path, json={"locked": True}, headers=gone),
        await client.delete(f"{path}/participants/{bo['user_id']}", headers=gone),
        await client.delete(f"{path}/participants/nobody", headers=gone),
        await client.post(f"{path}/join", json={"display_name": "Again"}, headers=gone),
    ):
        assert_problem(answer, 403, "FORBIDDEN")
    described = (await client.get(path)).json()
    assert (described["is_active"], described["participant_count"]) == (True, 1)


async def test_a_ban_is_the_host_s_and_refuses_the_same_device_or_address(
    api: Api, client: httpx.AsyncClient
) -> None:
    created = await api.create()
    session, host = created["session_id"], bearer(created["host_token"])
    path = f"/api/sessions/{session}"
    body = {"display_name": "Bo", "device_key": "k" * 16}
    bo = (await client.post(f"{path}/join", json=body)).json()
    own = f"{path}/participants/{bo['user_id']}"
    answer = await client.delete(f"{own}?ban=true", headers=bearer(bo["websocket_token"]))
    assert_problem(answer, 403, "FORBIDDEN")
    answer = await client.delete(f"{own}?ban=perhaps", headers=host)
    problem = assert_problem(answer, 400, "VALIDATION_FAILED")
    assert [each["field"] for each in problem["errors"]] == ["ban"]
    assert (await client.delete(f"{own}?ban=true", headers=host)).status_code == 200
    assert_problem(await client.post(f"{path}/join", json=body), 403, "BANNED")


# --- passing the host's role on -------------------------------------------------------------------


async def test_a_host_makes_another_a_host_who_then_may_what_a_host_may(
    api: Api, client: httpx.AsyncClient
) -> None:
    created = await api.create()
    path = f"/api/sessions/{created['session_id']}"
    bo = await api.join(created["session_id"])
    token = bearer(bo["websocket_token"])
    assert_problem(await client.patch(path, json={"locked": True}, headers=token), 403, "FORBIDDEN")
    passed = await client.patch(
        f"{path}/participants/{bo['user_id']}",
        json={"role": "host"},
        headers=bearer(created["host_token"]),
    )
    assert (passed.status_code, passed.json()) == (200, {"success": True})
    assert (await client.patch(path, json={"locked": True}, headers=token)).status_code == 200
    down = await client.patch(
        f"{path}/participants/{bo['user_id']}", json={"role": "participant"}, headers=token
    )
    assert down.status_code == 200
    assert_problem(await client.delete(path, headers=token), 403, "FORBIDDEN")


async def test_nobody_takes_the_role_from_another_host(api: Api, client: httpx.AsyncClient) -> None:
    created = await api.create()
    path = f"/api/sessions/{created['session_id']}/participants"
    people = [await api.join(created["session_id"]) for _ in range(2)]
    host = bearer(created["host_token"])
    for each in people:
        await client.patch(f"{path}/{each['user_id']}", json={"role": "host"}, headers=host)
    for token in (host, bearer(people[0]["websocket_token"])):
        refused = await client.patch(
            f"{path}/{people[1]['user_id']}", json={"role": "participant"}, headers=token
        )
        assert_problem(refused, 403, "FORBIDDEN")


async def test_a_participant_makes_nobody_a_host(api: Api, client: httpx.AsyncClient) -> None:
    created = await api.create()
    ada = await api.join(created["session_id"])
    refused = await client.patch(
        f"/api/sessions/{created['session_id']}/participants/{ada['user_id']}",
        json={"role": "host"},
        headers=bearer(ada["websocket_token"]),
    )
    assert_problem(refused, 403, "FORBIDDEN")
