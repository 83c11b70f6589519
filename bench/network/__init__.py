"""Impairments of the network between the driver and a server under measurement."""
