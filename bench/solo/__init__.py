"""This server alone: what one part of it costs, and how far it goes. Each is a command of its own,
``python -m bench.solo.load`` for example; docs/performance.md has their figures. What compares it
with other servers is the rest of :mod:`bench`.
"""
