"""Targets with TLS, of both dialects, REST and WebSockets: whom the driver believes, and that it is
in nobody's way while it shakes hands.
"""

import errno
import select
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from bench.certificates import FILE
from bench.cli import main
from bench.driver import connection, crowd
from bench.driver.connection import Connection, Lost, look_up
from bench.driver.measure import measure
from bench.network.proxied import behind_proxy
from bench.results import Dialect, Run, load
from bench.runner import RESULTS
from bench.servers import running_server
from bench.targets import NotServing, Target, parse
from tests.bench.driver.tls import HOST, Certificate, certificate, tls_before
from tests.bench.misbehaving_server import Misbehaviour, NullObserver, misbehaving_server, plan
from tests.running import LAST_RESORT_S, given_more_time, given_time

BOTH: tuple[Dialect, ...] = ("plain", "phoenix")


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(FILE, raising=False)
    monkeypatch.setattr(crowd, "IDLE_S", 0.2)
    monkeypatch.setattr(crowd, "TICK_S", 0.2)


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return certificate(tmp_path_factory.mktemp("own"), f"IP:{HOST}")


@pytest.fixture(scope="module")
def anothers(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return certificate(tmp_path_factory.mktemp("anothers"), "DNS:elsewhere.example")


@pytest.fixture
def trusted(own: Certificate, monkeypatch: pytest.MonkeyPatch) -> Certificate:
    monkeypatch.setenv(FILE, str(own.file))
    return own


@contextmanager
def secured(
    shown: Certificate, dialect: Dialect, wrong: Misbehaviour | None = None
) -> Iterator[Target]:
    """A server of the dialect, everything of it behind TLS."""
    context = shown.serving()
    with misbehaving_server(wrong, dialect) as server:
        behind = urlsplit(server.socket_url)
        rest = urlsplit(server.http_url).port
        assert behind.port is not None
        assert rest is not None
        with tls_before(rest, context) as api, tls_before(behind.port, context) as ws:
            yield parse(
                f"one=https://{HOST}:{api},dialect={dialect},ws=wss://{HOST}:{ws}{behind.path}"
            )


# --- whom it believes -----------------------------------------------------------------------------


@pytest.mark.parametrize("dialect", BOTH)
@given_more_time
def test_everything_is_delivered_over_tls(
    times: int, dialect: Dialect, trusted: Certificate
) -> None:
    with secured(trusted, dialect) as target:
        run = measure(target, plan((4, 3), times=times), NullObserver())
    assert run.delivered == run.expected > 2 * run.sent > 40
    assert run.connections == run.people == 7
    assert (run.lost, run.stale_pairs, run.refused, run.disconnects) == (0, 0, 0, 0)


@pytest.mark.parametrize("dialect", BOTH)
@given_more_time
def test_large_messages_in_many_records_are_read_whole(
    times: int, dialect: Dialect, trusted: Certificate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "_CHUNK", 100)  # what a record has more than that stays in it
    with secured(trusted, dialect, Misbehaviour(loose=True)) as target:
        run = measure(target, plan((4,), times=times), NullObserver())
    assert run.delivered == run.expected > 40
    assert (run.lost, run.stale_pairs, run.refused, run.disconnects) == (0, 0, 0, 0)


@pytest.mark.parametrize("dialect", BOTH)
def test_a_user_reconnects_over_tls(dialect: Dialect, trusted: Certificate) -> None:
    def coming_back(longer: float) -> Run:
        with secured(trusted, dialect, Misbehaviour(hang_up_after=3)) as target:
            return measure(target, plan((2,), duration_s=1.5 * longer), NullObserver())

    run = given_time(coming_back, lambda run: run.connections == 4)
    assert (run.disconnects, run.connections, run.refused) == (2, 4, 0)


def test_a_server_that_runs_is_measured_by_its_address(
    trusted: Certificate, tmp_path: Path
) -> None:
    context = trusted.serving()
    with (
        running_server() as server,
        tls_before(server.http_port, context) as api,
        tls_before(server.ws_port, context) as ws,
    ):
        target = f"one=https://{HOST}:{api},dialect=plain,ws=wss://{HOST}:{ws}"
        small = ["--scale", "0.1", "--duration", "1"]
        assert main(["run", "baseline", *small, "--target", target, "--out", str(tmp_path)]) == 0
    (run,) = load(tmp_path / RESULTS).runs
    assert run.people == run.connections == 5
    assert run.delivered == run.expected > 0


@given_more_time
def test_tls_works_through_a_proxy_and_a_cut(times: int, trusted: Certificate) -> None:
    with secured(trusted, "plain") as target, behind_proxy(target) as cuttable:
        run = measure(cuttable, plan((3,), times=times), NullObserver(), via=cuttable.via)
        cuttable.begin("cut_network", "")
        cut = measure(
            cuttable, plan((2,), duration_s=0.2, times=times), NullObserver(), via=cuttable.via
        )
    assert run.delivered == run.expected > 20
    assert (cut.connections, cut.refused > 0) == (0, True)


# --- whom it does not -----------------------------------------------------------------------------


@pytest.mark.parametrize("dialect", BOTH)
def test_an_unknown_authority_is_reported_with_the_remedy(
    dialect: Dialect, own: Certificate
) -> None:
    with (
        secured(own, dialect) as target,
        pytest.raises(NotServing, match=f"certificate of {HOST} .*self.signed.*{FILE}"),
    ):
        measure(target, plan(), NullObserver())


def test_an_unknown_authority_of_the_websocket_ends_the_run_at_once(own: Certificate) -> None:
    with (
        misbehaving_server() as server,
        tls_before(urlsplit(server.socket_url).port or 0, own.serving()) as ws,
    ):
        target = parse(f"one={server.http_url},dialect=plain,ws=wss://{HOST}:{ws}")
        began = time.monotonic()
        with pytest.raises(NotServing, match=f"certificate of {HOST} .*{FILE}"):
            measure(target, plan(duration_s=2 * LAST_RESORT_S), NullObserver())
    assert time.monotonic() - began < LAST_RESORT_S


def test_the_command_reports_a_bad_certificate_and_fails(
    own: Certificate, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with tls_before(9, own.serving()) as api:
        target = f"one=https://{HOST}:{api},dialect=plain"
        assert main(["run", "flood", "--short", "--target", target, "--out", str(tmp_path)]) == 1
    assert f"flood against one: the certificate of {HOST} cannot" in capsys.readouterr().err


def test_a_name_mismatch_is_reported_without_the_remedy(
    anothers: Certificate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(FILE, str(anothers.file))
    with secured(anothers, "plain") as target, pytest.raises(NotServing, match="mismatch") as told:
        measure(target, plan(), NullObserver())
    assert FILE not in str(told.value)


@pytest.mark.parametrize("content", [None, "no certificate"])
def test_an_unusable_authority_file_is_reported(
    content: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "authority.pem"
    if content is not None:
        file.write_text(content)
    monkeypatch.setenv(FILE, str(file))
    with pytest.raises(NotServing, match=f"{FILE} is {file}: "):
        measure(parse(f"one=https://{HOST}:9,dialect=plain"), plan(), NullObserver())


# --- one connection -------------------------------------------------------------------------------


@contextmanager
def dialled() -> Iterator[tuple[Connection, socket.socket]]:
    """A connection that has not shaken hands, and the server's end of it."""
    with socket.create_server((HOST, 0)) as listener:
        url = f"wss://{HOST}:{listener.getsockname()[1]}/"
        made = Connection(url, look_up(url))
        accepted, _ = listener.accept()
        try:
            yield made, accepted
        finally:
            made.close()
            accepted.close()


def wait(made: Connection) -> None:
    """As the driver's loop does: until it can go on. Fails after ten seconds."""
    writes = [made.fileno] if made.wants_to_write else []
    assert any(select.select([made.fileno], writes, [], 10.0))


def read(made: Connection) -> bytes:
    """What comes next."""
    while (data := made.read()) is None:
        wait(made)
    return data


def test_a_slow_tls_handshake_does_not_block_the_driver() -> None:
    with dialled() as (made, accepted):
        before = made.wants_to_write
        made.write()
        assert (before, made.wants_to_write) == (True, False)  # or the loop would never rest
        assert made.read() is None
        accepted.close()
        with pytest.raises(Lost):
            read(made)


def telling_the_reset(receive: Callable[[int], bytes]) -> Callable[[int], bytes]:
    """Behind the last record older Pythons end the stream, and newer ones tell a reset: OpenSSL 3.6
    with each read.
    """
    came: list[bytes] = []

    def received(size: int) -> bytes:
        if came:
            raise ConnectionResetError(errno.ECONNRESET, "told with each read")
        came.append(receive(size))
        return came[-1]

    return received


@pytest.mark.parametrize("told", [False, True])
def test_data_before_a_reset_is_read(
    trusted: Certificate, told: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    goes_on = threading.Event()

    def serve(accepted: socket.socket) -> None:
        accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with trusted.serving().wrap_socket(accepted, server_side=True) as secure:
            secure.recv(65_536)  # the request for an upgrade
            goes_on.wait(LAST_RESORT_S)
            secure.send(b"last words")
            secure.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    with dialled() as (made, accepted):
        server = threading.Thread(target=serve, args=(accepted,))
        server.start()
        made.write()
        while not made._connected:
            assert made.read() is None
            if not made._connected:
                wait(made)
        goes_on.set()
        server.join()
        if told:
            monkeypatch.setattr(made.socket, "recv", telling_the_reset(made.socket.recv))
        assert read(made) == b"last words"
        assert read(made) == b""
