"""Runs cases of the Autobahn test suite against a WebSocket server that echoes.

Run as a program, ``autobahn.py URL CASE…``: a line of JSON for each case that was run, in order. In
a process of its own, because kosoku, which runs the suite's own case files on Python 3, patches
``binascii`` for them.
"""

import asyncio
import json
import os
import sys
from collections.abc import Sequence

import kosoku


async def run(url: str, cases: Sequence[str]) -> None:
    """Print each case's verdicts: on its messages and on its close."""
    try:
        results = await kosoku.run_fuzzingclient(url, cases, concurrency=8)
    except kosoku.FailureError as failure:
        results = failure.results
    for each in results:
        verdict = {
            "case": each.case_id,
            "behavior": each.behavior.value,
            "close": each.behavior_close.value,
            "result": f"{each.result} {each.result_close}",
            "seconds": each.duration / 1000,
        }
        sys.stdout.write(json.dumps(verdict) + "\n")


if __name__ == "__main__":
    asyncio.run(run(sys.argv[1], sys.argv[2:]))
    sys.stdout.flush()
    os._exit(0)  # kosoku's threads abort the process when Python ends before them
