"""Builds the single-file program: ``make binary``."""
