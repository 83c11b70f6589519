"""Sockets and addresses: listening, accepting, whose connection it is."""
