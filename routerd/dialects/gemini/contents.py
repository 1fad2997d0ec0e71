"""The messages of a conversation as Gemini's `contents`.

Gemini knows two roles that alternate, `user` and `model`; system messages stand apart, results of calls are parts of a
user's turn. Its thoughts are signed, and since Gemini 3 a call without its signature is refused
(https://ai.google.dev/gemini-api/docs/thought-signatures): signatures come from `reasoning_details`, and a call that
another vendor's model made gets the word that Google documents for that.
"""

from __future__ import annotations

from typing import Any

from routerd.dialects.gemini.media import parts_of
from routerd.dialects.gemini.words import FORMAT, UNSIGNED, generation, items, members, text
from routerd.wire.lenient import decoded

Json = dict[str, Any]

_IN_RESPONSES = ("image/", "application/pdf", "text/plain")
"""Files that may stand inside a function's response, since Gemini 3
(https://ai.google.dev/gemini-api/docs/function-calling#multimodal)."""


class Conversation:
    """Messages, turn by turn, as `contents` and `system`."""

    __slots__ = ("_names", "_strict", "contents", "dropped", "system")

    def __init__(self, messages: object, *, model: str) -> None:
        self._names: dict[str, str] = {}
        """The function that each call is of, by the call's id: Gemini names it in the response."""
        self._strict = generation(model) >= 3
        self.contents: list[Json] = []
        self.system: list[Json] = []
        self.dropped: list[str] = []
        for message in items(messages):
            self._add(message)
        if not self.contents and self.system:
            self.contents = [{"role": "user", "parts": self.system}]  # Gemini wants something to answer
            self.system = []
        if self.contents and self.contents[0]["role"] == "model":
            # A call must follow a user's turn; an empty one will do (recorded).
            self.contents.insert(0, {"role": "user", "parts": [{"text": ""}]})

    def _add(self, message: Json) -> None:
        role = message.get("role")
        if role in ("system", "developer"):
            self.system += self._parts(message.get("content"))
        elif role == "assistant":
            self._turn("model", self._assistant(message))
        elif role in ("tool", "function"):
            self._turn("user", self._result(message))
        else:
            self._turn("user", self._parts(message.get("content")))

    def _turn(self, role: str, parts: list[Json]) -> None:
        """Add to the last turn if it is of the same role; nothing said is no turn."""
        if not parts:
            return
        if self.contents and self.contents[-1]["role"] == role:
            self.contents[-1]["parts"] += parts
        else:
            self.contents.append({"role": role, "parts": parts})

    def _parts(self, content: object) -> list[Json]:
        parts, dropped = parts_of(content)
        self.dropped += dropped
        return parts

    def _assistant(self, message: Json) -> list[Json]:
        """Thoughts, what Google's tools did, the text, images, calls: each with its signature."""
        thoughts, signed, unnamed = _details(message.get("reasoning_details"))
        said = self._parts(message.get("content"))
        if unnamed:
            spoken = next((part for part in reversed(said) if "text" in part), None)
            if spoken is None:
                said.append(spoken := {"text": ""})  # streams end with a signature on an empty text
            spoken["thoughtSignature"] = unnamed.pop()
            said[:0] = [{"text": "", "thoughtSignature": signature} for signature in unnamed]
        for index, image in enumerate(items(message.get("images"))):
            said += _signed(self._parts([image]), signed.get(f"image:{index}"))
        asked = items(message.get("tool_calls")) or items([{"function": message.get("function_call")}])
        calls = [self._call(call, signed) for call in asked if isinstance(call.get("function"), dict)]
        if calls and self._strict:
            calls[0].setdefault("thoughtSignature", UNSIGNED)
        return [*thoughts, *said, *calls]

    def _call(self, call: Json, signed: dict[str, str]) -> Json:
        function, identity = members(call.get("function")), text(call.get("id"))
        name = text(function.get("name"))
        said = function.get("arguments")
        arguments = decoded(said.encode(errors="replace")) if isinstance(said, str) else said
        self._names[identity] = name
        made: Json = {"name": name, "args": members(arguments)}
        if identity:
            made["id"] = identity
        google = members(members(call.get("extra_content")).get("google"))  # as Gemini's OpenAI door spells it
        signature = signed.get(identity) or text(google.get("thought_signature"))
        return _signed([{"functionCall": made}], signature)[0]

    def _result(self, message: Json) -> list[Json]:
        identity = text(message.get("tool_call_id"))
        name = self._names.get(identity) or text(message.get("name")) or identity
        parts = self._parts(message.get("content"))
        spoken = "\n".join(part["text"] for part in parts if "text" in part)
        media = [part for part in parts if "text" not in part]
        made: Json = {"name": name, "response": _response(spoken, with_media=bool(media))}
        if identity:
            made["id"] = identity
        inside = [part for part in media if self._strict and _fits(part)]
        if inside:
            made["parts"] = inside
        return [{"functionResponse": made}, *(part for part in media if part not in inside)]


def _response(spoken: str, *, with_media: bool) -> Json:
    """What a function gave: JSON as it is, other text under `result`."""
    value = decoded(spoken.encode(errors="replace")) if spoken[:1] in {"{", "["} else None
    if isinstance(value, dict):
        return value
    if not spoken and with_media:
        return {}
    return {"result": value if isinstance(value, list) else spoken}


def _fits(part: Json) -> bool:
    held = part.get("inlineData") or part.get("fileData") or {}
    return text(held.get("mimeType")).startswith(_IN_RESPONSES)


def _signed(parts: list[Json], signature: str | None) -> list[Json]:
    if parts and signature:
        parts[0]["thoughtSignature"] = signature
    return parts


def _details(details: object) -> tuple[list[Json], dict[str, str], list[str]]:
    """Gemini's own details: parts that come before the text, signatures by id, and those without one."""
    parts: list[Json] = []
    signed: dict[str, str] = {}
    unnamed: list[str] = []
    for detail in items(details):
        if detail.get("format") != FORMAT:
            continue
        kind, signature = detail.get("type"), text(detail.get("signature"))
        if kind == "reasoning.text":
            parts += _signed([{"text": text(detail.get("text")), "thought": True}], signature)
        elif kind == "reasoning.server_tool_call":
            parts += _signed([_own_tool(detail)], signature)
        elif kind == "reasoning.encrypted" and (data := text(detail.get("data"))):
            if identity := text(detail.get("id")):
                signed[identity] = data
            else:
                unnamed.append(data)
    return parts, signed, unnamed


def _own_tool(detail: Json) -> Json:
    """What one of Google's own tools was asked or answered (gemini/parts.py), as the part that it came as."""
    asked, answered = text(detail.get("arguments")), text(detail.get("result"))
    held = members(decoded((asked or answered).encode(errors="replace")))
    name = text(detail.get("tool_name"))
    if name == "code_execution":
        return {"executableCode" if asked else "codeExecutionResult": held}
    made: Json = {"toolType": name, "args" if asked else "response": held}
    if identity := text(detail.get("tool_call_id")):
        made["id"] = identity
    return {"toolCall" if asked else "toolResponse": made}
