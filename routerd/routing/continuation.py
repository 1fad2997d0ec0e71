"""Continuation: a stream that died in mid-answer goes on at another candidate. Pure, and off unless it is switched on.

The text so far becomes the beginning of the assistant's answer. Only plain text can be continued: half a tool call, a
signed thought or a constrained answer cannot be finished by somebody else. It is always marked, for the two halves
may differ.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from routerd.needs import Needs

CONSTRAINED = frozenset({"response_format", "structured_outputs", "logprobs", "top_logprobs", "audio", "prediction"})
"""Parameters of which the answer must be of one piece."""
TEXT = frozenset({"text"})


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """What the client has of the answer."""

    text: str
    choices: int = 1
    tool_calls: bool = False
    reasoning: bool = False


def obstacle(needs: Needs, told: Told) -> str | None:
    """Why an answer cannot be continued; None: it can."""
    if told.choices != 1:
        return "it has several choices"
    if told.tool_calls:
        return "it calls tools"
    if told.reasoning and not told.text:
        return "it died while thinking"
    if not told.text.strip():
        return "it has no text yet"
    if needs.output_modalities != TEXT:
        return "it is not only text"
    if constrained := sorted(needs.parameters & CONSTRAINED):
        return f"{', '.join(constrained)} asks for an answer of one piece"
    return None


def continued(request: Mapping[str, Any], told: Told) -> dict[str, Any]:
    """The request (in the neutral shape) whose answer goes on where the text ends.

    Space at the end is left out: Anthropic refuses a beginning that ends in it
    (https://docs.anthropic.com/en/docs/build-with-claude/prefill-claudes-response); `rest` takes it out of the answer.
    """
    messages = [*request["messages"], {"role": "assistant", "content": told.text.rstrip()}]
    return {**request, "messages": messages}


def rest(told: Told, begins: str) -> str:
    """The beginning of the continuation as the client should see it: without the space that it has already."""
    trailing = told.text[len(told.text.rstrip()) :]
    return begins.removeprefix(trailing) if trailing else begins


def stage(first: str, then: str) -> dict[str, Any]:
    """The entry of `openrouter_metadata.pipeline` that marks it."""
    return {
        "type": "plugin",
        "name": "continuation",
        "summary": f"the stream of {first} died, {then} continued the answer",
        "data": {"from": first, "to": then},
    }
