"""A real nginx in front of a server, as people put one there."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from bench.guardian import temporary_folder
from tests.program import free_port
from tests.proxies import NGINX, find, listening_process

_SERVER = """
    server {{
        listen 127.0.0.1:{port};
        {locations}
    }}
"""


@contextmanager
def nginx_or_skip(locations: str, port: int | None = None) -> Iterator[str]:
    """Serve ``locations`` (of nginx's configuration). Gives its address, ``127.0.0.1:port``."""
    program = find("nginx")
    if program is None:
        pytest.skip("nginx is not installed")
    port = port or free_port()
    with temporary_folder("locshare-nginx-") as folder:
        file, errors = folder / "nginx.conf", folder / "error.log"
        server = _SERVER.format(port=port, locations=locations)
        file.write_text(NGINX.format(folder=folder, settings=server))
        command = [program, "-p", str(folder), "-c", str(file), "-e", str(errors)]
        with listening_process(command, port, errors):
            yield f"127.0.0.1:{port}"
