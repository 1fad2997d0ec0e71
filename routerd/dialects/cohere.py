"""Cohere's chat, version 2, as a dialect: https://docs.cohere.com/reference/chat. Base URL `https://api.cohere.com/v2`."""

from __future__ import annotations

from routerd.dialects.cohere_answer import completion as decode
from routerd.dialects.cohere_request import encode
from routerd.dialects.cohere_stream import StreamDecoder as decoder  # noqa: N813  # the name that all dialects have
from routerd.dialects.openai_error import decode_error

__all__ = ["decode", "decode_error", "decoder", "encode"]
