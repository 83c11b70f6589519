"""Many people against one server of either dialect, in one loop of one thread: what is sent, what
comes, and an tracker of every delivery.

:mod:`measure` is the way in: a target and a plan in, a :class:`bench.results.Run` out.
"""
