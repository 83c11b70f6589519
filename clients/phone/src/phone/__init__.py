"""The phone app: locshare on Android and iOS, with Flet.

Imports go one way: ``screens`` show what ``state`` holds and call the ``controller``, which alone
has side effects; everything else is pure or one device. ``main.py`` makes one controller for the
process.
"""
