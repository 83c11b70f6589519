"""The Observer of this BEAM: the live tree of a running server, and what may be done to an actor.

``views`` is what is shown, ``tree`` reads it off the supervisors, ``operations`` offers it on the
control socket (:mod:`locshare.ops.control`), ``text`` writes it for people, ``web`` shows it on an
internal port. ``locshare top`` is the other end.

Shown are names of children, types, counts and times; never a message, a state, a person, a
position, or enough of a session's id to join it.
"""
