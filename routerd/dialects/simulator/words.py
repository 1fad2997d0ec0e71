"""The words of the simulated provider: prose that mentions the prompt, and arguments that fit a tool's schema. Pure.

Nothing here is random: the same prompt gets the same words, so that two runs can be compared byte by byte.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any
from zlib import crc32

PROSE = (
    "No model was asked and nothing was paid: these words come from the simulator inside routerd.",
    "They still took the whole way, over a real socket, through the pool and the stream parser, into the spend log.",
    "A request enters by one door and leaves by whichever provider suits it best at that moment.",
    "When the first choice is busy, the next one is tried before you notice that anything happened.",
    "Each answer ends as exactly one line of the ledger, whether it finished, failed or was broken off.",
    "Your keys stay in the keyring of your own machine, and your prompts pass through nobody else's.",
    "Words that arrive one by one are forwarded one by one, and none of them waits for its neighbour.",
    "If you hang up now, the provider is told within a moment, and no further token is spent.",
    "A price that nobody knows is shown as unknown, because a zero would be a lie.",
    "Change a rule, reload, and the streams that are under way do not even stumble.",
)
THOUGHTS = (
    "The question ends with \u201c{topic}\u201d.",
    "It wants an answer rather than a lecture.",
    "A short one will do, with a word on where it came from.",
)


def topic(messages: Sequence[Mapping[str, Any]]) -> tuple[str, str]:
    """(the last few words of the last message, its role)."""
    message = messages[-1] if messages else {}
    content = message.get("content")
    if isinstance(content, list):
        content = " ".join(str(part.get("text", "")) for part in content if isinstance(part, dict))
    words = re.sub(r"[^\w\s'-]", " ", content if isinstance(content, str) else "").split()
    return " ".join(words[-6:]) or "nothing at all", str(message.get("role"))


def prose(topic: str, role: str, *, tokens: int = 0) -> str:
    """An answer about the topic: four sentences, or enough of them for so many tokens."""
    opening = f"The tool said \u201c{topic}\u201d." if role == "tool" else f"You asked about \u201c{topic}\u201d."
    start = crc32(topic.encode())
    count = max(3, tokens // 12)  # every sentence has more than 12 words
    return " ".join([opening, *(PROSE[(start + at) % len(PROSE)] for at in range(count))])


def thoughts(topic: str) -> str:
    """What a model might think before it answers."""
    return " ".join(THOUGHTS).format(topic=topic)


def pieces(text: str) -> tuple[str, ...]:
    """The text cut into tokens: a word and the space before it is one."""
    return tuple(re.findall(r"\s*\S+", text))


def example(schema: Mapping[str, Any], topic: str) -> Any:  # noqa: ANN401  # JSON
    """A value that fits a JSON schema, as far as an example needs it: enum, const, type, required, items."""
    if "const" in schema:
        return schema["const"]
    if isinstance(schema.get("enum"), list) and schema["enum"]:
        return schema["enum"][0]
    kind = schema.get("type")
    if isinstance(kind, list):
        kind = kind[0] if kind else None
    properties = schema.get("properties")
    if kind == "object" or isinstance(properties, dict):
        known = properties if isinstance(properties, dict) else {}
        required = schema.get("required")
        names = [str(name) for name in required] if isinstance(required, list) else list(known)
        return {name: example(fitting if isinstance(fitting := known.get(name), dict) else {}, topic) for name in names}
    if kind == "array":
        items = schema.get("items")
        return [example(items, topic)] if isinstance(items, dict) else []
    return {"integer": 1, "number": 1.5, "boolean": True, "null": None}.get(str(kind), topic)
