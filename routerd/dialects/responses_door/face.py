"""The responses door: OpenAI's Responses API as clients speak it to us (Codex, OpenAI's and OpenRouter's SDKs).

This module is the face of the door: requests are in responses_door/request.py, with their tools and their input in the
files named so; answers and streams likewise. Where the provider speaks this API too, bytes go straight through:
responses/tap.py.
"""

from __future__ import annotations

import msgspec

from routerd import errors
from routerd.dialects.responses_door.answer import answer
from routerd.dialects.responses_door.request import read, to_chat
from routerd.dialects.responses_door.stream import ResponsesEncoder

__all__ = ["answer", "encoder", "error", "read", "to_chat"]

encoder = ResponsesEncoder


def error(error: errors.RouterdError) -> bytes:
    """A refusal: OpenAI's envelope, whose `code` stays a number because OpenRouter's SDKs throw on anything else."""
    return msgspec.json.encode({**errors.envelope(error), "error_type": error.error_type})
