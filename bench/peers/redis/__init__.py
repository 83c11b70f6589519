"""Comparator: Starlette on uvicorn, stateless workers, all shared state in Redis."""
