"""``locshare top``: the live tree of a running server in a terminal.

``model`` is what the user has chosen and what each key does (pure), ``screen`` draws it (pure),
``keys`` reads the keyboard, ``live`` brings them together with the control socket.
"""
