"""The inspector of the whole application: what it shows of people, and the internal port."""

import json
from pathlib import Path

import httpx
import pytest

from locshare.actors import StartError
from locshare.ops.control import ControlError, open_control
from locshare.ops.inspection.views import Tree, TreeSnapshot, Watch
from tests.faults.kit import running, talk
from tests.program import data_directory, free_port, running_program


async def test_the_server_shows_its_sessions_by_load_and_no_participant(
    postgres_url: str, tmp_path: Path
) -> None:
    async with running(postgres_url, tmp_path) as server:
        session, empty = await server.create(), await server.create()
        path = server.application.settings.control_path
        assert path is not None
        async with (
            server.phone(session, "Ada Lovelace") as ada,
            server.phone(session, "Bo") as bo,
            server.phone(empty, "Cy"),
            open_control(path) as control,
        ):
            snapshots = control.stream(Watch(0.1), TreeSnapshot)
            await anext(snapshots)
            for step in range(5):
                await talk(ada, bo, 10.125 + step)
            snapshot = await anext(snapshots)
            actors = {view.path: view for _, view in snapshot.root.flat()}
            shown = [path for path in actors if path.endswith("/session")]
            assert shown[0] == f"sessions/{session[:8]}/session", "the one that works comes first"
            actor = actors[shown[0]]
            assert actor.gauges == {"participants": 2, "online": 2}
            assert actor.busy
            assert actor.latency is not None
            assert snapshot.process.latency is not None
            assert 0 < snapshot.process.latency.p50 <= snapshot.process.latency.p99
            assert snapshot.process.online == 3
            assert snapshot.process.sessions == 2
            assert snapshot.process.connections == 3
            async with open_control(path) as other:
                told = json.dumps(await other.ask(Tree()))
            for secret in (session, "Ada", "10.125", ada.user_id):
                assert secret not in told


async def test_debug_tree_over_http(postgres_url: str, tmp_path: Path) -> None:
    bind = f"127.0.0.1:{free_port()}"
    async with (
        running(postgres_url, tmp_path, debug_bind=bind),
        httpx.AsyncClient(base_url=f"http://{bind}") as http,
    ):
        answer = await http.get("/debug/tree", params={"limit": 5})
        assert answer.status_code == 200
        assert answer.json()["root"]["children"][0]["id"] == "control"
        answer = await http.get("/debug/tree?format=text")
        assert answer.headers["content-type"].startswith("text/plain")
        assert "  sessions" in answer.text
        for query, says in (
            ("limit=x", "limit"), ("limit=-1", "limit"), ("sort=size", "size"),
            ("format=xml", "json, text"), ("color=red", "color"),
        ):  # fmt: skip
            answer = await http.get(f"/debug/tree?{query}")
            assert answer.status_code == 400, query
            assert says in answer.json()["detail"]


async def test_an_internal_port_has_health_metrics_and_the_tree(
    postgres_url: str, tmp_path: Path
) -> None:
    bind = f"127.0.0.1:{free_port()}"
    async with (
        running(postgres_url, tmp_path, internal_bind=bind, internal_hosts=("locshare",)) as server,
        httpx.AsyncClient(base_url=f"http://{bind}") as internal,
        httpx.AsyncClient(base_url=server.application.addresses.http_url) as public,
    ):
        for path in ("/health/live", "/health/ready", "/metrics", "/debug/tree"):
            assert (await internal.get(path)).status_code == 200, path
            assert (await internal.get(path, headers={"Host": "locshare"})).status_code == 200
            rebound = await internal.get(path, headers={"Host": "evil.example"})
            assert rebound.status_code == 421, path
        assert "locshare_http_connections" in (await internal.get("/metrics")).text
        assert (await internal.post("/api/sessions")).status_code == 404
        assert (await public.get("/health/ready")).status_code == 200
        for path in ("/metrics", "/debug/tree"):
            assert (await public.get(path)).status_code == 404, path


async def test_the_debug_port_answers_to_no_strange_name(postgres_url: str, tmp_path: Path) -> None:
    bind = f"127.0.0.1:{free_port()}"
    async with (
        running(postgres_url, tmp_path, debug_bind=bind),
        httpx.AsyncClient(base_url=f"http://{bind}") as http,
    ):
        assert (await http.get("/debug/tree")).status_code == 200
        rebound = await http.get("/debug/tree", headers={"Host": "evil.example"})
        assert rebound.status_code == 421
        assert (await http.get("/metrics")).status_code == 404


async def test_the_control_socket_can_be_switched_off(postgres_url: str, tmp_path: Path) -> None:
    async with running(postgres_url, tmp_path, control_socket="off"):
        assert not list(tmp_path.glob("*.sock"))


async def test_without_a_place_for_it_the_server_serves_all_the_same(
    postgres_url: str, tmp_path: Path
) -> None:
    (tmp_path / "control.sock").write_text("not a socket")
    async with running(postgres_url, tmp_path) as server:
        await server.create()
        with pytest.raises(ControlError):
            async with open_control(tmp_path / "control.sock"):
                raise AssertionError


async def test_a_place_that_was_asked_for_is_needed(postgres_url: str, tmp_path: Path) -> None:
    taken = tmp_path / "mine.sock"
    taken.write_text("not a socket")
    with pytest.raises(StartError, match="control") as error:
        async with running(postgres_url, tmp_path, control_socket=str(taken)):
            raise AssertionError
    assert "is not a socket" in str(error.value.__cause__)


@pytest.mark.e2e
def test_the_status_page_is_on_the_internal_port_alone() -> None:
    internal = f"127.0.0.1:{free_port()}"
    with data_directory() as data:
        settings = {"LOCSHARE_DATA_DIR": str(data), "LOCSHARE_INTERNAL_BIND": internal}
        with running_program(settings) as program:
            made = httpx.post(f"{program.http_url}/api/sessions", json={}).json()
            about = f"{program.http_url}/api/sessions/{made['session_id']}"
            httpx.post(f"{about}/join", json={"display_name": "Ada <b>"}).raise_for_status()
            page = httpx.get(f"http://{internal}/status")
            assert page.status_code == 200
            assert "default-src 'none'" in page.headers["content-security-policy"]
            assert made["session_id"][:8] in page.text
            assert "database ok" in page.text
            assert made["session_id"] not in page.text
            assert "Ada" not in page.text
            assert httpx.get(f"{program.http_url}/status").status_code == 404
            named = httpx.get(f"http://{internal}/status", headers={"Host": "evil.example"})
            assert named.status_code == 421
