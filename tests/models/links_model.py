"""What monitors, links and names should be, in plain Python: no tasks, no Trio (59 to 66)."""

from dataclasses import dataclass, field

ABNORMAL = ("crash", "killed", "noproc")


@dataclass(eq=False)
class Life:
    """An actor. Its inbox is handled at the end of a step, unless it is suspended or dead."""

    number: int
    traps: bool
    reason: str | None = None
    suspended: bool = False
    links: dict[int, None] = field(default_factory=dict)
    inbox: list[tuple[str, "Watch | None"]] = field(default_factory=list)


@dataclass(eq=False)
class Watch:
    """A monitor, by an actor or (``watcher`` None) by a callback, which may cancel another."""

    number: int
    watcher: Life | None
    target: Life
    cancels: "Watch | None" = None
    active: bool = True
    cancelled: bool = False

    def cancel(self) -> None:
        self.cancelled = True
        self.active = False


@dataclass
class LinksModel:
    lives: list[Life] = field(default_factory=list)
    watches: list[Watch] = field(default_factory=list)
    names: dict[str, Life] = field(default_factory=dict)
    waiting: list[tuple[int, str]] = field(default_factory=list)
    found: dict[int, int] = field(default_factory=dict)  #: which waiting actor found which holder
    #: What each actor saw in this step; of those that died in it, at most this.
    seen: list[tuple[int, str]] = field(default_factory=list)
    died: set[int] = field(default_factory=set)

    # -- monitors --------------------------------------------------------------------------

    def monitor(self, watcher: Life | None, target: Life) -> None:
        watch = Watch(len(self.watches), watcher, target)
        self.watches.append(watch)
        if target.reason is not None:
            self.down(watch, "noproc")

    def down(self, watch: Watch, reason: str) -> None:
        if not watch.active:
            return
        watch.active = False
        line = f"down {watch.number} {reason}"
        if watch.watcher is not None:
            watch.watcher.inbox.append((line, watch))
            return
        self.seen.append((-1, line))
        if watch.cancels is not None:
            watch.cancels.cancel()

    # -- links -----------------------------------------------------------------------------

    def link(self, one: Life, other: Life) -> None:
        if one is other:
            return
        if other.reason is not None:
            self.partner_died(one, other, "noproc")
        else:
            one.links[other.number] = other.links[one.number] = None

    def unlink(self, one: Life, other: Life) -> None:
        one.links.pop(other.number, None)
        other.links.pop(one.number, None)

    def partner_died(self, life: Life, partner: Life, reason: str) -> None:
        if life.traps:
            life.inbox.append((f"link {partner.number} {reason}", None))
        elif reason in ABNORMAL and life.reason is None:
            self.die(life, reason)

    # -- names -----------------------------------------------------------------------------

    def register(self, name: str, life: Life) -> int | None:
        """The present holder of the name, if there is one."""
        if name in self.names:
            return self.names[name].number
        if life.reason is None:
            self.names[name] = life
            for number, wanted in self.waiting:
                if wanted == name:
                    self.found[number] = life.number
            self.waiting = [pair for pair in self.waiting if pair[1] != name]
        return None

    def wait(self, number: int, name: str) -> None:
        if name in self.names:
            self.found[number] = self.names[name].number
        else:
            self.waiting.append((number, name))

    # -- ends ------------------------------------------------------------------------------

    def die(self, life: Life, reason: str) -> None:
        """Names first, then links and monitors: an actor that hears of it finds the names free."""
        life.reason = reason
        self.died.add(life.number)
        self.names = {name: holder for name, holder in self.names.items() if holder is not life}
        for watch in self.watches:
            if watch.watcher is life and watch.active:
                watch.cancel()
        partners, life.links = list(life.links), {}
        for number in partners:
            self.lives[number].links.pop(life.number, None)
        for watch in self.watches:
            if watch.target is life:
                self.down(watch, reason)
        for number in partners:
            self.partner_died(self.lives[number], life, reason)

    def settle(self) -> None:
        """Every actor that is not suspended handles what came."""
        for life in self.lives:
            if life.number in self.died or (life.reason is None and not life.suspended):
                for line, watch in life.inbox:
                    if watch is None or not watch.cancelled or life.number in self.died:
                        self.seen.append((life.number, line))
                life.inbox.clear()
