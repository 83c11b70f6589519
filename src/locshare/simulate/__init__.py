"""Simulated participants of a running server, over its public interface only.

``geo``, ``segments``, ``movement``, ``cities``, ``track``, ``timing`` and ``people`` are pure.
``gpx`` reads recorded tracks, ``crowd`` is the participants, ``simulation`` runs them, ``ledger``
accounts for each delivery, and ``display`` shows the figures. ``demo`` keeps a session with
participants in it for as long as the server runs.
"""
