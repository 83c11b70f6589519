"""``python -m bench.peers.redis --http 127.0.0.1:8090 --redis redis://127.0.0.1:6379``"""

import sys

import redis

from bench.peers.common.app import run
from bench.peers.common.settings import count, parser, settings_of

DEFAULT = "redis://127.0.0.1:6379"


def main() -> int:
    flags = parser("python -m bench.peers.redis", "a comparator: stateless workers and Redis")
    flags.add_argument(
        "--redis", default=DEFAULT, metavar="URL", help=f"where Redis is (default {DEFAULT})"
    )
    flags.add_argument(
        "--workers", type=count, default=1, metavar="N", help="processes that serve (default 1)"
    )
    arguments = flags.parse_args()
    try:
        with redis.Redis.from_url(arguments.redis, socket_timeout=5) as client:
            client.ping()
    except (redis.RedisError, ValueError) as error:
        print(
            f"no Redis at {arguments.redis}: {error}\n"
            "Install one (apt install redis-server), start it (redis-server), or give --redis URL.",
            file=sys.stderr,
        )
        return 1
    run(settings_of(arguments), "bench.peers.redis.app:application")
    return 0


if __name__ == "__main__":
    sys.exit(main())
