"""Targets whose WebSockets are reached over an impaired network.

::

    with lossy(target, Impairment(delay_s=0.05, jitter_s=0.02, loss=0.2)) as impaired:
        ...  # drive `impaired`; REST goes the usual way

The virtual users connect to a proxy but use the server's address in the handshake, so that its
certificate is checked against that name.

Where possible (Linux, root, ``ip``, ``nft``) packets are lost on a real link between two TCP
stacks; elsewhere a proxy imitates what an application sees of it. ``how`` says which it was.
"""

import socket
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Literal

from bench.driver.connection import place
from bench.driver.endpoints import endpoint
from bench.errors import NotServing
from bench.network.namespace import Link, Unavailable, lossy_link
from bench.network.proxy import Address, Proxy, ProxyGone, proxy_process
from bench.network.relay import Impairment
from bench.rest import Rest
from bench.results import DisruptionKind
from bench.targets.target import Target


class ProxiedTarget:
    """A target whose WebSockets lead through a proxy; all else is the target's own."""

    def __init__(self, target: Target, proxy: Proxy, how: str) -> None:
        self._target = target
        self._proxy = proxy
        self.description = target.description
        self.http_url = target.http_url
        self.ws_url = target.ws_url
        self.topic = target.topic
        self.via = proxy.address
        """Where to connect, whatever the address of the WebSocket."""
        self.how = how
        """A description of the impairment, for the remarks of a run."""

    def pids(self) -> Sequence[int]:
        """Without the proxy's process."""
        return self._target.pids()

    def can(self, kind: DisruptionKind) -> bool:
        return self._target.can(kind)

    def begin(self, kind: DisruptionKind, session_id: str) -> str:
        return self._target.begin(kind, session_id)

    def end(self, kind: DisruptionKind) -> None:
        self._target.end(kind)


class CuttableTarget(ProxiedTarget):
    """One whose network can be cut: every connection is reset and new ones are refused."""

    def can(self, kind: DisruptionKind) -> bool:
        return kind == "cut_network" or super().can(kind)

    def begin(self, kind: DisruptionKind, session_id: str) -> str:
        if kind != "cut_network":
            return super().begin(kind, session_id)
        return f"{self._do('cut')} connections reset, new ones refused"

    def end(self, kind: DisruptionKind) -> None:
        if kind != "cut_network":
            super().end(kind)
            return
        self._do("restore")

    def _do(self, command: Literal["cut", "restore"]) -> int:
        try:
            return self._proxy.do(command)
        except ProxyGone as error:
            raise NotServing(f"cut_network: {error}") from error


@contextmanager
def behind_proxy(target: Target) -> Iterator[CuttableTarget]:
    """``target`` through a proxy that can ``cut_network``. Raises NotServing."""
    server = _socket_of(target)
    how = "WebSockets go through a proxy on this machine, which takes some of the time"
    with ExitStack() as stack:
        proxy = _started(stack, proxy_process(server, Impairment()))
        yield CuttableTarget(target, proxy, how)


@contextmanager
def lossy(target: Target, impairment: Impairment, *, seed: int = 0) -> Iterator[ProxiedTarget]:
    """``target`` over a network that loses and delays packets both ways. Raises NotServing."""
    server = _socket_of(target)
    with ExitStack() as stack:
        try:
            link = stack.enter_context(_link(server, impairment))
        except Unavailable as error:
            how = f"loss is imitated by a proxy, as a retransmission's delay ({error})"
            proxy = _started(stack, proxy_process(server, impairment, seed=seed))
        else:
            left, how = _left_to_do(link, impairment)
            dial = link.address, server[1]
            proxy = _started(stack, proxy_process(dial, left, seed=seed, namespace=link.far))
        yield ProxiedTarget(target, proxy, how)


@contextmanager
def _link(server: Address, impairment: Impairment) -> Iterator[Link]:
    host, _ = server
    try:
        host = socket.gethostbyname(host)
    except OSError as error:
        raise Unavailable(f"{host}: {error}") from error
    with lossy_link(
        impairment.loss, host=host, delay_s=impairment.delay_s, jitter_s=impairment.jitter_s
    ) as link:
        yield link


def _left_to_do(link: Link, impairment: Impairment) -> tuple[Impairment, str]:
    """What is left for the proxy to do, and a description of the whole."""
    how = "packets are lost on a real link (network namespaces, nftables)"
    if not (impairment.delay_s or impairment.jitter_s):
        return Impairment(), how
    if link.delays:
        return Impairment(), f"{how}, which delays them (tc netem)"
    return impairment._replace(loss=0.0), f"{how}; a proxy at its far end delays what is carried"


def _started(stack: ExitStack, proxy: AbstractContextManager[Proxy]) -> Proxy:
    try:
        return stack.enter_context(proxy)
    except (ProxyGone, Unavailable) as error:
        raise NotServing(str(error)) from error


def _socket_of(target: Target) -> Address:
    """The address of the target's WebSockets, as given or from a join. Raises NotServing."""
    answered = ""
    if target.ws_url is None:
        with Rest(target.http_url) as rest:
            answered = rest.websocket_url()
    return place(endpoint(target.ws_url, answered, target.description.dialect))
