"""Text, images, sounds and files of a message, as parts of Gemini's and back.

A data URL becomes `inlineData`, an address (https, gs) `fileData`, whose type is guessed by its ending: Google wants
one named (https://ai.google.dev/api/caching#FileData).
"""

from __future__ import annotations

import base64
import urllib.parse
from typing import Any

from routerd.dialects.gemini.words import ending_of, items, members, mime_of, standard_base64, text

Json = dict[str, Any]


def parts_of(content: object) -> tuple[list[Json], list[str]]:
    """The parts that a message's content is in Gemini's form, and what has no form there. Empty text is left out."""
    if isinstance(content, str):
        return ([{"text": content}] if content else []), []
    parts: list[Json] = []
    dropped: list[str] = []
    for item in items(content):
        kind = text(item.get("type"))
        if kind in {"text", "input_text", "output_text", "refusal"}:
            said = text(item.get("text")) or text(item.get("refusal"))
            parts += [{"text": said}] if said else []
        elif part := _media(kind, item):
            parts.append(part)
        else:
            dropped.append(f"messages.content.{kind}")
    return parts, dropped


def media_of(part: Json) -> Json | None:
    """A part of Gemini's that holds a file, as an item of a message's content; None for any other part."""
    if isinstance(blob := part.get("inlineData"), dict):
        mime, data = text(blob.get("mimeType")), standard_base64(text(blob.get("data")))
        if mime.startswith("audio/"):
            return {"type": "input_audio", "input_audio": {"data": data, "format": ending_of(mime)}}
        return _item(mime, f"data:{mime or 'application/octet-stream'};base64,{data}", text(blob.get("displayName")))
    if isinstance(file := part.get("fileData"), dict):
        return _item(text(file.get("mimeType")), text(file.get("fileUri")), text(file.get("displayName")))
    return None


def _item(mime: str, address: str, name: str) -> Json:
    if mime.startswith("image/"):
        return {"type": "image_url", "image_url": {"url": address}}
    if mime.startswith("video/") or (not mime and "youtu" in address):
        return {"type": "video_url", "video_url": {"url": address}}
    if not name:
        last = "" if address.startswith("data:") else urllib.parse.urlsplit(address).path.rpartition("/")[2]
        name = last if mime_of(last, "") == mime else f"{last or 'file'}.{ending_of(mime)}"
    return {"type": "file", "file": {"filename": name, "file_data": address}}


def _media(kind: str, item: Json) -> Json | None:
    """An item of content that is no text, as a part."""
    held = item.get(kind)
    if kind == "image_url":
        return _at(held if isinstance(held, str) else text(members(held).get("url")), "image/jpeg")
    if kind == "video_url":
        return _at(held if isinstance(held, str) else text(members(held).get("url")), "video/mp4")
    if kind == "input_audio":
        audio = members(held)
        named = text(audio.get("format")) or "wav"
        mime = mime_of(f"a.{named}", named if "/" in named else f"audio/{named}")
        data = text(audio.get("data"))
        return _at(data if data.startswith("data:") else f"data:{mime};base64,{data}", mime) if data else None
    if kind == "file":
        file = members(held)
        name = text(file.get("filename"))
        guessed = mime_of(name, "application/pdf")
        data = text(file.get("file_data")) or text(file.get("file_url")) or text(file.get("file_id"))
        is_address = "://" in data[:16] or data.startswith("data:")
        if not data or (not is_address and not file.get("file_data")):
            return None  # another vendor's file id
        return _at(data if is_address else f"data:{guessed};base64,{data}", guessed, named=bool(name))
    return None


def _at(address: str, default: str, *, named: bool = False) -> Json | None:
    """What stands at an address. `named`: the default is known from the file's name, so it goes before the address."""
    if not address:
        return None
    if not address.startswith("data:"):
        mime = default if named else mime_of(address, default)
        return {"fileData": {"mimeType": mime, "fileUri": address}}
    head, _, data = address[5:].partition(",")
    mime, *options = head.split(";")
    if "base64" not in options:
        data = base64.b64encode(urllib.parse.unquote_to_bytes(data)).decode()
    return {"inlineData": {"mimeType": mime if "/" in mime else default, "data": data}}
