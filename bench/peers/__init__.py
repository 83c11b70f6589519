"""Comparators: small servers of the same contract, as other Python teams would build them.

Each is a separate program, built from packages of pip and apt, that imports nothing of locshare:

- ``python -m bench.peers.inprocess``: Starlette on uvicorn, sessions in memory;
- ``python -m bench.peers.redis``: the same, stateless, with everything shared in Redis.

They are meant as fair opponents: an update is encoded once, every connection has a bounded queue,
and uvloop, httptools and the C parts of ``websockets`` and ``redis`` are used. docs/benchmarks.md
lists what they leave out; ``tests/contract`` runs the same tests against all servers.
"""
