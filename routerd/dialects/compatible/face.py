"""OpenAI's chat completions on the translating path: for the many providers that speak them with an accent.

A client of the chat door is served straight through by `openai/straight.py` wherever bytes can pass as they are. This
is the way of everybody else: other doors, and providers whose quirks (`catalogue.schema.Quirks`) ask for more.
"""

from __future__ import annotations

from routerd.dialects.compatible.answer import completion as decode
from routerd.dialects.compatible.request import applies, encode
from routerd.dialects.compatible.stream import StreamDecoder as decoder  # noqa: N813  # the name that all dialects have
from routerd.dialects.openai.error import decode_error

__all__ = ["applies", "decode", "decode_error", "decoder", "encode"]
