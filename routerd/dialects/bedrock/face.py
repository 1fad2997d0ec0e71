"""Amazon Bedrock's Converse and ConverseStream: the face of the dialect.

Requests, answers, streams and errors have their own files beside it; another vendor's API inside Bedrock's frames is
read by bedrock_invoke.py.
"""

from __future__ import annotations

from routerd.dialects.bedrock.answer import decode
from routerd.dialects.bedrock.error import decode_error
from routerd.dialects.bedrock.request import encode
from routerd.dialects.bedrock.stream import StreamDecoder
from routerd.dialects.bodied import Bodied
from routerd.dialects.shape import Decoder

__all__ = ["decode", "decode_error", "decoder", "encode"]


def decoder() -> Decoder:
    """One stream, read into neutral chunks."""
    return Bodied(StreamDecoder(), decode)
