"""Kept: what a client has of a streamed answer, for whoever may have to continue it when the stream dies."""

from __future__ import annotations

from routerd.dialects.shape import Encoder, Json

MOST = 1024 * 1024
"""Characters that are kept; a longer beginning would fit into the prompt of hardly any model."""


class Kept:
    """The text so far, and what would stand in the way of continuing it. One object for all streams of an answer."""

    __slots__ = ("_parts", "_size", "_trailing", "called", "choices", "encoder", "long", "reasoned", "request")

    def __init__(self) -> None:
        self._parts: list[str] = []
        self._size = 0
        self._trailing = ""
        self.long = False
        """It is more than `MOST`, and was let go."""
        self.choices = 0
        self.called = False
        """It calls tools."""
        self.reasoned = False
        self.request: Json | None = None
        """The neutral request that continues it; None while the first stream runs."""
        self.encoder: Encoder | None = None
        """What writes the client's stream: the next provider's chunks go on where the last one's ended."""

    @property
    def text(self) -> str:
        """What the client has read."""
        return "".join(self._parts)

    def goes_on(self, request: Json) -> None:
        """Continue: the blanks at the end were left out of the new request, so that they may come once more."""
        text = self.text
        self._trailing = text[len(text.rstrip()) :]
        self.request = request

    def note(self, chunk: Json) -> None:
        """Take in a neutral chunk. Blanks that the client has already are taken out of it."""
        for choice in chunk.get("choices") or ():
            self.choices = max(self.choices, choice.get("index", 0) + 1)
            delta = choice.get("delta") or {}
            self.called = self.called or bool(delta.get("tool_calls"))
            self.reasoned = self.reasoned or bool(delta.get("reasoning") or delta.get("reasoning_details"))
            content = delta.get("content")
            if not isinstance(content, str) or not content:
                continue
            if self._trailing:
                content = delta["content"] = content.removeprefix(self._trailing)
                self._trailing = ""
            self._size += len(content)
            self._parts.append(content)
            if self._size > MOST:
                self.long = True
                self._parts.clear()
