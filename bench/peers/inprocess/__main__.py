"""``python -m bench.peers.inprocess --http 127.0.0.1:8090``"""

from bench.peers.common.app import run
from bench.peers.common.settings import parser, settings_of


def main() -> None:
    flags = parser("python -m bench.peers.inprocess", "a comparator: sessions in one process")
    run(settings_of(flags.parse_args()), "bench.peers.inprocess.sessions:application")


if __name__ == "__main__":
    main()
