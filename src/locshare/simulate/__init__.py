"""Simulated people: how they move, what their phones send, and what came of it.

``geo``, ``pieces``, ``movement``, ``cities`` and ``track`` are pure; ``ledger`` keeps the account
of what was sent and received; ``people`` and ``crowd`` are the tasks; ``table`` shows it.
"""
