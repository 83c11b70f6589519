"""Trouble between the driver and a target's WebSockets, as a target that leads through it.

::

    with lossy(target, loss=0.2, delay_s=0.05, jitter_s=0.02) as troubled:
        ...  # drive `troubled`; REST goes the usual way

The people connect to a proxy instead, and say all that they would say to the server: its address
stays what it is, so that its certificate, too, is that of whom they mean.

Where the machine lets it (Linux, root, ``ip``, ``nft``) packets are lost on a real link between two
TCP stacks; elsewhere a proxy imitates what an application sees of it. ``how`` says which it was.
"""

import socket
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import replace

from bench.driver.connection import place
from bench.driver.endpoints import endpoint
from bench.driver.rest import Rest
from bench.network.faults import Cut, Faults
from bench.network.namespace import Link, Unavailable, lossy_link
from bench.network.process import proxy_process
from bench.network.proxy import Address, Proxy, ProxyGone
from bench.results import DisruptionKind, TargetDescription
from bench.targets.target import NotServing, Target


class Rerouted:
    """A target whose WebSockets lead through a proxy; all else is the target's own."""

    def __init__(self, target: Target, proxy: Proxy, how: str) -> None:
        self._target = target
        self._proxy = proxy
        self.via = proxy.address
        """Where to connect, whatever address a WebSocket has."""
        self.how = how
        """What is done to the connections, for the remarks of a run."""

    @property
    def description(self) -> TargetDescription:
        """The target's."""
        return self._target.description

    @property
    def http_url(self) -> str:
        """The target's."""
        return self._target.http_url

    @property
    def ws_url(self) -> str | None:
        """The target's."""
        return self._target.ws_url

    @property
    def topic(self) -> str:
        """The target's."""
        return self._target.topic

    def pids(self) -> Sequence[int]:
        """The target's: what the proxy takes is not the server's."""
        return self._target.pids()

    def can(self, kind: DisruptionKind) -> bool:
        """What the target can."""
        return self._target.can(kind)

    def begin(self, kind: DisruptionKind, session_id: str) -> str:
        """As the target does. Raises NotServing."""
        return self._target.begin(kind, session_id)

    def end(self, kind: DisruptionKind) -> None:
        """As the target does. Raises NotServing."""
        self._target.end(kind)


class Cuttable(Rerouted):
    """One whose network can be cut: every connection is reset and new ones are refused."""

    def can(self, kind: DisruptionKind) -> bool:
        """What the target can, and this."""
        return kind == "cut_network" or super().can(kind)

    def begin(self, kind: DisruptionKind, session_id: str) -> str:
        """Cut the network, or what the target does. Raises NotServing."""
        if kind != "cut_network":
            return super().begin(kind, session_id)
        try:
            self._proxy.do(Faults(refusing=True))
            many = self._proxy.do(Cut())
        except ProxyGone as error:
            raise NotServing(f"cut_network: {error}") from error
        return f"{many} connections reset, new ones refused"

    def end(self, kind: DisruptionKind) -> None:
        """Let connections through again, or what the target does. Raises NotServing."""
        if kind != "cut_network":
            super().end(kind)
            return
        try:
            self._proxy.do(Faults())
        except ProxyGone as error:
            raise NotServing(f"cut_network: {error}") from error


@contextmanager
def behind_proxy(target: Target) -> Iterator[Cuttable]:
    """``target`` through a proxy without faults, which can ``cut_network``. Raises NotServing."""
    server = _socket_of(target)
    how = "WebSockets go through a proxy on this machine, which takes some of the time"
    with ExitStack() as stack:
        proxy = _started(stack, proxy_process(server))
        yield Cuttable(target, proxy, how)


@contextmanager
def lossy(
    target: Target, *, loss: float, delay_s: float, jitter_s: float, seed: int = 0
) -> Iterator[Rerouted]:
    """``target`` over a way that loses the share ``loss`` of the packets of each direction and
    takes ``delay_s`` longer, more or less by up to ``jitter_s``. Raises NotServing.
    """
    server = _socket_of(target)
    faults = Faults(loss=loss, delay_s=delay_s, jitter_s=jitter_s)
    with ExitStack() as stack:
        try:
            link = stack.enter_context(_link(server, faults))
        except Unavailable as error:
            how = f"loss is imitated by a proxy, as a retransmission's delay ({error})"
            proxy = _started(stack, proxy_process(server, faults=faults, seed=seed))
        else:
            faults, how = _left_to_do(link, faults)
            dial = link.address, server[1]
            proxy = _started(
                stack, proxy_process(dial, faults=faults, seed=seed, namespace=link.far)
            )
        yield Rerouted(target, proxy, how)


@contextmanager
def _link(server: Address, faults: Faults) -> Iterator[Link]:
    host, _ = server
    try:
        host = socket.gethostbyname(host)
    except OSError as error:
        raise Unavailable(f"{host}: {error}") from error
    with lossy_link(
        faults.loss, host=host, delay_s=faults.delay_s, jitter_s=faults.jitter_s
    ) as link:
        yield link


def _left_to_do(link: Link, faults: Faults) -> tuple[Faults, str]:
    """What the link does not do itself, and how to say what is done."""
    how = "packets are lost on a real link (network namespaces, nftables)"
    if not (faults.delay_s or faults.jitter_s):
        return Faults(), how
    if link.delays:
        return Faults(), f"{how}, which delays them (tc netem)"
    return replace(faults, loss=0.0), f"{how}; a proxy at its far end delays what is carried"


def _started(stack: ExitStack, proxy: AbstractContextManager[Proxy]) -> Proxy:
    try:
        return stack.enter_context(proxy)
    except (ProxyGone, Unavailable) as error:
        raise NotServing(str(error)) from error


def _socket_of(target: Target) -> Address:
    """Where the target's WebSockets are, as it says or as a join is answered. Raises NotServing."""
    answered = "" if target.ws_url is not None else Rest(target.http_url).websocket_url()
    return place(endpoint(target.ws_url, answered, target.description.dialect))
