"""The vocabulary that Gemini's dialect and door share: names, kinds of files, finish reasons, generations of models."""

from __future__ import annotations

import re
from typing import Any, Final

FORMAT: Final = "google-gemini-v1"
"""OpenRouter's word for reasoning details that belong to Gemini."""

UNSIGNED: Final = "skip_thought_signature_validator"
"""What stands for the signature of a call that Gemini did not make, so that a conversation begun elsewhere is accepted
(https://ai.google.dev/gemini-api/docs/thought-signatures, "transferring history from a different model")."""

FINISH: Final = {
    "STOP": "stop",
    "MAX_TOKENS": "length",
    "SAFETY": "content_filter",
    "RECITATION": "content_filter",
    "BLOCKLIST": "content_filter",
    "PROHIBITED_CONTENT": "content_filter",
    "SPII": "content_filter",
    "MODEL_ARMOR": "content_filter",
    "IMAGE_SAFETY": "content_filter",
    "IMAGE_PROHIBITED_CONTENT": "content_filter",
    "IMAGE_RECITATION": "content_filter",
    "LANGUAGE": "error",
    "OTHER": "error",
    "MALFORMED_FUNCTION_CALL": "error",
    "MALFORMED_RESPONSE": "error",
    "UNEXPECTED_TOOL_CALL": "error",
    "TOO_MANY_TOOL_CALLS": "error",
    "MISSING_THOUGHT_SIGNATURE": "error",
    "IMAGE_OTHER": "error",
    "NO_IMAGE": "error",
}
"""finishReason in OpenRouter's words (https://ai.google.dev/api/generate-content#FinishReason). One that Google has not
listed yet is a plain "stop": the answer did end."""

_FINISH_NUMBERS = (
    "", "STOP", "MAX_TOKENS", "SAFETY", "RECITATION", "OTHER", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII",
    "MALFORMED_FUNCTION_CALL", "MODEL_ARMOR",
)  # fmt: skip
_MODALITY_NUMBERS = ("", "TEXT", "IMAGE", "VIDEO", "AUDIO", "DOCUMENT")
"""Vertex writes enums as numbers for clients that ask so (`$alt=json;enum-encoding=int`): their numbers in
google/cloud/aiplatform/v1/content.proto and prediction_service.proto."""

MIME: Final = {
    "png": "image/png", "jpg": "image/jpeg", "jpeg": "image/jpeg", "webp": "image/webp", "gif": "image/gif",
    "heic": "image/heic", "heif": "image/heif", "bmp": "image/bmp", "svg": "image/svg+xml", "avif": "image/avif",
    "pdf": "application/pdf", "txt": "text/plain", "md": "text/markdown", "csv": "text/csv", "html": "text/html",
    "htm": "text/html", "xml": "text/xml", "rtf": "text/rtf", "css": "text/css", "py": "text/x-python",
    "js": "text/javascript", "json": "application/json",
    "docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "wav": "audio/wav", "mp3": "audio/mpeg", "aiff": "audio/aiff", "aac": "audio/aac", "ogg": "audio/ogg",
    "flac": "audio/flac", "m4a": "audio/m4a", "opus": "audio/opus", "pcm16": "audio/L16", "pcm": "audio/L16",
    "mp4": "video/mp4", "mpeg": "video/mpeg", "mpg": "video/mpg", "mov": "video/mov", "avi": "video/avi",
    "flv": "video/x-flv", "webm": "video/webm", "wmv": "video/wmv", "3gp": "video/3gpp", "mkv": "video/x-matroska",
}  # fmt: skip
"""File endings and audio formats in Gemini's own words for their types
(https://ai.google.dev/gemini-api/docs/file-input-methods)."""

_ENDINGS = {mime: ending for ending, mime in reversed(MIME.items())} | {
    "audio/mp3": "mp3",
    "audio/x-wav": "wav",
    "audio/wave": "wav",
    "audio/mp4": "m4a",
    "audio/x-m4a": "m4a",
}
_ENDING = re.compile(r"\.([A-Za-z0-9]{2,5})(?:[?#].*)?$")
_SNAKE = re.compile(r"(?<=[a-z0-9])_([a-z0-9])")
_GENERATION = re.compile(r"gemini-(\d+(?:\.\d+)?)")
_LATEST = re.compile(r"gemini-[a-z-]*latest")

ROUTERS: Final[tuple[str, ...]] = ("provider", "models", "route", "session_id", "trace", "usage", "user", "plugins")
"""OpenRouter's members that a client may add to a request in Google's form."""

OPAQUE: Final = frozenset(
    {
        "args", "response", "parameters", "parametersJsonSchema", "responseSchema", "responseJsonSchema",
        "responseJsonSchemaOrdering", "labels", "partMetadata",
    }
)  # fmt: skip
"""Members whose inside is the user's own: names there are left alone."""


def finish_word(reason: object) -> str | None:
    """A finishReason as Google's word, None where the answer has not ended."""
    if isinstance(reason, int) and not isinstance(reason, bool):
        reason = _FINISH_NUMBERS[reason] if 0 <= reason < len(_FINISH_NUMBERS) else f"FINISH_REASON_{reason}"
    if not isinstance(reason, str) or not reason or reason == "FINISH_REASON_UNSPECIFIED":
        return None
    return reason


def modality(name: object) -> str:
    """A modality as Google's word, "" for what is none."""
    if isinstance(name, int) and not isinstance(name, bool):
        return _MODALITY_NUMBERS[name] if 0 <= name < len(_MODALITY_NUMBERS) else ""
    return name if isinstance(name, str) else ""


def mime_of(name: str, default: str) -> str:
    """The type of a file by the ending of its name or address."""
    found = _ENDING.search(name)
    return MIME.get(found[1].lower(), default) if found else default


def ending_of(mime: str) -> str:
    """The usual ending of a type of file, without the dot; "bin" for an unknown one."""
    plain = mime.partition(";")[0].strip().lower()
    return _ENDINGS.get(plain) or ("pcm16" if plain in {"audio/l16", "audio/pcm"} else "bin")


def generation(model: str) -> float:
    """2.5 for gemini-2.5-flash; 0 for a model that is no Gemini. Names that end in "latest" are those of today."""
    name = model.lower()
    if found := _GENERATION.search(name):
        return float(found[1])
    return 3.0 if _LATEST.search(name) else 0.0


def camelled(value: Any) -> Any:  # noqa: ANN401  # JSON is of any type
    """The value with names in camel case: Google's JSON takes `inline_data` for `inlineData`, and SDKs send either."""
    if isinstance(value, list):
        return [camelled(item) for item in value]
    if not isinstance(value, dict):
        return value
    out = {}
    for key, inner in value.items():
        name = camel(key)
        out[name] = inner if name in OPAQUE else camelled(inner)
    return out


def camel(name: str) -> str:
    """`max_output_tokens` as `maxOutputTokens`."""
    return _SNAKE.sub(lambda found: found[1].upper(), name)


def standard_base64(data: str) -> str:
    """The data in the alphabet of data URLs: Google takes and sends that of URLs too (`-_`, no padding)."""
    data = data.replace("-", "+").replace("_", "/").rstrip("=")
    return data + "=" * (-len(data) % 4)


def text(value: object) -> str:
    """The value if it is text, else ""."""
    return value if isinstance(value, str) else ""


def items(value: object) -> list[dict[str, Any]]:
    """The objects of a list, [] where it is none."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def members(value: object) -> dict[str, Any]:
    """The value if it is an object, else {}."""
    return value if isinstance(value, dict) else {}


def texts(value: object) -> list[str]:
    """The texts of a list, [] where it is none."""
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []
