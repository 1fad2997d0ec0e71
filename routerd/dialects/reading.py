"""The body of a request as doors of OpenAI's family read it before anything is decided: what there is, of which kind.

Nothing is decoded that is not asked for: a prompt of a megabyte is stepped over.
"""

from __future__ import annotations

import msgspec

from routerd.dialects.shape import Request
from routerd.errors import InvalidRequest
from routerd.wire.jsonsplice import Document, DuplicateKey

ROUTER_MEMBERS = frozenset({"provider", "models", "route", "session_id", "trace", "plugins", "transforms", "preset"})
"""Members that only OpenRouter's clients send."""


def document(body: bytes) -> Document:
    """The JSON object in a body. Raises InvalidRequest."""
    try:
        return Document.parse(body)
    except DuplicateKey as error:
        raise InvalidRequest(f"the member `{error.key}` stands twice in the body; send it once") from error
    except UnicodeDecodeError as error:
        raise InvalidRequest(f"the body is not UTF-8 (byte {error.start})") from error
    except msgspec.DecodeError as error:
        what = str(error).removeprefix("JSON is malformed: ")
        raise InvalidRequest(f"the body is not JSON: {what[:1].lower()}{what[1:]}") from error
    except ValueError as error:
        raise InvalidRequest(f"the body is {error}") from error


def request(said: Document) -> Request:
    """What routing needs of a request whose usage is always told. Raises InvalidRequest."""
    models = _models(said)
    if said.kind("provider") not in {None, "null", "object"}:
        raise expected(said, "provider", "an object")
    if said.kind("stream") not in {None, "null", "boolean"}:
        raise expected(said, "stream", "true or false")
    return Request(
        raw=said.raw,
        model=_model(said, models),
        models=models,
        stream=said.value("stream") is True,
        asked_usage=True,
        openrouter=not ROUTER_MEMBERS.isdisjoint(said.keys()),
        preferences=said.get("provider") if said.kind("provider") == "object" else None,
        session_id=_text(said, "session_id"),
        user=_text(said, "user"),
    )


def expected(said: Document, key: str, what: str) -> InvalidRequest:
    """The refusal of a member that is missing or of the wrong kind."""
    kind = said.kind(key)
    if kind is None:
        return InvalidRequest(f"`{key}` is missing; it must be {what}")
    got = "empty" if kind == "text" and not (said.value(key) or "").strip() else kind
    return InvalidRequest(f"`{key}` must be {what}, not {got}")


def _model(said: Document, models: tuple[str, ...]) -> str:
    model = said.value("model")
    if said.kind("model") in {None, "null"} and models:
        return models[0]
    if not isinstance(model, str) or not model.strip():
        raise expected(said, "model", "the name of a model, as text")
    return model


def _models(said: Document) -> tuple[str, ...]:
    kind = said.kind("models")
    if kind in {None, "null"}:
        return ()
    names = said.value("models")
    if not isinstance(names, list):
        raise expected(said, "models", "an array of model names")
    for index, name in enumerate(names):
        if not isinstance(name, str) or not name.strip():
            raise InvalidRequest(f"`models[{index}]` must be the name of a model, as text")
    return tuple(names)


def _text(said: Document, key: str) -> str | None:
    value = said.value(key) if said.kind(key) == "text" else None
    return value or None
