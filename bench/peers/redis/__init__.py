"""Comparator: Starlette on uvicorn, stateless workers, everything that is shared in Redis."""
