"""What a request cost, and the log that is the one truth about it."""
