"""One file a language: ``TEXTS`` by key, ``NAME`` as its speakers write it."""
