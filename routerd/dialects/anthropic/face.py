"""Anthropic's Messages as a dialect, at Anthropic itself, on Vertex and on Bedrock. The face of the modules named so.

Behind the messages door nothing is translated: `rewrite` changes the client's bytes where it must, `AnthropicTap` reads
the stream that passes through.
"""

from __future__ import annotations

from routerd.dialects.anthropic.answer import amend_answer, decode, read_answer
from routerd.dialects.anthropic.request import encode
from routerd.dialects.anthropic.rewrite import rewrite, rewrite_count
from routerd.dialects.anthropic.stream import decoder
from routerd.dialects.anthropic.tap import AnthropicTap
from routerd.dialects.openai.error import decode_error

__all__ = [
    "AnthropicTap",
    "amend_answer",
    "decode",
    "decode_error",
    "decoder",
    "encode",
    "read_answer",
    "rewrite",
    "rewrite_count",
]
