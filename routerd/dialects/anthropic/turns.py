"""A neutral conversation as Anthropic's: a system prompt, and turns in which user and assistant alternate.

Results of tools are blocks of the user turn that follows the calls, before anything else in it
(https://platform.claude.com/docs/en/agents-and-tools/tool-use/implement-tool-use).
"""

from __future__ import annotations

import msgspec

from routerd.dialects.anthropic.parts import THINKING, blocks, reasoning, tool_result, tool_uses
from routerd.dialects.loose import record, records, text
from routerd.dialects.shape import Json

_NOTHING_SAID = "..."
"""What a user is made to say where the conversation begins with the assistant: a turn of the user must come first."""


class Conversation(msgspec.Struct, frozen=True):
    """The parts of a conversation as Anthropic wants them."""

    system: list[Json]
    turns: list[Json]
    dropped: set[str]

    @property
    def calls(self) -> list[str]:
        """The names of the tools that were called, each once."""
        every = (block for turn in self.turns for block in turn["content"])
        return list(dict.fromkeys(block["name"] for block in every if block["type"] == "tool_use"))

    @property
    def unsigned(self) -> bool:
        """The last turn of the assistant called tools without signed thinking before it: another vendor's did.

        Such a turn cannot be gone on with while thinking is on.
        """
        last: list[Json] = next((turn["content"] for turn in reversed(self.turns) if turn["role"] == "assistant"), [])
        called = any(block["type"] == "tool_use" for block in last)
        return called and last[0]["type"] not in THINKING

    @property
    def files(self) -> bool:
        """It refers to files that were uploaded before."""
        every = [block for turn in self.turns for block in turn["content"]]
        every += [part for block in every for part in records(block.get("content"))]
        return any(block.get("type") == "container_upload" or _is_file(block.get("source")) for block in every)

    def mark(self, mark: Json) -> None:
        """Have everything up to the last block cached: what a cache mark of the whole request says."""
        if self.turns and (last := self.turns[-1]["content"][-1])["type"] not in THINKING:
            last.setdefault("cache_control", mark)


def conversation(messages: list[Json]) -> Conversation:
    """The messages in Anthropic's order. Neither they nor what is in them is changed."""
    said = Conversation([], [], set())
    for message in messages:
        role = message.get("role")
        if role in ("system", "developer"):
            said.system.extend(block for block in blocks(message.get("content"), said.dropped) if _is_text(block))
        elif role == "assistant":
            _add(said.turns, "assistant", _assistant(message, said.dropped))
        elif role == "tool":
            _add(said.turns, "user", [tool_result(message, said.dropped)])
        else:
            _add(said.turns, "user", blocks(message.get("content"), said.dropped))
    _settle(said)
    return said


def _assistant(message: Json, dropped: set[str]) -> list[Json]:
    for lost in ("images", "audio", "function_call"):
        if message.get(lost):
            dropped.add(f"messages.{lost}")
    content = blocks(message.get("content"), dropped) or blocks(message.get("refusal"), dropped)
    return [*reasoning(message), *filter(_is_text, content), *tool_uses(message, dropped)]


def _add(turns: list[Json], role: str, content: list[Json]) -> None:
    """Content as a turn of its own, or at the end of the last one if that is of the same role."""
    if not content:
        return
    if turns and turns[-1]["role"] == role:
        turns[-1]["content"] += content
    else:
        turns.append({"role": role, "content": content})


def _settle(said: Conversation) -> None:
    """The rules that hold for all turns together."""
    turns = said.turns
    if not turns and said.system:
        turns.append({"role": "user", "content": [said.system.pop()]})  # a system prompt alone is no conversation
    if turns and turns[0]["role"] == "assistant":
        turns.insert(0, {"role": "user", "content": [{"type": "text", "text": _NOTHING_SAID}]})
    for turn in turns:
        if turn["role"] == "user":
            turn["content"].sort(key=lambda block: block["type"] != "tool_result")
    if turns and turns[-1]["role"] == "assistant" and _is_text(last := turns[-1]["content"][-1]):
        # The beginning of the answer, put into its mouth: it must not end in white space.
        turns[-1]["content"][-1] = {**last, "text": text(last["text"]).rstrip()}


def _is_file(source: object) -> bool:
    return record(source).get("type") == "file"


def _is_text(block: Json) -> bool:
    return bool(block["type"] == "text")
