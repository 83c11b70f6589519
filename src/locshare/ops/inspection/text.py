"""A snapshot as plain text: one line per child. For the internal port, and for terminals without
colours. Pure.
"""

from locshare.ops.inspection.views import ActorView, Latency, TreeSnapshot

_ROW = "{:<34} {:<10} {:>9} {:>6} {:>10} {:>6} {:>9} {:>8}  {}"


def as_text(snapshot: TreeSnapshot) -> str:
    """The process_info, then the tree, indented by depth."""
    of = snapshot.process
    up, memory = duration(of.uptime), size(of.rss)
    lag, window = f"{of.lag * 1000:.1f} ms", f"{of.window * 1000:.0f} ms"
    lines = [
        f"locshare {of.version}, pid {of.pid}, up {up}, {memory} in RAM, {of.tasks} tasks",
        f"{of.sessions} sessions, {of.online} of {of.participants} people online",
        f"{of.connections} connections, {of.crashes} session crashes",
        f"loop busy {share(of.busy)}, lag {lag}, flush window {window}",
        f"position latency {latency(of.latency)}",
        "",
        _ROW.format(
            "", "state", "mailbox", "high", "handled", "load", "latency", "restarts", "last reason"
        ),
    ]
    for depth, view in snapshot.root.flat():
        lines.append(_line(depth, view))
        if view.hidden:
            lines.append(f"{'  ' * (depth + 1)}… {view.hidden} more")
    return "\n".join(line.rstrip() for line in lines) + "\n"


def _line(depth: int, view: ActorView) -> str:
    return _ROW.format(
        "  " * depth + view.id,
        state(view),
        mailbox(view),
        number(view.high_water),
        number(view.handled),
        share(view.load),
        milliseconds(view.latency),
        view.restarts,
        reason(view),
    )


def reason(view: ActorView) -> str:
    """Why it last ended abnormally, and when it comes again if that is known."""
    if view.restart_in is None:
        return view.last_reason or ""
    return f"{view.last_reason or 'ended'}; next start in {view.restart_in:.1f} s"


def state(view: ActorView) -> str:
    """The incarnation's word while it runs, else the supervisor's."""
    return view.status if view.state == "running" and view.status else view.state


def mailbox(view: ActorView) -> str:
    """Depth, and the bound if there is one."""
    if view.mailbox is None:
        return ""
    return str(view.mailbox) if view.capacity is None else f"{view.mailbox}/{view.capacity}"


def number(value: int | None) -> str:
    """Empty when there is none."""
    return "" if value is None else str(value)


def share(value: float | None) -> str:
    """Of one core, in per cent."""
    return "" if value is None else f"{value:.1%}"


def milliseconds(seconds: float | None) -> str:
    """Empty when there is none."""
    return "" if seconds is None else f"{seconds * 1000:.1f} ms"


def latency(of: Latency | None) -> str:
    """The three quantiles."""
    if of is None:
        return "not measured: no position came"
    p50, p95, p99 = (milliseconds(each) for each in (of.p50, of.p95, of.p99))
    return f"p50 {p50}, p95 {p95}, p99 {p99}"


def size(count: int) -> str:
    """Bytes for people: binary units, three digits."""
    value = float(count)
    for unit in ("B", "KiB", "MiB"):
        if value < 1000:
            return f"{value:.0f} {unit}" if unit == "B" or value >= 100 else f"{value:.1f} {unit}"
        value /= 1024
    return f"{value:.1f} GiB"


def duration(seconds: float) -> str:
    """The two largest units."""
    whole = int(seconds)
    days, whole = divmod(whole, 86_400)
    hours, whole = divmod(whole, 3600)
    minutes, whole = divmod(whole, 60)
    if days:
        return f"{days} d {hours} h"
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {whole} s" if minutes else f"{whole} s"
