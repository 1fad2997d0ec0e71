"""The conversation of an Anthropic request in the neutral shape.

Results of tools become messages of their own, thinking becomes `reasoning_details`; pictures, documents and cache marks
stay parts. What the next turn of the same vendor needs is kept, signatures first of all.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator

import msgspec

from routerd.dialects.anthropic.reader import FORMAT
from routerd.dialects.loose import record, records, text
from routerd.dialects.messages.reasoning import unpacked
from routerd.dialects.shape import Json

_BILLING = "x-anthropic-billing-header:"
"""A line of Claude Code's that changes with its version, and would spoil the prompt cache of everybody else."""

_TOOL_FAILED = "Error: "
"""What stands before the result of a tool that failed; only Anthropic has a member for that."""


def messages(request: Json) -> list[Json]:
    """The neutral messages of a request, its system prompt first."""
    made = list(_system(request.get("system")))
    for message in records(request.get("messages")):
        role = message.get("role")
        if role == "assistant":
            made.append(_assistant(message.get("content")))
        elif role in ("system", "developer"):
            made += _system(message.get("content"))
        else:
            made += _user(message.get("content"))
    return made


def _system(content: object) -> Iterator[Json]:
    blocks = [block for block in _blocks(content) if not text(block.get("text")).startswith(_BILLING)]
    if parts := list(_parts(blocks)):
        yield {"role": "system", "content": _plain(parts)}


def _user(content: object) -> Iterator[Json]:
    """The messages of one user turn: results of tools each on their own, in the order they stand in."""
    parts: list[Json] = []
    for block in _blocks(content):
        if block.get("type") != "tool_result":
            parts += _parts([block])
            continue
        if parts:
            yield {"role": "user", "content": _plain(parts)}
            parts = []
        yield _result(block)
    if parts:
        yield {"role": "user", "content": _plain(parts)}


def _result(block: Json) -> Json:
    content: list[Json] = [dict(part) for part in _parts(_blocks(block.get("content")))]
    begins = text(content[0].get("text")) if content else ""
    if block.get("is_error") is True and "error" not in begins[:80].lower():
        if begins:
            content[0]["text"] = _TOOL_FAILED + begins
        else:
            content.insert(0, {"type": "text", "text": _TOOL_FAILED.rstrip()})
    if content and isinstance(mark := block.get("cache_control"), dict):
        content[-1]["cache_control"] = mark
    return {"role": "tool", "tool_call_id": text(block.get("tool_use_id")), "content": _plain(content)}


def _assistant(content: object) -> Json:
    blocks = _blocks(content)
    parts = list(_parts(blocks))
    marked = any("cache_control" in part for part in parts)
    words = "".join(text(part.get("text")) for part in parts)
    message: Json = {"role": "assistant", "content": parts if marked else words or None}
    thoughts = [text(block.get("thinking")) for block in blocks if block.get("type") == "thinking"]
    if any(thoughts):
        message["reasoning"] = "\n\n".join(filter(None, thoughts))
    if details := list(_details(blocks)):
        message["reasoning_details"] = details
    if calls := [_call(block) for block in blocks if block.get("type") == "tool_use"]:
        message["tool_calls"] = calls
    return message


def _call(block: Json) -> Json:
    given = msgspec.json.encode(record(block.get("input"))).decode()
    function = {"name": text(block.get("name")), "arguments": given}
    return {"id": text(block.get("id")), "type": "function", "function": function}


def _details(blocks: list[Json]) -> Iterator[Json]:
    """What an assistant thought, and did with the provider's own tools."""
    results = {text(block.get("tool_use_id")): block for block in blocks if "tool_use_id" in block}
    for index, block in enumerate(blocks):
        kind = block.get("type")
        own = {"format": FORMAT, "index": index}
        if kind == "thinking":
            signature, words = text(block.get("signature")), text(block.get("thinking"))
            detail = unpacked(signature, words)
            if detail is None and signature:
                detail = {"type": "reasoning.text", "text": words, "signature": signature, **own}
            if detail:
                yield detail
        elif kind == "redacted_thinking":
            data = text(block.get("data"))
            detail = unpacked(data, "")
            if detail is None:
                detail = {"type": "reasoning.encrypted", "data": data, **own}
            if detail:
                yield detail
        elif kind == "server_tool_use":
            result = results.get(text(block.get("id")))
            yield {
                "type": "reasoning.server_tool_call",
                "tool_call_id": text(block.get("id")),
                "tool_name": text(block.get("name")),
                "arguments": msgspec.json.encode(record(block.get("input"))).decode(),
                "result": msgspec.json.encode(result).decode() if result else "",
                **own,
            }


def _blocks(content: object) -> list[Json]:
    return [{"type": "text", "text": content}] if isinstance(content, str) else records(content)


def _parts(blocks: list[Json]) -> Iterator[Json]:
    """Content blocks as parts of a neutral message, with their cache marks."""
    for block in blocks:
        mark = block.get("cache_control")
        for part in _part(block):
            yield {**part, "cache_control": mark} if isinstance(mark, dict) else part


def _part(block: Json) -> Iterator[Json]:
    kind, source = block.get("type"), record(block.get("source"))
    if kind == "text":
        yield {"type": "text", "text": text(block.get("text"))}
    elif kind == "image":
        place = {"file_id": source["file_id"]} if "file_id" in source else _url(source)
        yield {"type": "image_url", "image_url": place}
    elif kind == "document":
        yield from _document(block, source)
    elif kind == "search_result":
        found = [text(part.get("text")) for part in records(block.get("content"))]
        yield {"type": "text", "text": "\n".join([text(block.get("title")), text(block.get("source")), "", *found])}
    elif kind == "tool_reference":
        yield {"type": "text", "text": text(block.get("tool_name"))}
    elif kind == "container_upload":
        yield {key: value for key, value in block.items() if key != "cache_control"}


def _url(source: Json) -> Json:
    """The place of a picture: its URL, or a URL that holds it."""
    url = text(source.get("url")) or f"data:{text(source.get('media_type'))};base64,{text(source.get('data'))}"
    return {"url": url}


def _document(block: Json, source: Json) -> Iterator[Json]:
    title = text(block.get("title"))
    kind = source.get("type")
    if kind == "content":
        yield from _parts(_blocks(source.get("content")))
        return
    if kind == "file":
        file = {"file_id": text(source.get("file_id"))}
    elif kind == "text":
        data = base64.b64encode(text(source.get("data")).encode(errors="replace")).decode()
        file = {"filename": title or "document.txt", "file_data": f"data:text/plain;base64,{data}"}
    else:
        file = {"filename": title or "document.pdf", "file_data": _url(source)["url"]}
    yield {"type": "file", "file": {**file, "filename": title} if title else file}


def _plain(parts: list[Json]) -> str | list[Json]:
    """Content as mere text where it is nothing more."""
    if not parts:
        return ""
    return parts[0]["text"] if len(parts) == 1 and parts[0].keys() == {"type", "text"} else parts
