"""Conversations of every kind that a chat request can hold, generated: tools in parallel, images, reasoning, parts."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import strategies as st

WORDS = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=12)
NAMES = st.from_regex(r"[a-z_]{1,8}", fullmatch=True)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-99, 99) | WORDS,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(NAMES, inner, max_size=2),
    max_leaves=4,
)
TEXT_PART = st.builds(lambda text: {"type": "text", "text": text}, WORDS)
IMAGE_PART = st.sampled_from(
    [
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}},
        {"type": "image_url", "image_url": {"url": "data:image/jpeg;base64,/9j/4AAQ", "detail": "low"}},
    ]
)
SYSTEM = st.builds(lambda role, text: {"role": role, "content": text}, st.sampled_from(["system", "developer"]), WORDS)
USER = st.builds(
    lambda content: {"role": "user", "content": content},
    WORDS | st.lists(TEXT_PART | IMAGE_PART, min_size=1, max_size=3),
)


@st.composite
def answers(draw: st.DrawFn) -> list[dict[str, Any]]:
    """An assistant's turn: text, or calls for tools with their results behind them in order."""
    said: dict[str, Any] = {"role": "assistant", "content": draw(WORDS)}
    if draw(st.booleans()):
        thought = draw(WORDS)
        said["reasoning"] = thought
        said["reasoning_details"] = [{"type": "reasoning.text", "text": thought, "format": "unknown", "index": 0}]
    if draw(st.booleans()):
        return [said]
    said["content"] = draw(st.none() | WORDS)
    arguments = draw(st.lists(st.dictionaries(NAMES, JSON, max_size=2), min_size=1, max_size=3))
    said["tool_calls"] = [
        {
            "id": f"call_{draw(st.integers(0, 1 << 40))}_{number}",
            "type": "function",
            "function": {"name": draw(NAMES), "arguments": json.dumps(each)},
        }
        for number, each in enumerate(arguments)
    ]
    contents = WORDS | st.lists(TEXT_PART, min_size=1, max_size=2)
    results = [{"role": "tool", "tool_call_id": call["id"], "content": draw(contents)} for call in said["tool_calls"]]
    return [said, *results]


@st.composite
def conversations(draw: st.DrawFn) -> list[dict[str, Any]]:
    """A whole conversation that a user began and the user may go on with."""
    messages = draw(st.lists(SYSTEM, max_size=1))
    for _ in range(draw(st.integers(1, 3))):
        messages = [*messages, draw(USER), *draw(answers())]
    return [*messages, draw(USER)]


def texts(content: Any) -> str:
    """The text of a content, its parts joined."""
    if isinstance(content, list):
        return "\n".join(part["text"] for part in content if part["type"] == "text")
    return content or ""


def images(content: Any) -> list[dict[str, Any]]:
    """The images of a content."""
    return [part for part in content if part["type"] == "image_url"] if isinstance(content, list) else []
