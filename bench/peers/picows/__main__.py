"""``python -m bench.peers.picows --http 127.0.0.1:8092 --ws-port 8093``"""

from bench.peers.common.app import run
from bench.peers.common.settings import count, parser, settings_of


def main() -> None:
    flags = parser("python -m bench.peers.picows", "a comparator: picows and uvloop in one process")
    flags.add_argument(
        "--ws-port", type=count, default=8093, metavar="N",
        help="the port of the WebSocket, which picows serves (default 8093)",
    )  # fmt: skip
    flags.add_argument(
        "--flush-window-ms", type=count, default=0, metavar="MS",
        help="join the positions of a session for so long into one write (default: do not)",
    )  # fmt: skip
    run(settings_of(flags.parse_args()), "bench.peers.picows.app:application")


if __name__ == "__main__":
    main()
