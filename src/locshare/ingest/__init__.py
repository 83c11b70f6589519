"""Positions as other programs send them over HTTP: one file for each protocol, each a pure
translation to a :class:`~locshare.model.position.Position`.

The calls that use them are in :mod:`locshare.api.ingest`.
"""
