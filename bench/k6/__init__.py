"""The five scenarios for k6, and what runs them: :mod:`bench.k6.run`."""
