"""Ways to receive, for :mod:`bench.solo.receive`: what :mod:`locshare.connection.transport` does,
and what it could do instead. All serve the same real program; only who reads the frames differs.

Each is made for a measurement. What a flush sends goes to the socket past them, so a control frame
that a library writes by itself could fall into the middle of one that a slow receiver has not
taken whole: nobody is slow there.
"""
