"""Content parts of neutral messages as Bedrock's content blocks: text, images, documents, video, audio, cache marks.

Bedrock fetches nothing but objects of S3: whatever is not in the request itself is refused with the part's name.
https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ContentBlock.html
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import unquote_to_bytes

from routerd.dialects.loose import record, text
from routerd.dialects.shape import Json
from routerd.errors import InvalidRequest

_FORMS: Mapping[str, tuple[str, ...]] = {
    "image": ("png", "jpeg", "gif", "webp"),
    "document": ("pdf", "csv", "doc", "docx", "xls", "xlsx", "html", "txt", "md"),
    "video": ("mkv", "mov", "mp4", "webm", "flv", "mpeg", "mpg", "wmv", "three_gp"),
    "audio": ("mp3", "opus", "wav", "aac", "flac", "ogg", "mka", "x-aac", "m4a", "mpga", "pcm"),
}
"""What Bedrock takes, by the kind of block."""
_KINDS = {form: kind for kind, forms in _FORMS.items() for form in forms}
_SPELLED = {
    "jpg": "jpeg",
    "htm": "html",
    "plain": "txt",
    "text": "txt",
    "json": "txt",
    "xml": "txt",
    "markdown": "md",
    "x-markdown": "md",
    "msword": "doc",
    "vnd.ms-excel": "xls",
    "vnd.openxmlformats-officedocument.wordprocessingml.document": "docx",
    "vnd.openxmlformats-officedocument.spreadsheetml.sheet": "xlsx",
    "quicktime": "mov",
    "x-matroska": "mkv",
    "x-flv": "flv",
    "x-ms-wmv": "wmv",
    "3gpp": "three_gp",
    "3gp": "three_gp",
    "x-wav": "wav",
    "wave": "wav",
    "vnd.wave": "wav",
    "x-flac": "flac",
    "x-m4a": "m4a",
    "pcm16": "pcm",
    "l16": "pcm",
}
"""Subtypes of media types, and endings of file names, that are spelled otherwise than Bedrock's formats."""
_AUDIO = {"mpeg": "mp3", "mp4": "m4a"}
"""Subtypes that mean another format under `audio/`."""

_DATA_URL = re.compile(r"data:([^;,]*)((?:;[^;,]*)*),", re.IGNORECASE)
_NOT_IN_NAMES = re.compile(r"[^0-9A-Za-z\-()\[\]]+")
_LONGEST_NAME = 200


class Parts:
    """The blocks of one request, while it is written: the names of documents must differ in all of it."""

    __slots__ = ("_caches", "_caches_tools", "_names", "unmarked")

    def __init__(self, *, caches: bool, caches_tools: bool) -> None:
        """`caches`: the model takes cache points between blocks. `caches_tools`: between tools as well."""
        self._caches = caches
        self._caches_tools = caches_tools
        self.unmarked = False
        """A mark was left out, because the model takes none."""
        self._names: set[str] = set()

    def blocks(self, content: object, where: str) -> list[Json]:
        """The blocks of a message's content. Blank texts are left out: Bedrock refuses them."""
        if isinstance(content, str):
            return [{"text": content}] if content.strip() else []
        if content is None:
            return []
        if not isinstance(content, list):
            raise InvalidRequest(f"`{where}` must be text or an array of parts")
        return [block for place, part in enumerate(content) for block in self._part(part, f"{where}[{place}]")]

    def mark(self, said: Mapping[str, Any], *, tool: bool = False) -> Iterator[Json]:
        """The cache point behind a part or a tool, where it is marked for one in Anthropic's words or in OpenAI's."""
        mark = said.get("cache_control") or said.get("prompt_cache_breakpoint")
        if not mark:
            return
        if not (self._caches_tools if tool else self._caches):
            self.unmarked = True
            return
        hour = record(mark).get("ttl") == "1h"
        yield {"cachePoint": {"type": "default", "ttl": "1h"} if hour else {"type": "default"}}

    def _part(self, part: object, where: str) -> Iterator[Json]:
        if isinstance(part, str):
            part = {"type": "text", "text": part}
        if not isinstance(part, dict):
            raise InvalidRequest(f"`{where}` must be a content part")
        written = self._block(part, where)
        if written is not None:
            yield written
            yield from self.mark(part)

    def _block(self, part: Json, where: str) -> Json | None:
        kind = part.get("type")
        match kind:
            case "text" | "refusal" | "input_text" | "output_text":
                said = text(part.get("refusal" if kind == "refusal" else "text"))
                return {"text": said} if said.strip() else None
            case "image_url" | "video_url" | "input_video":
                held = part.get(kind)
                url = held if isinstance(held, str) else text(record(held).get("url"))
                return self._media(url, f"{where}.{kind}", name="")
            case "input_audio":
                return self._audio(record(part.get("input_audio")), f"{where}.input_audio")
            case "file":
                return self._file(record(part.get("file")), f"{where}.file")
        raise InvalidRequest(f"`{where}.type`: Bedrock has no block for {kind!r}")

    def _audio(self, audio: Mapping[str, Any], where: str) -> Json:
        data, form = text(audio.get("data")), text(audio.get("format"))
        url = data if _has_scheme(data) else f"data:audio/{form};base64,{data}"
        return self._media(url, where, name="")

    def _file(self, file: Mapping[str, Any], where: str) -> Json:
        data, name = text(file.get("file_data")) or text(file.get("file_url")), text(file.get("filename"))
        if not data:
            raise InvalidRequest(f"`{where}`: Bedrock keeps no files; send `file_data`")
        if not _has_scheme(data):
            data = f"data:;base64,{data}"
        return self._media(data, where, name=name or "document")

    def _media(self, url: str, where: str, *, name: str) -> Json:
        """The block of a data URL or an object of S3, of the kind that its media type or its name says."""
        source: Json
        if url.startswith("s3://"):
            form, source = _form("", name=url), {"s3Location": {"uri": url}}
        elif found := _DATA_URL.match(url):
            form = _form(found[1].lower(), name=name)
            source = {"bytes": _base64(url[found.end() :], encoded="base64" in found[2].lower())}
        else:
            raise InvalidRequest(f"`{where}`: Bedrock fetches no URLs; send a data URL, or one that begins with s3://")
        if form is None:
            raise InvalidRequest(f"`{where}`: Bedrock takes no such media type")
        kind, written = form
        block: Json = {"format": written, "source": source}
        if kind == "document":
            block["name"] = self._name(name)
        return {kind: block}

    def _name(self, name: str) -> str:
        """A document's name as Bedrock allows it, and no other document of the request has it."""
        stem = name.rpartition(".")[0] or name
        plain = _NOT_IN_NAMES.sub(" ", stem).strip()[: _LONGEST_NAME - 8].strip() or "document"
        count, unique = 1, plain
        while unique in self._names:
            count += 1
            unique = f"{plain} {count}"
        self._names.add(unique)
        return unique


def described(blocks: list[Json]) -> Iterable[Json]:
    """The blocks of a turn, with a text beside its documents: Bedrock refuses a document that stands alone."""
    named = [block["document"]["name"] for block in blocks if "document" in block]
    if not named or any("text" in block for block in blocks):
        return blocks
    return [{"text": ", ".join(named)}, *blocks]


def _has_scheme(url: str) -> bool:
    return url.startswith("data:") or "://" in url[:16]


def _form(media: str, *, name: str) -> tuple[str, str] | None:
    """(kind of block, format) of a media type, else of the ending of a file's name."""
    top, _, subtype = media.partition("/")
    ending = name.rpartition(".")[2].lower() if "." in name else ""
    for word in (_AUDIO.get(subtype, subtype) if top == "audio" else subtype, ending):
        form = _SPELLED.get(word, word)
        if form in _KINDS:
            # Containers hold either: what the media type says stands.
            kind = top if form in _FORMS.get(top, ()) or (top == "audio" and form == "webm") else _KINDS[form]
            return kind, form
    if top == "text":
        return "document", "txt"
    return ("document", "pdf") if not top and name == "document" else None


def _base64(data: str, *, encoded: bool) -> str:
    """The data of a data URL as base64 of the standard alphabet."""
    if encoded:
        return data.replace("-", "+").replace("_", "/")
    return base64.b64encode(unquote_to_bytes(data)).decode()
