"""Comparator: picows on uvloop, sessions in memory, a broadcast per update, and no task for a
connection: the fastest that Python teams build.
"""
