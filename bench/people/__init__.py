"""The people of a load: their sessions, movement and visits. Pure and seeded: the same seed makes
the same people, for every server.

``sizes`` makes groups, ``arrivals`` and ``visits`` decide when people are connected, ``phone`` what
they report; ``population`` combines them. The movement is that of ``locshare simulate``.
"""
