"""A phone without Flutter: Flet's real Session over a connection that answers as Dart would.

``@on_the_phone`` runs a test in asyncio's loop, as Flet runs the app, with Trio as the app's guest.
"""

import asyncio
import dataclasses
import functools
import inspect
from collections.abc import Callable, Coroutine, Mapping
from contextlib import asynccontextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar, get_origin, get_type_hints

import flet as ft
import flet_geolocator as ftg
import msgpack
from flet.controls.base_control import BaseControl
from flet.controls.context import _context_page
from flet.messaging.connection import Connection
from flet.messaging.protocol import MessageAction, configure_encode_object_for_msgpack
from flet.messaging.session import Session
from flet.pubsub.pubsub_hub import PubSubHub

from phone.app import App
from phone.backend import VARIABLE
from tests.running import LAST_RESORT_S

C = TypeVar("C", bound=BaseControl)
ENVIRONMENTS = Path(__file__).parents[2] / "clients" / "phone" / "src" / "environments.toml"
PERIOD_S = 0.1
"""Of the publisher: what it is on a phone is a rule of test_publisher.py."""
GRANTED: Mapping[str, Any] = {
    "get_permission_status": "whileInUse",
    "request_permission": "whileInUse",
    "is_location_service_enabled": True,
    "get_battery_level": 80,
    "is_in_battery_save_mode": False,
    "get": "",
    "request": "granted",
    "get_current_position": None,
    "share_text": {"status": "success", "raw": ""},
}
"""What a phone answers whose owner allows everything."""


def on_the_phone(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Run ``test`` in a loop of its own; it fails with what is left unhandled in the loop."""

    @functools.wraps(test)
    def run(*arguments: Any, **fixtures: Any) -> None:
        async def main() -> None:
            trouble: list[str] = []
            loop = asyncio.get_running_loop()
            loop.set_exception_handler(lambda _, found: trouble.append(str(found)))
            async with asyncio.timeout(2 * LAST_RESORT_S):  # more than that of a single wait
                await test(*arguments, **fixtures)
            assert trouble == [], "\n".join(trouble)

        asyncio.run(main())

    run.__signature__ = inspect.signature(test)  # type: ignore[attr-defined]
    return run


class Phone(Connection):
    """One page of ``app``. ``answers`` are by the name of the call."""

    def __init__(
        self, app: App, *, platform: str = "android", language: str = "en", **answers: Any
    ) -> None:
        connection: Any = super()
        connection.__init__()
        self.app = app
        self.loop = asyncio.get_running_loop()
        self.pubsubhub = PubSubHub(loop=self.loop)
        info = device_info(platform, language)
        self.answers = {**GRANTED, "get_device_info": info, **answers}
        self.calls: list[tuple[str, Any]] = []
        self.crashes: list[str] = []
        self.renders = 0
        self.bytes_sent = 0
        self.changed = asyncio.Event()
        """Set with every message to Flutter."""
        configure: Any = configure_encode_object_for_msgpack
        self._encode = configure(BaseControl)
        self.session: Any = Session(self)
        self.page: ft.Page = self.session.page
        self.session.apply_page_patch(
            {"platform": platform, "web": False, "width": 393.0, "height": 851.0, "route": "/",
             "pwa": False, "wasm": False, "pyodide": False, "platform_brightness": "light"}
        )  # fmt: skip

    @property
    def state(self) -> Any:
        return self.app.state

    def packed(self, value: Any) -> Any:
        """``value`` as Flutter reads it."""
        return msgpack.unpackb(msgpack.packb(value, default=self._encode))

    def send_message(self, message: Any) -> None:
        packed = msgpack.packb([message.action, message.body], default=self._encode)
        self.bytes_sent += len(packed)
        if message.action == MessageAction.PATCH_CONTROL:
            self.renders += 1
        self.changed.set()
        if message.action == MessageAction.INVOKE_METHOD:
            body = message.body
            self.calls.append((body.name, self.packed(body.args)))
            answer = self.answers.get(body.name)
            if answer is not NEVER:
                self.loop.call_soon(self._answer, body.control_id, body.call_id, answer)
        elif message.action == MessageAction.SESSION_CRASHED:
            self.crashes.append(message.body.message)

    def _answer(self, control_id: int, call_id: str, answer: Any) -> None:
        if control_id in self.session.index:  # else its page is gone
            self.session.handle_invoke_method_results(control_id, call_id, answer, None)

    async def start(self, route: str = "/") -> None:
        """Run ``main``, as Flet does for a new page."""
        self.session.apply_page_patch({"route": route})
        # Packing takes the snapshots that later patches are differences to.
        msgpack.packb(self.session.get_page_patch(), default=self._encode)
        current: ContextVar[Any] = _context_page
        token = current.set(self.page)
        try:
            await self.app.main(self.page)
        finally:
            current.reset(token)

    # --- what is on the screen

    def all(self, kind: type[C]) -> list[C]:
        """The mounted controls of a kind."""
        found: list[C] = []
        seen: set[int] = set()

        def visit(value: Any) -> None:
            if isinstance(value, list | tuple):
                for each in value:
                    visit(each)
            elif isinstance(value, BaseControl) and id(value) not in seen:
                seen.add(id(value))
                if getattr(value, "visible", True) is False:
                    return
                if isinstance(value, kind):
                    found.append(value)
                for each in dataclasses.fields(value):
                    if not each.metadata.get("skip"):
                        visit(getattr(value, each.name, None))

        visit(self.page.views)
        return found

    @property
    def texts(self) -> list[str]:
        return [str(each.value) for each in self.all(ft.Text)]

    def has(self, text: str) -> bool:
        return any(text in each for each in self.texts)

    def by_key(self, key: str) -> Any:
        found = [each for each in self.all(BaseControl) if getattr(each, "key", None) == key]
        assert len(found) == 1, f"{key}: {len(found)} on the screen, which says {self.texts}"
        return found[0]

    def service(self, kind: type[C]) -> C:
        [one] = [each for each in self.page._services._services if isinstance(each, kind)]
        assert isinstance(one, kind)
        return one

    # --- what a person and the phone do

    async def event(self, control: BaseControl, name: str, data: Any = None) -> None:
        await self.session.dispatch_event(control._i, name, data)
        await self.settle()

    async def press(self, key: str) -> None:
        await self.event(self.by_key(key), "click")

    async def type(self, key: str, text: str) -> None:
        control = self.by_key(key)
        self.session.apply_patch(control._i, {"value": text})
        await self.event(control, "change", text)

    async def choose(self, key: str, value: str) -> None:
        control = self.by_key(key)
        self.session.apply_patch(control._i, {"selected": [value]})
        await self.event(control, "change", [value])

    async def lifecycle(self, *states: str) -> None:
        for state in states:
            await self.event(self.page, "app_lifecycle_state_change", {"state": state})

    async def stand(self, lat: float, lng: float, **more: Any) -> None:
        """The device gives a fix."""
        geolocator = self.service(ftg.Geolocator)
        if geolocator.on_position_change is None:
            return
        await self.event(geolocator, "position_change", {"position": fix(lat, lng, **more)})

    async def settle(self, turns: int = 20) -> None:
        for _ in range(turns):
            await asyncio.sleep(0)

    async def idle(self) -> None:
        """Return when the loop has nothing more to do at once, and for a moment after it."""
        for _ in range(3):
            await self.settle(50)
            await asyncio.sleep(0.03)

    async def quiet(self) -> None:
        """Return when nothing has been sent to Flutter for a while: what was shown last is drawn
        in a batch of Flet's own.
        """
        while True:
            self.changed.clear()
            try:
                await asyncio.wait_for(self.changed.wait(), 0.4)
            except TimeoutError:
                return

    async def until(self, holds: Callable[[], Any], what: str = "") -> None:
        """Return when ``holds``; it is looked at whenever something was sent to Flutter."""
        try:
            async with asyncio.timeout(LAST_RESORT_S):
                while not holds():
                    self.changed.clear()
                    # Not for long, since some things change without a message.
                    try:
                        await asyncio.wait_for(self.changed.wait(), 0.1)
                    except TimeoutError:
                        continue
        except TimeoutError:
            raise AssertionError(f"not {what or 'seen'}; the screen says {self.texts}") from None

    async def shows(self, text: str) -> None:
        await self.until(lambda: self.has(text), f"shown: {text}")


NEVER = object()
"""An answer that never comes."""


def device_info(platform: str, language: str) -> dict[str, Any]:
    """What a phone says of itself: nothing but its languages."""
    kinds = {"ios": ft.IosDeviceInfo, "linux": ft.LinuxDeviceInfo, "macos": ft.MacOsDeviceInfo}
    kind = kinds.get(platform, ft.AndroidDeviceInfo)
    return {**_blank(kind), "locales": [{"language_code": language}]}


def _blank(kind: Any) -> dict[str, Any]:
    hints = get_type_hints(kind)
    found: dict[str, Any] = {}
    for each in dataclasses.fields(kind):
        of = hints[each.name]
        found[each.name] = (
            _blank(of)
            if dataclasses.is_dataclass(of)
            else []
            if get_origin(of) is list
            else of()
            if of in (str, int, bool, float)
            else None
        )
    return found


def fix(lat: float, lng: float, **more: Any) -> dict[str, Any]:
    return {
        "latitude": lat, "longitude": lng, "accuracy": 5.0, "timestamp": datetime.now(UTC),
        "speed": 0.0, "heading": 0.0, "altitude": 0.0, **more,
    }  # fmt: skip


@asynccontextmanager
async def phone(
    folder: Path, server: str, monkeypatch: Any = None, *, route: str = "/", **options: Any
) -> Any:
    """A phone whose app creates sessions at ``server``; ended in order with the block."""
    if monkeypatch is not None:
        monkeypatch.setenv(VARIABLE, server)
    app = App(ENVIRONMENTS, folder)
    app.controller._publisher._period_s = PERIOD_S
    made = Phone(app, **options)
    try:
        await made.start(route)
        await made.settle()
        yield made
        assert made.crashes == []
    finally:
        await app.controller.close()
        made.session.close()  # else its task is left in the loop, which complains when it is found
        await made.settle()
