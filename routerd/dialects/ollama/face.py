"""Ollama's own chat API as a dialect: https://docs.ollama.com/api/chat. Base URL `http://127.0.0.1:11434`."""

from __future__ import annotations

from routerd.dialects.ollama.answer import LineDecoder as decoder  # noqa: N813  # the name that all dialects have
from routerd.dialects.ollama.answer import completion as decode
from routerd.dialects.ollama.request import encode
from routerd.dialects.openai.error import decode_error

__all__ = ["decode", "decode_error", "decoder", "encode"]
