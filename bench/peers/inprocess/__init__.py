"""Comparator: Starlette on uvicorn, sessions in memory, a broadcast per update."""
