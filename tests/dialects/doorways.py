"""Every door, with the smallest request that it takes."""

from __future__ import annotations

from typing import Any

from routerd.dialects.doors import GEMINI, PATHS

DOORS = {door.name: door for door in (*PATHS.values(), GEMINI)}
WAY: dict[str, dict[str, Any]] = {"gemini": {"model": "m", "stream": False}}
"""What the path says at a door whose path says something."""
HI = [{"role": "user", "content": "Hi"}]
BODIES: dict[str, dict[str, Any]] = {
    "chat": {"model": "m", "messages": HI},
    "completions": {"model": "m", "prompt": "Hi"},
    "messages": {"model": "m", "max_tokens": 9, "messages": HI},
    "responses": {"model": "m", "input": "Hi"},
    "gemini": {"contents": [{"role": "user", "parts": [{"text": "Hi"}]}]},
    "embeddings": {"model": "m", "input": "Hi"},
    "rerank": {"model": "m", "query": "Hi", "documents": ["a", "b"]},
}
"""The smallest request of each door."""
