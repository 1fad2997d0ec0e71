"""The messages door: Anthropic's Messages, for any model. The face of the modules named after it."""

from __future__ import annotations

from routerd.dialects.messages.answer import answer
from routerd.dialects.messages.answer import count_answer as count
from routerd.dialects.messages.error import error
from routerd.dialects.messages.request import read, to_chat, unsaid
from routerd.dialects.messages.stream import encoder

__all__ = ["answer", "count", "encoder", "error", "read", "to_chat", "unsaid"]
