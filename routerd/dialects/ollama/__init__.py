"""Ollama's own chat as a dialect."""
