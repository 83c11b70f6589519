"""A way over real links that loses packets: Linux network namespaces joined by veth pairs.

::

    this machine, with the server ──veth── router ──veth── far end, with a client

The far end is a second TCP stack; the router drops packets at random, in both directions. A router
is needed because a stack that drops its own outgoing packets knows it, and would wait for buffer
space and not for an acknowledgement. The server's socket sees what it would on a bad radio link:
loss, retransmission, back-off.

Only one device and one route are added to the machine; both are removed with the router. The
addresses are from 198.18.0.0/15, set aside for benchmarks (RFC 2544). A server that listens on
127.0.0.1 is reached too: the router translates addresses.
"""

import ctypes
import ipaddress
import itertools
import json
import os
import random
import re
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from bench.procfs import started

T = TypeVar("T")

NAMESPACES = Path("/run/netns")
COMMAND_S = 10.0
"""How long one command may take."""
_CLONE_NEWNET = 0x40000000
_BENCHMARKS = ipaddress.IPv4Network("198.18.0.0/15")
_NAME = re.compile(r"locshare-(\d+)-(\d+)-(\d+)-(router|far)")
_numbers = itertools.count()

_RULES = """
table ip impairment {{
    counter forwarded {{ }}
    counter dropped {{ }}
    chain translate {{
        type nat hook prerouting priority dstnat; policy accept;
        iifname "far" ip daddr {near} dnat to {host}
    }}
    chain forward {{
        type filter hook forward priority filter; policy accept;
        counter name forwarded
        numgen random mod 1000000 < {per_million} counter name dropped drop
    }}
}}
"""


class Unavailable(Exception):
    """This machine cannot do it; the message says what is missing."""


@dataclass(frozen=True, slots=True)
class Link:
    """A far end, connected through a lossy router."""

    far: str
    router: str
    """Names of the namespaces, for :func:`inside` and ``ip netns exec``."""
    address: str
    """The server's address at the far end; ports are the same."""
    delays: bool
    """True when the link itself delays (``tc netem``), false when it only loses."""

    def packets(self) -> tuple[int, int]:
        """Packets that reached the router so far, and those of them that it dropped."""
        text = run("ip", "netns", "exec", self.router, "nft", "-j", "list", "counters")
        found = {
            each["counter"]["name"]: each["counter"]["packets"]
            for each in json.loads(text)["nftables"]
            if "counter" in each
        }
        return found["forwarded"], found["dropped"]


@contextmanager
def lossy_link(
    loss: float, *, host: str = "127.0.0.1", delay_s: float = 0.0, jitter_s: float = 0.0
) -> Iterator[Link]:
    """A link that loses the share ``loss`` of the packets of each direction and, where the kernel
    can, delays them (each direction by ``delay_s``, more or less by up to ``jitter_s``). ``host``
    is where the server listens: an IPv4 address of this machine. Removed at the end of the block;
    leftovers of a crash are removed before. Raises Unavailable.
    """
    _require(host)
    remove_stale()
    pid = os.getpid()
    number = next(_numbers)
    name = f"locshare-{pid}-{started(pid)}-{number}"
    router, far, device = f"{name}-router", f"{name}-far", _device(pid, number)
    try:
        near = _connect(router, far, device, host)
        rules = _RULES.format(near=near, host=host, per_million=round(loss * 1e6))
        run("ip", "netns", "exec", router, "nft", "-f", "-", text=rules)
        delays = bool(delay_s or jitter_s) and _delay(router, delay_s, jitter_s)
        yield Link(far, router, near, delays)
    finally:
        _remove(router, far, device)


def _require(host: str) -> None:
    if sys.platform != "linux":
        raise Unavailable("network namespaces are of Linux")
    if os.geteuid() != 0:
        raise Unavailable("only root may make network namespaces")
    for program, package in (("ip", "iproute2"), ("nft", "nftables")):
        if shutil.which(program) is None:
            raise Unavailable(f"there is no {program}; it is in the package {package}")
    # Only an address of this machine can be bound; packets to another would have to be forwarded.
    try:
        with socket.socket() as probe:
            probe.bind((host, 0))
    except OSError as error:
        raise Unavailable(f"{host} is no IPv4 address of this machine ({error})") from error


def _connect(router: str, far: str, device: str, host: str) -> str:
    """Connect both ends. Returns the address of this one."""
    near_net, far_net = _free_block().subnets(new_prefix=30)
    (near, near_gate), (far_gate, end) = (list(each.hosts()) for each in (near_net, far_net))
    pair = ("type", "veth", "peer", "name")
    run("ip", "netns", "add", router)
    run("ip", "netns", "add", far)
    run("ip", "link", "add", device, *pair, "near", "netns", router)
    run("ip", "-n", router, "link", "add", "far", *pair, "end", "netns", far)
    for at, of, address in (
        ((), device, near),
        (("-n", router), "near", near_gate),
        (("-n", router), "far", far_gate),
        (("-n", far), "end", end),
    ):
        run("ip", *at, "address", "add", f"{address}/30", "dev", of)
        # Single segments, so that a loss is one packet and not many joined ones.
        run("ip", *at, "link", "set", of, "up", "gso_max_segs", "1")
    run("ip", "route", "add", str(far_net), "via", str(near_gate))
    run("ip", "-n", far, "route", "add", "default", "via", str(far_gate))
    # The way to the translated address leads back here, for 127.0.0.1 too.
    run("ip", "-n", router, "route", "replace", f"{host}/32", "via", str(near))
    _write("route_localnet", device)
    inside(router, lambda: _write("route_localnet", "all"))
    inside(router, lambda: _write("forwarding", "all"))
    return str(near)


def _write(switch: str, device: str) -> None:
    path = Path("/proc/sys/net/ipv4/conf", device, switch)
    try:
        path.write_text("1")
    except OSError as error:
        raise Unavailable(f"{path}: {error}") from error


def _free_block() -> ipaddress.IPv4Network:
    """Eight addresses that no route of this machine covers."""
    routes = json.loads(run("ip", "-j", "-4", "route", "show", "table", "all"))
    taken = [
        ipaddress.IPv4Network(each["dst"], strict=False)
        for each in routes
        if each["dst"] != "default"
    ]
    blocks = list(_BENCHMARKS.subnets(new_prefix=29))
    random.shuffle(blocks)
    for block in blocks:
        if not any(block.overlaps(each) for each in taken):
            return block
    raise Unavailable(f"all of {_BENCHMARKS} is in use")


def _delay(router: str, delay_s: float, jitter_s: float) -> bool:
    """False where the kernel has no netem."""
    how = ("netem", "delay", f"{delay_s * 1e3:g}ms", f"{jitter_s * 1e3:g}ms")
    try:
        for device in ("near", "far"):
            run("tc", "-n", router, "qdisc", "add", "dev", device, "root", *how)
    except Unavailable:
        return False
    return True


# --- what is left -----------------------------------------------------------------------------


def remove_stale() -> list[str]:
    """Remove leftovers of processes that have ended. Returns the names of the namespaces."""
    found = []
    for path in NAMESPACES.glob("locshare-*"):
        name = _NAME.fullmatch(path.name)
        if name is not None and started(int(name[1])) != name[2]:
            found.append(path.name)
            _remove(path.name, _device(int(name[1]), int(name[3])))
    return found


def _device(pid: int, number: int) -> str:
    """At most 15 characters."""
    return f"lsb{pid}-{number % 1000}"


def _remove(*names: str) -> None:
    """Namespaces and devices that exist. The device is removed by name, because otherwise it stays
    as long as the kernel remembers a connection of the namespace that it leads to.
    """
    for name in names:
        what = ("netns",) if _NAME.fullmatch(name) else ("link",)
        with suppress(Unavailable):
            run("ip", *what, "delete", name)


# --- how it is done ---------------------------------------------------------------------------


def run(*command: str, text: str = "") -> str:
    """The output of a command. Raises Unavailable with its error output."""
    try:
        done = subprocess.run(
            command,
            input=text,
            capture_output=True,
            text=True,
            timeout=COMMAND_S,
            check=False,
            start_new_session=True,  # Ctrl-C ends this process, which then cleans up
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Unavailable(f"{' '.join(command)}: {error}") from error
    if done.returncode:
        said = done.stderr.strip() or f"exit status {done.returncode}"
        raise Unavailable(f"{' '.join(command)}: {said}")
    return done.stdout


def inside(namespace: str, function: Callable[[], T]) -> T:
    """Call ``function`` in a thread that is in a network namespace: the sockets that it makes
    belong there for good. Raises what it raises, or Unavailable.
    """
    done: list[T] = []
    failed: list[BaseException] = []

    def call() -> None:
        try:
            _enter(NAMESPACES / namespace)
            done.append(function())
        except BaseException as error:  # noqa: BLE001 - raised again in the caller's thread
            failed.append(error)

    # In a thread that ends: nothing else may run in that namespace by mistake.
    thread = threading.Thread(target=call, name=f"inside {namespace}")
    thread.start()
    thread.join()
    if failed:
        raise failed[0]
    return done[0]


def _enter(path: Path) -> None:
    """Move the calling thread, and no other, into a network namespace."""
    # os.setns is there from Python 3.12 on.
    libc = ctypes.CDLL(None, use_errno=True)
    with path.open("rb") as file:
        if libc.setns(file.fileno(), _CLONE_NEWNET):
            number = ctypes.get_errno()
            raise Unavailable(f"setns {path}: {os.strerror(number)}")
