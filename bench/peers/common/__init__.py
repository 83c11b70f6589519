"""Shared by the comparators: everything but the storage of sessions."""
