"""The parts of a Gemini candidate, read into OpenRouter's message or delta.

One `Candidate` reads one candidate of an answer, whole or event by event: what a stream must remember (indices of calls
and of reasoning details, a call whose arguments are still coming, the text that citations count in) is kept here.

What Gemini needs back in the next turn goes into `reasoning_details`: a thought with its signature, a signature under
the id of the call or image it stands on (under none: on the text), and what Google's own tools did.
"""

from __future__ import annotations

import base64
import hashlib
from typing import Any

import msgspec

from routerd.dialects.gemini.arguments import Arguments
from routerd.dialects.gemini.citations import citations, queries
from routerd.dialects.gemini.words import FORMAT, ending_of, items, members, standard_base64, text

Json = dict[str, Any]

_SOURCES = frozenset({"groundingMetadata", "citationMetadata"})
_OWN_TOOLS = {"toolCall": "args", "toolResponse": "response"}


class Candidate:
    """One candidate of an answer, as far as it has come."""

    __slots__ = ("_annotated", "_arguments", "_detail", "_images", "_kind", "_spoken", "_tag", "calls", "searches")

    def __init__(self, tag: str) -> None:
        self._tag = tag
        """What makes the ids of its calls differ from those of other answers."""
        self.calls = 0
        self.searches = 0
        self._images = 0
        self._spoken: list[str] = []
        self._annotated: set[bytes] = set()
        self._detail = -1
        self._kind = ""
        self._arguments: Arguments | None = None

    def read(self, candidate: Json) -> Json:
        """The delta that a candidate, or the piece of one in an event, says. Never raises."""
        delta: Json = {}
        for part in items(members(candidate.get("content")).get("parts")):
            self._part(part, delta)
        if not _SOURCES.isdisjoint(candidate):
            self._note_sources(candidate, delta)
        return delta

    def _note_sources(self, candidate: Json, delta: Json) -> None:
        """Citations that were not told before: a stream may repeat them."""
        self.searches = max(self.searches, queries(candidate))
        noted = []
        for annotation in citations(candidate, self._spoken):
            key = msgspec.json.encode(annotation)
            if key not in self._annotated:
                self._annotated.add(key)
                noted.append(annotation)
        if noted:
            delta["annotations"] = noted

    def close(self) -> Json:
        """The arguments of a call that Google never ended."""
        delta: Json = {}
        if self._arguments is not None:
            self._end_call(delta)
        return delta

    def _part(self, part: Json, delta: Json) -> None:
        signature = text(part.get("thoughtSignature"))
        said = part.get("text")
        self._spoken.append("")
        if isinstance(call := part.get("functionCall"), dict):
            signed = self._call(call, delta)
        elif isinstance(said, str) and part.get("thought") is True:
            self._thought(said, signature, delta)
            return
        elif isinstance(said, str):
            self._spoken[-1] = said
            if said:
                self._kind = ""
                delta["content"] = delta.get("content", "") + said
            signed = None
        elif isinstance(blob := part.get("inlineData"), dict):
            if part.get("thought") is True:
                return  # a draft of an image, not the answer's
            signed = self._blob(blob, delta)
        elif own := own_tool(part):
            self._add(own | ({"signature": signature} if signature else {}), delta)
            return
        else:
            signed = None
        if signature:
            detail: Json = {"type": "reasoning.encrypted", "data": signature}
            self._add(detail | ({"id": signed} if signed else {}), delta)

    def _thought(self, said: str, signature: str, delta: Json) -> None:
        if said:
            delta["reasoning"] = delta.get("reasoning", "") + said
        told = delta.get("reasoning_details")
        if self._kind == "thought" and told and not signature:
            told[-1]["text"] += said
            return
        if not said and not signature:
            return
        goes_on = self._kind == "thought"
        detail: Json = {"type": "reasoning.text", "text": said}
        if signature:
            detail["signature"] = signature
        self._add(detail, delta, goes_on=goes_on)
        self._kind = "" if signature else "thought"

    def _add(self, detail: Json, delta: Json, *, goes_on: bool = False) -> None:
        """One more reasoning detail; one that goes on has the index of the last."""
        self._detail += not goes_on
        self._kind = ""
        delta.setdefault("reasoning_details", []).append({**detail, "format": FORMAT, "index": max(0, self._detail)})

    def _call(self, call: Json, delta: Json) -> str | None:
        """A call, or the next piece of one; the id of a call that begins here."""
        name = text(call.get("name"))
        begins = bool(name) or self._arguments is None
        if begins:
            if self._arguments is not None:
                self._end_call(delta)
            begun = self._begin(call, name, delta)
        if self._arguments is not None:
            self._arguments.add(call)
            if call.get("willContinue") is not True:
                self._end_call(delta)
        return begun if begins else None

    def _begin(self, call: Json, name: str, delta: Json) -> str:
        self._arguments = Arguments()
        index, self.calls = self.calls, self.calls + 1
        identity = text(call.get("id")) or _identity(self._tag, index, call)
        begun = {"index": index, "id": identity, "type": "function", "function": {"name": name, "arguments": ""}}
        delta.setdefault("tool_calls", []).append(begun)
        return identity

    def _end_call(self, delta: Json) -> None:
        """Say the arguments of the call under way: in the event that began it, or in one of their own."""
        said = msgspec.json.encode(self._arguments.value).decode() if self._arguments else "{}"
        self._arguments = None
        calls = delta.setdefault("tool_calls", [])
        if calls and calls[-1]["index"] == self.calls - 1:
            calls[-1]["function"]["arguments"] += said
        else:
            calls.append({"index": self.calls - 1, "function": {"arguments": said}})

    def _blob(self, blob: Json, delta: Json) -> str | None:
        """An image, a sound or a file; the name of an image, which a signature goes by."""
        mime, data = text(blob.get("mimeType")), standard_base64(text(blob.get("data")))
        if mime.startswith("audio/"):
            audio = delta.setdefault("audio", {"id": f"audio_{self._tag}", "data": "", "format": ending_of(mime)})
            audio["data"] = _joined(audio["data"], data)
            return None
        address = f"data:{mime};base64,{data}"
        if not mime.startswith("image/"):
            file = {"type": "file", "file": {"filename": f"file.{ending_of(mime)}", "file_data": address}}
            delta.setdefault("files", []).append(file)
            return None
        image = {"type": "image_url", "image_url": {"url": address}, "index": self._images}
        delta.setdefault("images", []).append(image)
        self._images += 1
        return f"image:{self._images - 1}"


def _identity(tag: str, index: int, call: Json) -> str:
    """An id for a call that has none: the same whenever the same answer is read, another one in every answer."""
    seed = msgspec.json.encode([tag, index, call.get("name"), None if tag else call.get("args")])
    return "call_" + hashlib.blake2b(seed, digest_size=12).hexdigest()


def _joined(first: str, second: str) -> str:
    """Two pieces of base64 as one."""
    if not first.endswith("="):
        return first + second
    try:
        joined = base64.b64decode(first, validate=True) + base64.b64decode(second, validate=True)
    except ValueError:
        return first + second
    return base64.b64encode(joined).decode()


def own_tool(part: Json) -> Json:
    """What one of Google's own tools was asked or answered, as a detail; {} for any other part.

    Calls have an empty result and results have empty arguments, so that either can be told and given back.
    """
    for name, member in _OWN_TOOLS.items():
        if isinstance(tool := part.get(name), dict):
            said = msgspec.json.encode(tool.get(member) or {}).decode()
            return _server_call(text(tool.get("toolType")) or name, text(tool.get("id")), said, call=name == "toolCall")
    for name in ("executableCode", "codeExecutionResult"):
        if isinstance(code := part.get(name), dict):
            said = msgspec.json.encode(code).decode()
            return _server_call("code_execution", text(code.get("id")), said, call=name == "executableCode")
    return {}


def _server_call(name: str, identity: str, said: str, *, call: bool) -> Json:
    detail: Json = {"type": "reasoning.server_tool_call", "tool_name": name}
    detail |= {"arguments": said if call else "", "result": "" if call else said}
    return detail | ({"tool_call_id": identity} if identity else {})
