"""The ground that all other rooms stand on. Pure; imports nothing of ours."""
