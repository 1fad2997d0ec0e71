"""Bytes to events and back: pure, no I/O, no knowledge of any provider."""
