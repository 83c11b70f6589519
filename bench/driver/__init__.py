"""The load generator: many virtual users of any dialect against one server, in one loop of one
thread, with every delivery tracked.

:mod:`measure` is the way in: a target and a plan in, a :class:`bench.results.Run` out.
"""
