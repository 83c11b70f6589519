"""``locshare doctor`` on real servers, behind real proxies that are right or wrong in one thing."""

import json
import os
import pty
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trio

from bench.guardian import entrust
from locshare.cli import main as cli
from locshare.config import Settings
from locshare.maintenance.doctor import database, examination, page, public, reach
from locshare.maintenance.doctor.database import look_at_database
from locshare.maintenance.doctor.examination import Check, examine
from locshare.maintenance.doctor.findings import Finding
from locshare.maintenance.doctor.machine import running_server
from locshare.maintenance.doctor.page import look_at_map
from locshare.maintenance.doctor.ports import look_at_ports
from tests.nginx import nginx_or_skip
from tests.postgres import Server
from tests.program import Program, data_directory, free_port, running_program
from tests.proxies import make_certificate, proxy_or_skip
from tests.running import LAST_RESORT_S
from tests.store.kit import database_of
from tests.store.pooler import needs_pgbouncer, pgbouncer

pytestmark = pytest.mark.e2e

UPGRADE = """
    proxy_http_version 1.1;
    proxy_set_header Upgrade $http_upgrade;
    proxy_set_header Connection upgrade;
    proxy_set_header Host $http_host;
"""
FORWARD = "proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;"


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [each for each in os.environ if each.startswith("LOCSHARE_")]:
        monkeypatch.delenv(name)


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a busy machine every answer is late, and a database is slow; a right one is right."""
    for module, name in (
        (database, "CONNECT_S"), (page, "_ANSWER_S"), (public, "_PONG_S"),
        (reach, "CONNECT_S"), (examination, "CHECK_S"),
    ):  # fmt: skip
        monkeypatch.setattr(module, name, LAST_RESORT_S)
    monkeypatch.setattr(database, "SLOW_MS", LAST_RESORT_S * 1000)


class Place:
    """A server that believes to be at ``url``, where no proxy runs yet."""

    def __init__(self, program: Program, bind: str, url: str) -> None:
        self.program = program
        self.bind = bind
        self.url = url
        self.port = int(url.rpartition(":")[2])
        self.flags = ["--data-dir", program.environment["LOCSHARE_DATA_DIR"], "--bind", bind]

    def doctor(self, capsys: pytest.CaptureFixture[str], *more: str) -> dict[str, list[Finding]]:
        """The findings by their check, of the server with this public URL."""
        arguments = ["doctor", "--json", *self.flags, "--public-url", self.url]
        if self.url.startswith("https"):
            arguments += ["--public-ws-url", "ws" + self.url.removeprefix("http")]
        cli.main([*arguments, "--idle", "0", *more])
        out = capsys.readouterr().out
        found: dict[str, list[Finding]] = {}
        for each in json.loads(out)["findings"]:
            finding = Finding(**each)
            found.setdefault(finding.check, []).append(finding)
        return found


def place(scheme: str) -> Iterator[Place]:
    bind, url = f"127.0.0.1:{free_port()}", f"{scheme}://127.0.0.1:{free_port()}"
    with data_directory() as data:
        settings = {
            "LOCSHARE_DATA_DIR": str(data), "LOCSHARE_HTTP_BIND": "", "LOCSHARE_WS_BIND": "",
            "LOCSHARE_BIND": bind, "LOCSHARE_PUBLIC_URL": url,
            "LOCSHARE_CREATE_BURST": "1000", "LOCSHARE_JOIN_BURST": "1000",
        }  # fmt: skip
        with running_program(settings) as program:
            yield Place(program, bind, url)


@pytest.fixture(scope="module")
def plain() -> Iterator[Place]:
    yield from place("http")


@pytest.fixture(scope="module")
def secure() -> Iterator[Place]:
    yield from place("https")


def levels(found: dict[str, list[Finding]], *names: str) -> dict[str, list[str]]:
    return {name: [each.level for each in found.get(name, [])] for name in names}


@pytest.mark.skipif(sys.platform != "linux", reason="this kernel does not say who listens")
def test_the_limits_of_the_running_server_count_and_not_those_of_the_shell(
    plain: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    """A service manager gives the server others."""
    settings = Settings(data_dir=Path(plain.program.environment["LOCSHARE_DATA_DIR"]))
    assert trio.run(running_server, settings) == plain.program.pid
    assert "to the running server" in plain.doctor(capsys)["files"][0].text
    assert "in this shell" in plain.doctor(capsys, "--control-socket", "off")["files"][0].text


@pytest.mark.skipif(sys.platform != "linux", reason="this kernel does not say who listens")
def test_a_server_whose_loop_hangs_is_told_from_another_program(plain: Place) -> None:
    data = Path(plain.program.environment["LOCSHARE_DATA_DIR"])
    settings = Settings(data_dir=data, bind=plain.bind)
    os.kill(plain.program.pid, signal.SIGSTOP)
    try:
        (finding,) = trio.run(look_at_ports, settings)
    finally:
        os.kill(plain.program.pid, signal.SIGCONT)
    assert finding.level == "error"
    assert f"the server (process {plain.program.pid}) is there and does not" in finding.text


# --- the proxy ----------------------------------------------------------------------------------


def test_behind_a_right_proxy_everything_is_seen_and_well(
    plain: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    locations = f"location / {{ proxy_pass http://{plain.bind}; {UPGRADE} {FORWARD} }}"
    with nginx_or_skip(locations, plain.port):
        found = plain.doctor(capsys)
    assert levels(found, "ports", "database", "public", "proxy", "websocket", "idle") == {
        "ports": ["ok"], "database": ["ok"], "public": ["ok"], "proxy": ["ok"],
        "websocket": ["ok"], "idle": ["ok"],
    }  # fmt: skip
    assert "X-Forwarded-For" in found["proxy"][0].text
    assert not [each for name in found for each in found[name] if each.level == "error"]


@pytest.mark.parametrize(
    ("inside", "check", "says"),
    [
        (UPGRADE, "proxy", "pretend"),
        (
            f'{UPGRADE} proxy_set_header X-Forwarded-For ""; proxy_set_header Forwarded "";',
            "proxy",
            "does not send X-Forwarded-For",
        ),
        (FORWARD, "websocket", "came as HTTP/1.0"),
        (f"proxy_http_version 1.1; {FORWARD}", "websocket", "came without"),
        (f"{UPGRADE} {FORWARD} proxy_bind 127.0.0.9;", "proxy", "127.0.0.9 is not trusted"),
    ],
)
def test_one_wrong_line_of_a_proxy_is_one_error_that_says_what_to_do(
    plain: Place, capsys: pytest.CaptureFixture[str], inside: str, check: str, says: str
) -> None:
    more = ["--trusted-proxies", "127.0.0.1/32"] if "proxy_bind" in inside else []
    with nginx_or_skip(f"location / {{ proxy_pass http://{plain.bind}; {inside} }}", plain.port):
        found = plain.doctor(capsys, *more)
    (finding,) = [each for name in found for each in found[name] if each.level == "error"]
    assert finding.check == check
    assert says in finding.text
    assert finding.do


def test_a_websocket_path_that_leads_nowhere_is_an_error(
    plain: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    dead = free_port()
    locations = (
        f"location / {{ proxy_pass http://{plain.bind}; {UPGRADE} {FORWARD} }}"
        f"location /ws {{ proxy_pass http://127.0.0.1:{dead}; {UPGRADE} }}"
    )
    with nginx_or_skip(locations, plain.port):
        found = plain.doctor(capsys)
    assert levels(found, "proxy", "websocket") == {"proxy": ["ok"], "websocket": ["error"]}


def test_a_websocket_path_that_names_no_client_is_an_error(
    plain: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    locations = (
        f"location / {{ proxy_pass http://{plain.bind}; {UPGRADE} {FORWARD} }}"
        f"location /ws {{ proxy_pass http://{plain.bind}; {UPGRADE} }}"
    )
    with nginx_or_skip(locations, plain.port):
        found = plain.doctor(capsys)
    assert levels(found, "proxy", "websocket") == {"proxy": ["ok", "error"], "websocket": ["ok"]}


def test_a_short_time_out_of_the_proxy_is_found_by_waiting(
    plain: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    locations = f"location / {{ proxy_pass http://{plain.bind}; {UPGRADE} {FORWARD} proxy_read_timeout 1s; }}"  # noqa: E501
    with nginx_or_skip(locations, plain.port):
        found = plain.doctor(capsys, "--idle", "15")
    (finding,) = found["idle"]
    assert finding.level == "error"
    assert "LOCSHARE_PING_INTERVAL_S" in finding.do


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        ("return 200 hello;", "no locshare"),
        ("return 301 https://elsewhere.example$request_uri;", "leads elsewhere"),
        ("auth_basic x; auth_basic_user_file /dev/null;", "keeps people out"),
        ("proxy_pass http://127.0.0.1:9;", "does not reach"),
    ],
)
def test_something_else_at_the_public_address_is_an_error(
    plain: Place, capsys: pytest.CaptureFixture[str], answer: str, says: str
) -> None:
    with nginx_or_skip(f"location / {{ {answer} }}", plain.port):
        found = plain.doctor(capsys)
    assert says in found["public"][-1].text
    assert found["public"][-1].level == "error"


def test_a_proxy_that_leads_to_another_locshare_is_an_error(
    plain: Place,
    secure: Place,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(public, "SEEN_S", 0.1)  # nothing ever comes to this machine's own
    with nginx_or_skip(
        f"location / {{ proxy_pass http://{secure.bind}; {UPGRADE} {FORWARD} }}", plain.port
    ):
        found = plain.doctor(capsys)
    assert "another one" in found["proxy"][0].text


def test_nothing_at_the_public_address_is_an_error(
    plain: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "cannot be reached" in plain.doctor(capsys)["public"][-1].text
    found = plain.doctor(capsys, "--public-url", "http://no-such-name.invalid")
    assert "cannot be resolved" in found["public"][-1].text


def test_without_the_control_socket_it_says_that_it_cannot_see(
    plain: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    locations = f"location / {{ proxy_pass http://{plain.bind}; {UPGRADE} {FORWARD} }}"
    with nginx_or_skip(locations, plain.port):
        found = plain.doctor(capsys, "--control-socket", "off")
    assert levels(found, "proxy", "websocket") == {"proxy": ["skipped"], "websocket": ["ok"]}


# --- TLS ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("example", ["nginx.conf", "Caddyfile", "haproxy.cfg", "apache.conf"])
def test_the_examples_of_the_proxies_pass(
    secure: Place,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    example: str,
) -> None:
    make_certificate(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "fullchain.pem"))
    with proxy_or_skip(
        example, port=secure.port, server=int(secure.bind.rpartition(":")[2]), certificate=tmp_path
    ):
        found = secure.doctor(capsys)
    assert levels(found, "public", "proxy", "websocket") == {
        "public": ["ok"], "proxy": ["ok"], "websocket": ["ok"],
    }  # fmt: skip
    assert found["tls"][0].level == "warning"  # it is valid for two days
    assert "1 days" in found["tls"][0].text or "2 days" in found["tls"][0].text


def test_a_certificate_that_browsers_refuse_is_an_error_and_no_token_is_sent(
    secure: Place, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    make_certificate(tmp_path)
    with proxy_or_skip(
        "nginx.conf",
        port=secure.port,
        server=int(secure.bind.rpartition(":")[2]),
        certificate=tmp_path,
    ):
        found = secure.doctor(capsys)
    assert levels(found, "tls", "public", "proxy", "websocket") == {
        "tls": ["error"], "public": ["ok"], "proxy": ["ok"], "websocket": ["skipped"],
    }  # fmt: skip
    assert "self-signed" in found["tls"][0].text.replace("self signed", "self-signed")


def test_what_speaks_no_tls_at_an_https_address_is_an_error(
    secure: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    with nginx_or_skip(f"location / {{ proxy_pass http://{secure.bind}; }}", secure.port):
        found = secure.doctor(capsys)
    assert found["tls"][0].level == "error"
    assert "does not speak TLS" in found["tls"][0].text


# --- the database -------------------------------------------------------------------------------


def ask(url: str, **settings: Any) -> dict[str, Finding]:
    found = trio.run(look_at_database, Settings(database_url=url, **settings))
    return {each.check: each for each in found}


def test_a_database_that_is_right_is_well(postgres_url: str) -> None:
    found = ask(postgres_url)
    assert {name: each.level for name, each in found.items()} == {
        "database": "ok", "database rights": "ok", "database latency": "ok",
    }  # fmt: skip
    assert "up to date" in found["database rights"].text


@needs_pgbouncer
def test_a_pooler_is_seen_and_nothing_breaks_behind_it(postgres_url: str) -> None:
    with pgbouncer(postgres_url, "transaction") as port:
        url = f"postgresql://postgres@127.0.0.1:{port}/{database_of(postgres_url)}"
        for _ in range(3):
            found = ask(url)
            assert "behind a pooler" in found["database"].text
            assert {each.level for each in found.values()} == {"ok"}


def test_an_empty_database_will_be_filled_by_the_first_start(postgres_server: Server) -> None:
    name = postgres_server.create_database(template=None)
    assert "makes the tables" in ask(postgres_server.url(name))["database rights"].text
    found = ask(postgres_server.url(name), database_schema="locshare")
    assert found["database rights"].level == "ok"
    postgres_server.drop_database(name)


def test_tables_of_another_program_are_found_before_the_first_start(
    postgres_server: Server,
) -> None:
    name = postgres_server.create_database(template=None)
    postgres_server.execute("CREATE TABLE sessions (id int)", name)
    found = ask(postgres_server.url(name))["database"]
    assert (found.level, found.text) == (
        "error", "the table sessions in this database is another program's",
    )  # fmt: skip
    assert "LOCSHARE_DATABASE_SCHEMA" in found.do
    postgres_server.drop_database(name)


@pytest.mark.parametrize(
    ("statement", "check", "says"),
    [
        ("ALTER TABLE sessions RENAME COLUMN name TO title", "database rights", "not as this"),
        (
            "INSERT INTO schema_migrations VALUES (9999, 'future', 'x', now())",
            "database",
            "newer locshare",
        ),
        ("UPDATE schema_migrations SET checksum = 'x'", "database", "not the one"),
    ],
)
def test_tables_that_are_not_ours_are_an_error(
    postgres_server: Server, statement: str, check: str, says: str
) -> None:
    name = postgres_server.create_database()
    postgres_server.execute(statement, name)
    finding = ask(postgres_server.url(name))[check]
    postgres_server.drop_database(name)
    assert finding.level == "error"
    assert says in finding.text
    assert finding.do


def test_a_database_that_is_read_only_is_an_error(postgres_server: Server) -> None:
    name = postgres_server.create_database()
    postgres_server.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    found = ask(postgres_server.url(name))
    postgres_server.drop_database(name)
    assert found["database"].level == "error"
    assert "read-only" in found["database"].text


def test_another_encoding_is_an_error_that_says_how_to_make_a_database(
    postgres_server: Server,
) -> None:
    postgres_server.execute(
        "CREATE DATABASE latin ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0"
    )
    finding = ask(postgres_server.url("latin"))["database"]
    postgres_server.drop_database("latin")
    assert "LATIN1" in finding.text
    assert "createdb" in finding.text + finding.do


def test_a_role_without_rights_is_an_error(postgres_server: Server) -> None:
    name = postgres_server.create_database()
    postgres_server.execute("CREATE ROLE guest LOGIN")
    url = postgres_server.url(name).replace("postgres@", "guest@")
    finding = ask(url)["database"]
    postgres_server.drop_database(name)
    assert finding.level == "error"
    assert "permission denied" in finding.text + finding.do
    name = postgres_server.create_database(template=None)
    finding = ask(postgres_server.url(name).replace("postgres@", "guest@"))["database rights"]
    postgres_server.drop_database(name)
    postgres_server.execute("DROP ROLE guest")
    assert finding.level == "error"
    assert "LOCSHARE_DATABASE_SCHEMA" in finding.do


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("postgresql://postgres@127.0.0.1:9/x", "nothing listens"),
        ("postgresql://postgres@no-such-name.invalid/x", "cannot be resolved"),
        ("postgresql://postgres@/x?host=/nowhere", "no PostgreSQL socket"),
    ],
)
def test_a_database_that_is_not_there_is_an_error(url: str, says: str) -> None:
    finding = ask(url)["database"]
    assert finding.level == "error"
    assert says in finding.text
    assert finding.do


def test_a_database_that_does_not_exist_says_how_to_make_it(postgres_server: Server) -> None:
    finding = ask(postgres_server.url("nothing"))["database"]
    assert "createdb nothing" in finding.text + finding.do


def test_the_files_of_another_major_version_say_how_to_upgrade(tmp_path: Path) -> None:
    (tmp_path / "postgres").mkdir()
    (tmp_path / "postgres" / "PG_VERSION").write_text("16\n")
    (finding,) = trio.run(look_at_database, Settings(data_dir=tmp_path))
    assert finding.level == "error"
    assert finding.do == "Run locshare db upgrade"


# --- the command --------------------------------------------------------------------------------


def test_before_the_first_start_it_finds_no_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ports = [f"127.0.0.1:{free_port()}" for _ in range(2)]
    flags = ["--data-dir", str(tmp_path / "new"), "--http-bind", ports[0], "--ws-bind", ports[1]]
    assert cli.main(["doctor", *flags, "--max-connections", "100"]) == 0
    text = capsys.readouterr().out
    assert "is free" in text
    assert "the server does not run" in text
    assert not (tmp_path / "new").exists()


def test_a_port_that_something_else_has_is_an_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as stranger:
        bind = f"127.0.0.1:{stranger.getsockname()[1]}"
        assert cli.main(["doctor", "--data-dir", str(tmp_path), "--bind", bind]) == 1
    assert "taken by another program" in capsys.readouterr().out


def test_wrong_settings_are_findings_with_status_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["doctor", "--json", "--missed-pings", "99", "--http-bind", "nowhere"]) == 2
    report = json.loads(capsys.readouterr().out)
    assert [each["check"] for each in report["findings"]] == ["settings", "settings"]
    assert report["errors"] == 2
    assert all(each["do"] for each in report["findings"])


@pytest.mark.parametrize("file", ["max_sesions = 3", "= nonsense"])
def test_a_wrong_settings_file_is_a_finding_that_says_what_to_do(
    file: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "locshare.toml").write_text(file)
    assert cli.main(["doctor", "--json", "--config", str(tmp_path / "locshare.toml")]) == 2
    (finding,) = json.loads(capsys.readouterr().out)["findings"]
    assert finding["do"]


@pytest.mark.parametrize("version", [None, b"", b"\xff\xfe", b"18\n" * 100])
def test_a_database_directory_that_is_none_is_an_error(
    version: bytes | None, tmp_path: Path
) -> None:
    (tmp_path / "postgres").mkdir()
    if version is not None:
        (tmp_path / "postgres" / "PG_VERSION").write_bytes(version)
    (finding,) = trio.run(look_at_database, Settings(data_dir=tmp_path))
    assert finding.level == "error"
    assert "PG_VERSION" in finding.text
    assert "--data-dir" in finding.do


def test_with_strict_a_warning_is_status_1(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = ["--bind", f":{free_port()}", "--internal-bind", f":{free_port()}"]
    flags += ["--data-dir", str(tmp_path), "--max-connections", "100"]
    assert cli.main(["doctor", *flags]) == 0
    assert cli.main(["doctor", "--strict", *flags]) == 1
    assert "has no login" in capsys.readouterr().out


def test_a_check_that_fails_or_hangs_is_a_finding_and_the_others_go_on() -> None:
    async def hangs(_settings: Settings) -> list[Finding]:
        await trio.sleep_forever()

    def fails(_settings: Settings) -> list[Finding]:
        raise RuntimeError("postgresql://ada:secret@db")

    def fine(_settings: Settings) -> list[Finding]:
        return [Finding("fine", "ok", "yes")]

    found: list[Finding] = []
    what = (Check("hangs", hangs, 0.01), Check("fails", fails), Check("fine", fine))
    trio.run(examine, Settings(), found.append, lambda _name: None, what)
    assert [(each.check, each.level) for each in found] == [
        ("hangs", "error"), ("fails", "error"), ("fine", "ok"),
    ]  # fmt: skip
    assert "secret" not in repr(found)


def test_a_map_file_that_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    file = tmp_path / "map.pmtiles"
    file.write_bytes(b"no map")
    (finding,) = trio.run(look_at_map, Settings(map_file=file))
    assert finding.level == "error"
    (finding,) = trio.run(look_at_map, Settings(map_file=tmp_path / "missing.pmtiles"))
    assert "LOCSHARE_MAP_FILE" in finding.do
    url = f"http://127.0.0.1:{free_port()}/{{z}}/{{x}}/{{y}}.png"
    (finding,) = trio.run(look_at_map, Settings(tile_url=url))
    assert finding.level == "warning"


@pytest.mark.parametrize(
    ("environment", "coloured", "moving"),
    [({"TERM": "xterm"}, True, True), ({"NO_COLOR": "1", "TERM": "xterm"}, False, True),
     ({"TERM": "dumb"}, False, False)],
    ids=["terminal", "NO_COLOR", "dumb"],
)  # fmt: skip
def test_on_a_terminal_it_shows_what_it_is_at(
    environment: dict[str, str], coloured: bool, moving: bool, tmp_path: Path
) -> None:
    ours, theirs = pty.openpty()
    with entrust(subprocess.Popen(
        [sys.executable, "-m", "locshare", "doctor", "--bind", f"127.0.0.1:{free_port()}",
         "--data-dir", str(tmp_path)],
        stdout=theirs, stderr=theirs, stdin=subprocess.DEVNULL,
        env={name: value for name, value in os.environ.items() if name != "NO_COLOR"}
        | environment,
    )) as process:  # fmt: skip
        os.close(theirs)
        shown = b""
        try:
            while True:
                try:
                    part = os.read(ours, 65_536)
                except OSError:  # EIO: the other end is closed
                    break
                if not part:
                    break
                shown += part
            assert process.wait(LAST_RESORT_S) in (0, 1)
        finally:
            process.kill()
            os.close(ours)
    assert ("… database".encode() in shown) == moving
    assert (b"\x1b[32mok" in shown) == coloured
    assert b"Traceback" not in shown
