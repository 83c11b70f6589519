"""The people of a load: who is in which session, where they are, how they move, and when they come
and go. Pure and seeded: the same seed is the same people, whatever server they are sent to.

``sizes`` makes groups, ``arrivals`` says when people come, ``visits`` when they are away, ``phone``
what their phones report; ``population`` puts it together. The movement itself is that of
``locshare simulate``.
"""
