"""Parts of neutral messages as Anthropic's content blocks, and calls and reasoning of earlier turns.

https://platform.claude.com/docs/en/api/messages says what a block may hold. What has no block is named in `dropped`.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator
from urllib.parse import unquote_to_bytes

from routerd.dialects.anthropic.reader import FORMAT
from routerd.dialects.loose import record, records, text
from routerd.dialects.shape import Json
from routerd.wire.lenient import decoded

THINKING = frozenset({"thinking", "redacted_thinking"})

_DATA_URL = re.compile(r"data:([^;,]*)((?:;[^;,]*)*),(.*)", re.DOTALL)
_NOT_IN_IDS = re.compile(r"[^a-zA-Z0-9_-]")


def blocks(content: object, dropped: set[str]) -> list[Json]:
    """The content of a message as blocks; text that is nothing but space is left out, for it is refused."""
    if isinstance(content, str):
        return [{"type": "text", "text": content}] if content.strip() else []
    made = []
    for part in records(content):
        block = _block(part)
        if block is None:
            dropped.add(f"messages.{text(part.get('type')) or 'content'}")
        elif block:
            mark = part.get("cache_control")
            made.append({**block, "cache_control": mark} if isinstance(mark, dict) else block)
    return made


def _block(part: Json) -> Json | None:
    """One part; {} where it says nothing, None where there is no block for it."""
    kind = part.get("type")
    if kind in ("text", "input_text", "output_text", "refusal"):
        said = text(part.get("text")) or text(part.get("refusal"))
        return {"type": "text", "text": said} if said.strip() else {}
    if kind in ("image_url", "input_image"):
        return _image(part.get("image_url"))
    if kind in ("file", "input_file"):
        return _file(record(part.get("file")) or part)
    return dict(part) if kind == "container_upload" else None


def _image(image: object) -> Json | None:
    url = image if isinstance(image, str) else text(record(image).get("url"))
    if url:
        source = _data(url) or {"type": "url", "url": url}
    elif name := text(record(image).get("file_id")):
        source = {"type": "file", "file_id": name}
    else:
        return None
    return {"type": "image", "source": source}


def _file(file: Json) -> Json | None:
    """A file: documents are PDFs and plain text, and what is an image is an image."""
    url, title = text(file.get("file_data")) or text(file.get("file_url")), text(file.get("filename"))
    if not url:
        name = text(file.get("file_id"))
        source: Json | None = {"type": "file", "file_id": name} if name else None
    elif url.startswith(("https://", "http://")):
        source = {"type": "url", "url": url}
    else:
        source = _data(url) or {"type": "base64", "media_type": "application/pdf", "data": url}
    if source is None:
        return None
    media = text(source.get("media_type"))
    if media.startswith("image/"):
        return {"type": "image", "source": source}
    if media.startswith("text/") or media == "application/json":
        source = _plain(source["data"])
    elif media not in ("", "application/pdf"):
        return None
    return {"type": "document", "source": source, "title": title} if title else {"type": "document", "source": source}


def _data(url: str) -> Json | None:
    """The source that a data URL holds."""
    found = _DATA_URL.fullmatch(url)
    if found is None:
        return None
    media, options, data = found.groups()
    if "base64" not in options.split(";"):
        data = base64.b64encode(unquote_to_bytes(data)).decode()
    return {"type": "base64", "media_type": media or "text/plain", "data": data}


def _plain(data: str) -> Json:
    """The source of a text that was sent in base64."""
    try:
        said = base64.b64decode(data).decode(errors="replace")
    except (binascii.Error, ValueError):
        said = data
    return {"type": "text", "media_type": "text/plain", "data": said}


def tool_id(name: object) -> str:
    """The id of a call in the letters that Anthropic allows: Kimi calls one `functions.f:0`."""
    return _NOT_IN_IDS.sub("_", text(name)) or "call"


def tool_uses(message: Json, dropped: set[str]) -> Iterator[Json]:
    """The calls that an assistant's message makes."""
    for call in records(message.get("tool_calls")):
        function = record(call.get("function"))
        if not function:
            dropped.add("messages.tool_calls")
            continue
        given = arguments(function.get("arguments"))
        yield {"type": "tool_use", "id": tool_id(call.get("id")), "name": text(function.get("name")), "input": given}


def arguments(said: object) -> Json:
    """Arguments of a call, which must be an object here. A model may have written broken JSON: that is kept."""
    if isinstance(said, dict):
        return said
    written = text(said)
    given = decoded(written.encode(errors="replace")) if written.strip() else {}
    return given if isinstance(given, dict) else {"arguments": written}


def tool_result(message: Json, dropped: set[str]) -> Json:
    """The result of a call. A cache mark on a part of it belongs to the whole here."""
    content = blocks(message.get("content"), dropped)
    result: Json = {"type": "tool_result", "tool_use_id": tool_id(message.get("tool_call_id"))}
    marks = [mark for block in content if (mark := block.pop("cache_control", None))]
    if len(content) == 1 and content[0]["type"] == "text":
        result["content"] = content[0]["text"]
    elif content:
        result["content"] = content
    if isinstance(mark := message.get("cache_control") or (marks[-1] if marks else None), dict):
        result["cache_control"] = mark
    return result


def reasoning(message: Json) -> Iterator[Json]:
    """The thinking of an earlier turn, signed as it came, and what the provider's own tools did in it.

    A signature proves that the model thought so; reasoning of other vendors has none, and is left out. Pieces of one
    thought may stand apart, as they came in a stream.
    """
    thought = ""
    place: object = None
    for detail in records(message.get("reasoning_details")):
        if detail.get("format") != FORMAT:
            continue
        kind = detail.get("type")
        if kind == "reasoning.text":
            thought = thought * (place == detail.get("index")) + text(detail.get("text"))
            place = detail.get("index")
            if signature := text(detail.get("signature")):
                yield {"type": "thinking", "thinking": thought, "signature": signature}
                thought = ""
        elif kind == "reasoning.encrypted" and text(detail.get("data")):
            yield {"type": "redacted_thinking", "data": detail["data"]}
        elif kind == "reasoning.server_tool_call":
            yield from _server_call(detail)


def _server_call(detail: Json) -> Iterator[Json]:
    name, given = text(detail.get("tool_call_id")), arguments(detail.get("arguments"))
    yield {"type": "server_tool_use", "id": name, "name": text(detail.get("tool_name")), "input": given}
    result = decoded(text(detail.get("result")).encode(errors="replace"))
    if isinstance(result, dict) and text(result.get("type")).endswith("_tool_result"):
        yield result
