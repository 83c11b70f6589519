"""Impairment on the way between the people and a server under measurement."""
