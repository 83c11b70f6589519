"""The domain: positions, participants, sessions, their events, and the reasons why things end.

The ground that all other rooms stand on. Pure; imports nothing else of the program. Dialects
(:mod:`locshare.wire`) translate between these types and bytes.
"""
