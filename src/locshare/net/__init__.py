"""Listening sockets, accepting, connection slots, and client addresses."""
