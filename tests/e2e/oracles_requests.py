"""Requests of five vendors: whether the vendor's own types take them, and what they say, however they are spelled."""

from __future__ import annotations

import base64
import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import msgspec
from openai.types.chat import CompletionCreateParams
from openai.types.responses import response_create_params
from pydantic import TypeAdapter

from tests.dialects import bedrock_recordings
from tests.dialects.anthropic import test_request as test_anthropic_request
from tests.dialects.anthropic.test_request import exhausted
from tests.dialects.gemini import test_face as test_gemini
from tests.dialects.gemini_meaning import spelled

Json = dict[str, Any]
_CHAT: TypeAdapter[Any] = TypeAdapter(CompletionCreateParams)
_RESPONSES: TypeAdapter[Any] = TypeAdapter(response_create_params.ResponseCreateParamsNonStreaming)
WORD = re.compile(r"\w+")
WRAPPERS = {
    *("result", "output", "error", "content", "Error", "response", "document", "file"),
    *("Returned", "by", "the", "tool", "calls", "above"),
}
"""Words that a dialect puts around a tool's result which is no object, or beside a file that may not stand alone."""


class Said(msgspec.Struct):
    """What a request says: every word and every picture and file, the calls and the tools. Thoughts are left out."""

    words: Counter[str] = msgspec.field(default_factory=Counter)
    media: Counter[str] = msgspec.field(default_factory=Counter)
    calls: list[tuple[str, Any]] = []
    tools: set[str] = set()
    off: bool = False
    """No tool may be called, so that none need be named."""

    def say(self, value: object) -> None:
        """Take in text, or JSON, of which the text may be one spelling."""
        for leaf in _leaves(value):
            self.words.update(WORD.findall(leaf))

    def show(self, kind: str, data: str) -> None:
        """Take in a picture or a file: an address, or base64. Text is text, in whichever part it stands."""
        if kind.startswith("text/") and "://" not in data:
            self.say(base64.b64decode(data + "==").decode(errors="replace"))
        else:
            self.media[data.replace("-", "+").replace("_", "/").rstrip("=")[-60:]] += 1

    def see(self, url: str) -> None:
        """Take in what stands in a URL."""
        head, _, data = url.removeprefix("data:").partition(",")
        self.show(*((head.partition(";")[0], data) if url.startswith("data:") else ("", url)))

    def call(self, name: str, arguments: Any) -> None:
        """Take in a call; what stands as JSON text is its value."""
        if isinstance(arguments, str):
            try:
                arguments = json.loads(arguments or "{}")
            except ValueError:
                arguments = {"input": arguments}
        self.calls.append((name, arguments))


def _leaves(value: object) -> Iterator[str]:
    if isinstance(value, str) and value[:1] in ("{", "["):
        try:
            yield from _leaves(json.loads(value))
        except ValueError:
            yield value
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield key
            yield from _leaves(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _leaves(inner)
    elif value is not None:
        yield str(value)


def lost(want: Said, have: Said) -> Iterator[str]:
    """What one request says and the other does not."""
    if missing := {word: count for word, count in (want.words - have.words).items() if word not in WRAPPERS}:
        yield f"words lost: {missing}"[:200]
    if added := {word for word in have.words - want.words if word not in WRAPPERS}:
        yield f"words added: {sorted(added)[:8]}"
    if want.media != have.media:
        yield f"media {list(have.media - want.media)[:3]} instead of {list(want.media - have.media)[:3]}"
    if want.calls != have.calls:
        yield f"calls {have.calls[:2]} instead of {want.calls[:2]}"
    called = {name for name, _ in have.calls}  # a history with calls needs their tools at Bedrock
    if have.tools - called != want.tools - called and not want.off:
        yield f"tools {sorted(have.tools)[:4]} instead of {sorted(want.tools)[:4]}"


# What is said.


def _listed(content: object) -> list[Json]:
    return [{"type": "text", "text": content}] if isinstance(content, str) else list(content or ())  # type: ignore[call-overload]


def chat(body: Json) -> Said:
    tools = [tool.get("function") or tool.get("custom") or {} for tool in body.get("tools") or ()]
    said = Said(tools={tool["name"] for tool in tools if tool}, off=body.get("tool_choice") == "none")
    for message in body["messages"]:
        for part in _listed(message.get("content")):
            match part.get("type"):
                case "image_url":
                    image = part["image_url"]
                    said.see(image if isinstance(image, str) else image["url"])
                case "file":
                    said.see(part["file"].get("file_data") or part["file"]["file_id"])
                case "input_audio":
                    said.show("audio", part["input_audio"]["data"])
                case "video_url":
                    said.see(part["video_url"]["url"])
                case _:
                    said.say(part.get("text") or part.get("refusal"))
        for call in message.get("tool_calls") or ():
            called = call.get("function") or call["custom"]
            said.call(called["name"], called.get("arguments") or called.get("input"))
    return said


def responses(body: Json) -> Said:
    given = body["input"]
    more = [tool for item in given if isinstance(item, dict) for tool in item.get("tools") or ()]
    tools = [tool for tool in [*(body.get("tools") or ()), *more] if tool["type"] in ("function", "custom")]
    said = Said(tools={tool["name"] for tool in tools}, off=body.get("tool_choice") == "none")
    said.say(body.get("instructions"))
    for item in [{"role": "user", "content": given}] if isinstance(given, str) else given:
        if item.get("type") in ("function_call", "custom_tool_call"):
            said.call(item["name"], item.get("arguments") or item.get("input"))
        for part in _listed(item.get("content") if "role" in item else item.get("output")):
            match part.get("type"):
                case "input_image":
                    said.see(part.get("image_url") or part["file_id"])
                case "input_file":
                    said.see(part.get("file_data") or part.get("file_url") or part["file_id"])
                case _:
                    said.say(part.get("text") or part.get("refusal"))
    return said


def anthropic(body: Json) -> Said:
    said = Said(tools={tool["name"] for tool in body.get("tools") or () if tool.get("type", "custom") == "custom"})
    blocks = _listed(body.get("system"))
    for message in body["messages"]:
        blocks += _listed(message["content"])
    for block in blocks:
        _block(said, block)
    return said


def _block(said: Said, block: Json) -> None:
    match block["type"]:
        case "text":
            said.say(block["text"])
        case "image" | "document":
            _source(said, block["source"])
        case "tool_use":
            said.call(block["name"], block["input"])
        case "tool_reference":
            said.say(block["tool_name"])
        case "tool_result":
            for inner in _listed(block.get("content")):
                _block(said, inner)


def _source(said: Said, source: Json) -> None:
    match source["type"]:
        case "text":
            said.say(source["data"])
        case "base64":
            said.show(source["media_type"], source["data"])
        case "content":
            for inner in _listed(source["content"]):
                _block(said, inner)
        case kind:
            said.show("", source[kind.replace("file", "file_id")])


def gemini(body: Json) -> Said:
    body = spelled(body)
    functions = [one for tool in body.get("tools") or () for one in tool.get("functionDeclarations", ())]
    said = Said(tools={function["name"] for function in functions})
    contents = body["contents"] if isinstance(body["contents"], list) else [body["contents"]]
    for content in [body.get("systemInstruction") or {}, *contents]:
        for part in content.get("parts") or ():
            _part(said, part)
    return said


def _part(said: Said, part: Json) -> None:
    if "inlineData" in part:
        said.show(part["inlineData"]["mimeType"], part["inlineData"]["data"])
    elif "fileData" in part:
        said.show("", part["fileData"]["fileUri"])
    elif "functionCall" in part:
        said.call(part["functionCall"]["name"], part["functionCall"].get("args") or {})
    elif "functionResponse" in part:
        said.say(part["functionResponse"]["response"])
        for inner in part["functionResponse"].get("parts") or ():
            _part(said, inner)
    elif not part.get("thought"):
        said.say(part.get("text"))


def bedrock(body: Json) -> Said:
    tools = (body.get("toolConfig") or {}).get("tools") or ()
    said = Said(tools={tool["toolSpec"]["name"] for tool in tools if "toolSpec" in tool})
    for block in [*(body.get("system") or ()), *(block for turn in body["messages"] for block in turn["content"])]:
        _converse(said, block)
    return said


def _converse(said: Said, block: Json) -> None:
    for kind in ("image", "document", "video", "audio"):
        if kind in block:
            source = block[kind]["source"]
            text = block[kind]["format"] in ("txt", "md", "csv", "html")
            if "text" in source:
                said.say(source["text"])
            else:
                location = source.get("s3Location", {}).get("uri")
                said.show("text/" if text else "", location or source["bytes"])
    if "toolUse" in block:
        said.call(block["toolUse"]["name"], block["toolUse"]["input"])
    for inner in block.get("toolResult", {}).get("content", ()):
        _converse(said, inner)
    said.say(block.get("text"))
    said.say(block.get("json"))


# Whether it is taken.


def _answered(calls: Iterable[str], results: Iterable[str]) -> None:
    assert sorted(calls) == sorted(results), "calls without results, or results without calls"


def take_chat(body: Json) -> None:
    exhausted(_CHAT.validate_python(body))
    waiting: set[str] = set()
    for message in body["messages"]:
        if message["role"] == "tool":
            assert message["tool_call_id"] in waiting, "a result without its call"
            waiting.discard(message["tool_call_id"])
        else:
            assert not waiting, "a call without its result"
        waiting |= {call["id"] for call in message.get("tool_calls") or ()}


def take_responses(body: Json) -> None:
    items = [{"id": "rs", **item} if item["type"] == "reasoning" else item for item in body["input"]]
    exhausted(_RESPONSES.validate_python({**body, "input": items}))
    called = [item["call_id"] for item in items if item["type"] in ("function_call", "custom_tool_call")]
    given = [item["call_id"] for item in items if item["type"].endswith("call_output")]
    assert set(given) <= set(called), "a result without its call"


def take_anthropic(body: Json) -> None:
    test_anthropic_request.accepted(body)
    for before, after in zip(body["messages"], body["messages"][1:], strict=False):
        calls = [block["id"] for block in before["content"] if block["type"] == "tool_use"]
        _answered(calls, [block["tool_use_id"] for block in after["content"] if block["type"] == "tool_result"])


def take_bedrock(body: Json) -> None:
    assert bedrock_recordings.complaints(body) == ""
    for place, turn in enumerate(body["messages"]):
        assert turn["role"] == ("user", "assistant")[place % 2]
    for before, after in zip(body["messages"], body["messages"][1:], strict=False):
        calls = [block["toolUse"]["toolUseId"] for block in before["content"] if "toolUse" in block]
        _answered(calls, [block["toolResult"]["toolUseId"] for block in after["content"] if "toolResult" in block])


SAID: Mapping[str, Callable[[Json], Said]] = {
    "openai": chat,
    "responses": responses,
    "anthropic": anthropic,
    "gemini": gemini,
    "bedrock": bedrock,
}
TAKES: Mapping[str, Callable[[Json], None]] = {
    "openai": take_chat,
    "responses": take_responses,
    "anthropic": take_anthropic,
    "gemini": test_gemini.valid,
    "bedrock": take_bedrock,
}
