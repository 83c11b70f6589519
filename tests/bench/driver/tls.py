"""TLS in front of a server that has none: a certificate made on the spot, and an end of TLS that
passes on what it hears.
"""

import queue
import shutil
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import pytest
import trio

from tests.running import LAST_RESORT_S

HOST = "127.0.0.1"


class Certificate(NamedTuple):
    """One that is its own authority."""

    file: Path
    key: Path

    def serving(self) -> ssl.SSLContext:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(self.file, self.key)
        return context


def certificate(folder: Path, name: str) -> Certificate:
    """For ``name``, such as ``IP:127.0.0.1``."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl, which makes certificates, is not installed")
    made = Certificate(folder / "certificate.pem", folder / "key.pem")
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-nodes", "-days", "2", "-subj", "/CN=a test's"),
            *("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"),
            *("-addext", f"subjectAltName={name}"),
            *("-addext", "keyUsage=critical,digitalSignature,keyCertSign"),
            *("-out", str(made.file), "-keyout", str(made.key)),
        ],
        check=True,
        capture_output=True,
    )
    return made


@contextmanager
def tls_before(port: int, context: ssl.SSLContext) -> Iterator[int]:
    """The port of an end of TLS before ``port`` of this machine."""
    started: queue.SimpleQueue[tuple[int, trio.lowlevel.TrioToken, trio.CancelScope]]
    started = queue.SimpleQueue()

    async def pass_on(
        source: trio.abc.Stream, target: trio.abc.Stream, until: trio.CancelScope
    ) -> None:
        """Until one of them has gone; then the other way is not needed either."""
        with suppress(trio.BrokenResourceError):
            while data := await source.receive_some():
                await target.send_all(data)
        until.cancel()

    async def carry(front: trio.SSLStream[trio.SocketStream]) -> None:
        async with front:
            with suppress(trio.BrokenResourceError, OSError):  # it is not believed; nobody is there
                await front.do_handshake()
                behind = await trio.open_tcp_stream(HOST, port)
                async with behind, trio.open_nursery() as both:
                    both.start_soon(pass_on, front, behind, both.cancel_scope)
                    both.start_soon(pass_on, behind, front, both.cancel_scope)

    async def serve() -> None:
        with trio.CancelScope() as scope:
            [listener] = await trio.open_tcp_listeners(0, host=HOST)
            place = listener.socket.getsockname()[1]
            started.put((place, trio.lowlevel.current_trio_token(), scope))
            secure = trio.SSLListener(listener, context, https_compatible=True)
            await trio.serve_listeners(carry, [secure])

    thread = threading.Thread(target=trio.run, args=(serve,))
    thread.start()
    place, token, scope = started.get(timeout=LAST_RESORT_S)
    try:
        yield place
    finally:
        trio.from_thread.run_sync(scope.cancel, trio_token=token)
        thread.join()
