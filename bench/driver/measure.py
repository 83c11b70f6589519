"""One run: a target and a plan in, a :class:`bench.results.Run` out.

All join over HTTP beforehand; the WebSockets are measured. The phases: people connect, each at the
planned moment → the measured time → sending stops, updates in flight are waited for → stale pairs
are counted → all close → the hosts end the sessions.
"""

import gc
import time
from collections.abc import Sequence

from msgspec.structs import replace

from bench.driver.compact import CompactAdapter
from bench.driver.crowd import Crowd, Entry, Second
from bench.driver.dialect import Access, DialectAdapter
from bench.driver.endpoints import endpoint
from bench.driver.fault_injection import FaultInjection
from bench.driver.phoenix import PhoenixAdapter
from bench.driver.plain import PlainAdapter
from bench.driver.plan import Plan
from bench.driver.progress import Observer, RunStatus
from bench.driver.remarks import remarks
from bench.driver.rest_probe import rest_probe
from bench.driver.usage import UsageMeter, UsageSample
from bench.rest import Profile, Rest, Room
from bench.results import Moment, Run
from bench.servers import allow_connections
from bench.targets.target import Target


def measure(
    target: Target, plan: Plan, observer: Observer, *, via: tuple[str, int] | None = None
) -> Run:
    """``via`` replaces host and port of the WebSocket's address. Raises NotServing when the run is
    impossible; lost updates, refused and ended connections are results.
    """
    description = target.description
    observer.begins(description.name, plan.scenario, plan.title)
    allow_connections(plan.people)
    with Rest(target.http_url) as rest:
        observer.phase(f"{plan.people:,} people join")
        groups = [[Profile(each.name, each.color) for each in group] for group in plan.sessions]
        rooms = rest.fill(groups)
        gc.collect()
        gc.disable()  # a collection among thousands of objects would look like latency
        try:
            with rest_probe(target.http_url if plan.probes_rest else None) as probe:
                run = _Running(target, plan, observer, rooms, via).run()
                run = replace(run, rest=probe.calls())
        finally:
            gc.enable()
            rest.each(rest.end, [room.session for room in rooms])
    observer.ended(run)
    return run


class _Running:
    def __init__(
        self,
        target: Target,
        plan: Plan,
        observer: Observer,
        rooms: Sequence[Room],
        via: tuple[str, int] | None,
    ) -> None:
        self._target = target
        self._plan = plan
        self._watcher = observer
        self._failures = sum(each is None for room in rooms for each in room.joined)
        self._moments: list[Moment] = []
        self._meter = UsageMeter(target.pids)
        adapter = _adapter(target)
        entries = _entries(target, adapter, plan, rooms)
        self._crowd = Crowd(plan, adapter, entries, time.monotonic(), via)
        self._crowd.listeners.append(self._second)
        self._ends = self._crowd.began + plan.measured_from_s + plan.duration_s
        """When sending stops."""
        self._injection = FaultInjection(target, plan, self._crowd, rooms[0].session.session_id)

    def run(self) -> Run:
        plan, crowd, say = self._plan, self._crowd, self._watcher.phase
        try:
            crowd.begin()
            if plan.measured_from_s:
                say("connecting")
                crowd.run_until(crowd.began + plan.measured_from_s)
                crowd.wait_for_all(plan.waits_s, plan.interval_s)
            say("measuring")
            self._ends = time.monotonic() + plan.duration_s
            crowd.count()
            self._moments.clear()
            self._meter.begin()
            self._injection.begin()
            crowd.run_until(self._ends)
            usage = self._meter.usage(crowd.tracker.delivered)
            share = self._meter.generator_share
            network = crowd.network()
            say("waiting for updates in flight")
            crowd.drain(plan.drain_s)
            self._injection.end()
            crowd.tracker.settle()
            stale = crowd.tracker.stale_pairs()
            say("closing connections")
            crowd.leave(plan.goodbye_s)
        finally:
            self._injection.close()
            crowd.close()
        tracker, stats = crowd.tracker, crowd.stats
        crowd.latencies.merge(tracker.take_latencies())
        excused = self._injection.excuses
        return Run(
            scenario=plan.scenario,
            target=self._target.description.name,
            title=plan.title,
            seed=plan.seed,
            scale=plan.scale,
            people=plan.people,
            sessions=len(plan.sessions),
            interval_s=plan.interval_s,
            duration_s=plan.duration_s,
            delivery=crowd.latencies.latencies(),
            connect=stats.connect.latencies() if stats.connect.count else None,
            reconnect=stats.reconnect.latencies() if stats.reconnect.count else None,
            sent=tracker.sent,
            expected=tracker.expected,
            delivered=tracker.delivered,
            lost=tracker.lost,
            stale_pairs=stale,
            foreign=tracker.foreign,
            refused=sum(not excused(moment) for moment in stats.refusals),
            disconnects=sum(not excused(moment) for moment in stats.ends),
            connections=stats.opened,
            join_failures=self._failures,
            usage=usage,
            network=network,
            moments=tuple(self._moments),
            disruptions=self._injection.disruptions(),
            remarks=(*remarks(tracker, stats, usage, share), *self._injection.remarks()),
        )

    def _second(self, second: Second) -> None:
        sample = self._meter.sample()
        moment = _moment(second, sample)
        self._moments.append(moment)
        crowd, stats = self._crowd, self._crowd.stats
        self._watcher.moment(
            moment,
            RunStatus(
                target=self._target.description.name,
                scenario=self._plan.scenario,
                title=self._plan.title,
                people=self._plan.people,
                left_s=max(self._ends - time.monotonic(), 0.0),
                sent=crowd.tracker.sent,
                expected=crowd.tracker.expected,
                delivered=crowd.tracker.delivered,
                lost=crowd.tracker.lost,
                refused=len(stats.refusals),
                disconnects=len(stats.ends),
                reconnects=stats.reconnect.count,
                generator_share=self._meter.generator_share,
            ),
        )


def _moment(second: Second, sample: UsageSample) -> Moment:
    latencies = second.latencies
    some = bool(latencies.count)
    return Moment(
        at_s=round(second.at_s, 3),
        connected=second.connected,
        wanted=second.wanted,
        due=second.due,
        sent=second.sent,
        delivered=second.delivered,
        disconnects=second.disconnects,
        p50_ms=latencies.percentile_ms(0.5) if some else None,
        p95_ms=latencies.percentile_ms(0.95) if some else None,
        p99_ms=latencies.percentile_ms(0.99) if some else None,
        max_ms=round(latencies.max_s * 1e3, 4) if some else None,
        cpu_share=sample.cpu_share,
        rss_bytes=sample.rss_bytes,
        context_switches=sample.context_switches,
    )


def _adapter(target: Target) -> DialectAdapter:
    match target.description.dialect:
        case "plain":
            return PlainAdapter()
        case "compact":
            return CompactAdapter()
        case "phoenix":
            return PhoenixAdapter(target.topic)


def _entries(
    target: Target, adapter: DialectAdapter, plan: Plan, rooms: Sequence[Room]
) -> list[list[Entry]]:
    """Those who could join, by session."""
    found = []
    for participants, room in zip(plan.sessions, rooms, strict=True):
        entered = []
        for participant, joined in zip(participants, room.joined, strict=True):
            if joined is not None:
                access = Access(room.session.session_id, joined.user_id, joined.websocket_token)
                answered = joined.websocket_url
                url = endpoint(target.ws_url, answered, target.description.dialect)
                entered.append((participant, access, adapter.address(access, url)))
        found.append(entered)
    return found
