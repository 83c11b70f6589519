"""The charts: each function takes results and returns a picture, or None when there is nothing."""
