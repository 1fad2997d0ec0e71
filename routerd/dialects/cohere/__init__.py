"""Cohere's chat, version 2, as a dialect."""
