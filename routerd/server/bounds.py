"""How much of one provider's answer is held, whatever it sends."""

from __future__ import annotations

MOST_REFUSAL = 64 * 1024
"""Bytes kept of a provider's error body; the rest is read and dropped."""
MOST_ANSWER = 256 * 1024 * 1024
"""Bytes of an answer that is not a stream. It is held until its end, because its usage stands there."""
MOST_HELD = 1024 * 1024
"""Bytes held before the first output; a stream that says this much counts as having begun."""
