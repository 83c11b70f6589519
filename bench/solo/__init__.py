"""Benchmarks of this server alone, each a command, such as ``python -m bench.solo.load``.

docs/performance.md has the results, bench/diary.md their history.
"""
