"""OpenAI's Responses API as a dialect: how a provider that speaks it is asked, and how it answers.

OpenAI itself, Azure, xAI, DeepSeek, Amazon Bedrock, OpenRouter and local servers speak it. This module is the face of
the dialect: parameters are in responses/request.py, the conversation in responses/input.py, answers, streams and
reasoning in the files named so. What goes straight through, because the client speaks it too, is in responses/tap.py.
"""

from __future__ import annotations

from functools import partial

from routerd.dialects.bodied import Bodied
from routerd.dialects.openai.error import decode_error
from routerd.dialects.responses.answer import decode
from routerd.dialects.responses.reasoning import OPENAI, format_of
from routerd.dialects.responses.request import encode
from routerd.dialects.responses.stream import ResponsesDecoder
from routerd.dialects.shape import Decoder

__all__ = ["decode", "decode_error", "decoder", "encode", "format_of"]


def decoder(*, format: str = OPENAI) -> Decoder:  # noqa: A002  # OpenRouter's own word
    """One stream, read into neutral chunks. `format` is what its reasoning is named as."""
    return Bodied(ResponsesDecoder(format=format), partial(decode, format=format))
