"""The real program whose standard error nobody reads, or has closed, or is a full disk."""

import fcntl
import os
import signal
import subprocess
import sys
import time
from contextlib import ExitStack, closing
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import httpx
import pytest

from bench.guardian import entrust
from tests.program import Program, data_directory
from tests.running import LAST_RESORT_S

pytestmark = pytest.mark.e2e

PATIENCE_S = LAST_RESORT_S


def start(program: Program, **streams: Any) -> "subprocess.Popen[bytes]":
    return entrust(
        subprocess.Popen(
            [sys.executable, "-m", "locshare", "serve"],
            env=program.environment,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
            **streams,
        )
    )


def wait_ready(http: httpx.Client, process: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            if http.get("/health/ready").status_code == 200:
                return
        except httpx.TransportError:
            pass
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.01)


def dropped(http: httpx.Client) -> int:
    (line,) = [
        each
        for each in http.get("/metrics").text.splitlines()
        if each.startswith("locshare_log_lines_dropped_total ")
    ]
    return int(float(line.split()[1]))


def program_at(folder: Path) -> Program:
    return Program({"LOCSHARE_DATA_DIR": str(folder), "LOCSHARE_LOG_LEVEL": "debug"})


@pytest.mark.parametrize("place", ["unread pipe", "closed pipe", "/dev/full"])
def test_a_log_that_cannot_be_written_stops_neither_the_server_nor_sigterm(place: str) -> None:
    with ExitStack() as stack:
        if place == "/dev/full":
            bad = os.open(place, os.O_WRONLY)
        else:
            unread, bad = os.pipe()
            if place == "closed pipe":
                os.close(unread)
            else:
                fcntl.fcntl(bad, fcntl.F_SETPIPE_SZ, 4096)
                stack.callback(os.close, unread)
        stack.callback(os.close, bad)
        program = program_at(stack.enter_context(data_directory()))
        process = start(program, stdout=bad, stderr=bad)
        stack.callback(process.wait)
        stack.callback(process.kill)
        with httpx.Client(base_url=program.http_url, timeout=PATIENCE_S) as http:
            wait_ready(http, process)
            flood = stack.enter_context(closing(HTTPConnection(http.base_url.netloc.decode())))
            while dropped(http) == 0:
                for _ in range(100):  # a megabyte may wait, of lines of 250 bytes
                    flood.request("GET", "/nothing")
                    with flood.getresponse() as answer:
                        answer.read()
                    assert answer.status == 404
            assert http.post("/api/sessions", json={"name": "heard"}).status_code == 201
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE_S) == 0
