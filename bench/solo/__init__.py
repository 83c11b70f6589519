"""Benchmarks of this server alone, each a command of its own: ``python -m bench.solo.load``, say.

docs/performance.md has the results, bench/diary.md their history.
"""
