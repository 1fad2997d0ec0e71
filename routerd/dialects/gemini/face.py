"""Google's generateContent, on AI Studio and (frame "vertex") on Vertex: the dialect's face.

Requests, answers, streams and what is passed straight through have their own files beside it.
"""

from __future__ import annotations

from routerd.dialects.gemini.answer import decode, decode_error, retry_delay
from routerd.dialects.gemini.request import encode
from routerd.dialects.gemini.stream import GeminiDecoder

__all__ = ["decode", "decode_error", "decoder", "encode", "retry_delay"]


def decoder() -> GeminiDecoder:
    """One stream, read into neutral chunks."""
    return GeminiDecoder()
