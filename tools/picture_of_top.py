"""Draw `locshare top` as it looks at a running server: docs/pictures/top.svg.

Start a server, let people move in it (`locshare simulate`), and run

    .venv/bin/python tools/picture_of_top.py CONTROL_SOCKET [ORDER]

It watches for a few seconds, traces the first session, and writes what the terminal would show.
ORDER is that of the sessions, as for --sort. (The committed picture: a server with --faults, of
whose sessions some were crashed, by restarts.)
"""

import argparse
import io
from pathlib import Path
from typing import Final, get_args

import trio
from rich.console import Console

from locshare.ops.control import open_control
from locshare.ops.inspection.views import SortKey, Trace, TraceLine, TreeSnapshot, Watch
from locshare.ops.top.model import ScreenModel
from locshare.ops.top.screen import draw

WIDTH: Final = 132
HEIGHT: Final = 38
TARGET: Final = Path(__file__).resolve().parent.parent / "docs" / "pictures" / "top.svg"


async def main(socket: Path, order: SortKey) -> None:
    model = ScreenModel(order)
    async with open_control(socket) as control, open_control(socket) as tracing:
        seen = 0
        async for snapshot in control.stream(Watch(1.0, 12, order), TreeSnapshot):
            model.show(snapshot)
            seen += 1
            if seen == 3:
                break
        sessions = [row for row in model.rows if row.view.path.endswith("/session")]
        model.selected = model.tracing = sessions[0].view.path
        with trio.move_on_after(2):
            async for line in tracing.stream(Trace(model.selected), TraceLine):
                model.traced(line)
        model.show(await anext(control.stream(Watch(1.0, 12, order), TreeSnapshot)))
    console = Console(record=True, width=WIDTH, height=HEIGHT, file=io.StringIO())
    console.print(draw(model, HEIGHT))
    TARGET.write_text(console.export_svg(title="locshare top"))
    print(f"wrote {TARGET}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("socket", type=Path, help="the control socket of a running server")
    parser.add_argument("order", choices=get_args(SortKey), nargs="?", default="load")
    options = parser.parse_args()
    trio.run(main, options.socket, options.order)
