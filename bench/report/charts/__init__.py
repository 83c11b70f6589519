"""The charts: each function takes results and returns a picture, or None without data."""
