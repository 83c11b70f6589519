"""What the comparators share: everything but where the sessions are kept."""
