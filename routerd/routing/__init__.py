"""Which endpoint is tried, in which order, and what follows a failure: pure decisions."""
