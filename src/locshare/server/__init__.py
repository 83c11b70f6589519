"""The program put together: the supervision tree, its start and its end."""
