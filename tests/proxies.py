"""The real proxies, with the very files of deploy/proxies: what is for the reader's machine in them
(name, ports, certificate) is replaced, and the time-outs where a test wants them short.
"""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

import pytest

from bench.guardian import entrust, temporary_folder
from tests.running import LAST_RESORT_S

FILES: Final = Path(__file__).parents[1] / "deploy" / "proxies"
SYSTEM_PATH: Final = "/usr/sbin:/usr/local/sbin"
"""Debian keeps servers where only root looks."""

_BETWEEN_S: Final = 0.02

NGINX: Final = """
daemon off;
master_process off;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{}}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    {settings}
}}
"""
_APACHE: Final = """
ServerName 127.0.0.1
ServerRoot {folder}
PidFile {folder}/apache.pid
ErrorLog {folder}/error.log
Listen 127.0.0.1:{port}
{user}
{modules}
{settings}
"""
_APACHE_MODULES: Final = ("mpm_event", "authz_core", "alias", "socache_shmcb", "ssl", "proxy",
                          "proxy_http")  # fmt: skip
_CADDY: Final = "{{\n\tadmin off\n\tauto_https disable_redirects\n}}\n{settings}"


def find(program: str) -> str | None:
    """Its path, also where only root looks."""
    return shutil.which(program) or shutil.which(program, path=SYSTEM_PATH)


def make_certificate(folder: Path) -> None:
    """For 127.0.0.1, by itself: ``fullchain.pem``, ``privkey.pem`` and ``both.pem``."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("openssl is not installed")
    key, chain = folder / "privkey.pem", folder / "fullchain.pem"
    subprocess.run(
        [openssl, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
         "-nodes", "-days", "2", "-keyout", key, "-out", chain, "-subj", "/CN=127.0.0.1",
         "-addext", "subjectAltName=IP:127.0.0.1"],
        check=True, capture_output=True,
    )  # fmt: skip
    (folder / "both.pem").write_bytes(chain.read_bytes() + key.read_bytes())


def adapted(text: str, *, port: int, server: int, certificate: Path, time_out_s: int = 60) -> str:
    """An example for this machine: the proxy on ``port``, in front of port ``server``."""
    for theirs, ours in (
        ("/etc/ssl/where.example", str(certificate)),
        ("127.0.0.1:8080", f"127.0.0.1:{server}"),
        ("listen 443", f"listen 127.0.0.1:{port}"),
        ("bind :443", f"bind 127.0.0.1:{port}"),
        ("*:443", f"127.0.0.1:{port}"),
        ("where.example {", f"127.0.0.1:{port} {{"),
        ("where.example", "127.0.0.1"),
        (" 60s", f" {time_out_s}s"),
        ("ProxyTimeout 60", f"ProxyTimeout {time_out_s}"),
    ):
        text = text.replace(theirs, ours)
    return text


@contextmanager
def proxy_or_skip(
    example: str, *, port: int, server: int, certificate: Path, time_out_s: int = 60
) -> Iterator[None]:
    """Run the proxy of an example, which is named by its file."""
    name = {"Cadd": "caddy", "apac": "apache2", "hapr": "haproxy", "ngin": "nginx"}[example[:4]]
    program = find(name)
    if program is None:
        pytest.skip(f"{name} is not installed")
    with temporary_folder("locshare-proxy-") as folder:
        settings = adapted(
            (FILES / example).read_text(),
            port=port,
            server=server,
            certificate=certificate,
            time_out_s=time_out_s,
        )
        file, errors = folder / example, folder / "error.log"
        values = {"folder": folder, "port": port, "settings": settings}
        match name:
            case "nginx":
                file.write_text(NGINX.format(**values))
                command = [program, "-p", str(folder), "-c", str(file), "-e", str(errors)]
            case "caddy":
                file.write_text(_CADDY.format(**values))
                command = [program, "run", "--config", str(file), "--adapter", "caddyfile"]
            case "apache2":
                modules = "\n".join(
                    f"LoadModule {each}_module /usr/lib/apache2/modules/mod_{each}.so"
                    for each in _APACHE_MODULES
                )
                user = "User nobody\nGroup nogroup" if os.geteuid() == 0 else ""
                file.write_text(_APACHE.format(modules=modules, user=user, **values))
                command = [program, "-f", str(file), "-D", "FOREGROUND"]
            case _:
                file.write_text(settings)
                command = [program, "-db", "-f", str(file)]
        homes = {"XDG_DATA_HOME": str(folder), "XDG_CONFIG_HOME": str(folder), "HOME": str(folder)}
        with listening_process(command, port, errors, os.environ | homes):
            yield


@contextmanager
def listening_process(
    command: Sequence[str], port: int, errors: Path, environment: Mapping[str, str] | None = None
) -> Iterator[None]:
    """A program that listens on ``port`` inside the block. What it writes gets into ``errors``."""
    with errors.open("ab") as log:
        process = entrust(
            subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment
            )
        )
    try:
        _wait_for(process, port, errors)
        yield
    finally:
        process.terminate()
        try:
            process.wait(LAST_RESORT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait_for(process: "subprocess.Popen[bytes]", port: int, errors: Path) -> None:
    """The end of the program is waited for, and between whiles its port is tried."""
    deadline = time.monotonic() + LAST_RESORT_S
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        with suppress(subprocess.TimeoutExpired):
            process.wait(_BETWEEN_S)
            break
    raise AssertionError(f"{process.args!r} did not start: {errors.read_text()}")
