"""What the program says of itself: logs, redaction, metrics, crash reports."""
