"""Servers that can be measured: those that are there already, given by their address, and those
that are started here.
"""
