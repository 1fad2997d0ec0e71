"""Cohere's chat, version 2, as a dialect: https://docs.cohere.com/reference/chat. Base URL `https://api.cohere.com/v2`."""

from __future__ import annotations

from routerd.dialects.bodied import Bodied
from routerd.dialects.cohere.answer import completion as decode
from routerd.dialects.cohere.request import encode
from routerd.dialects.cohere.stream import StreamDecoder
from routerd.dialects.openai.error import decode_error
from routerd.dialects.shape import Decoder

__all__ = ["decode", "decode_error", "decoder", "encode"]


def decoder() -> Decoder:
    """One stream, read into neutral chunks."""
    return Bodied(StreamDecoder(), decode)
