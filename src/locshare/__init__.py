"""locshare: a group sees itself live on a map, inside a private session that ends by itself."""

__version__ = "0.1.0"
