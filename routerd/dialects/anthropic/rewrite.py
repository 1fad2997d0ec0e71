"""A request from the messages door for Anthropic: the client's own bytes, changed only where they must be."""

from __future__ import annotations

import msgspec

from routerd.dialects.anthropic import frame
from routerd.dialects.messages.reasoning import MARK, native
from routerd.dialects.messages.request import ROUTER_ONLY, WITH_EFFECT
from routerd.dialects.shape import Encoded, Request, Target
from routerd.wire.jsonsplice import Document

_FOREIGN = b'"%b' % MARK.encode()


def rewrite(request: Request, target: Target) -> Encoded:
    """The request for one provider, under its own name for the model."""
    document = Document.parse(request.raw)
    removed = {"stream"} if target.frame == "bedrock" else set[str]()
    body, dropped = _changed(document, target, removed=removed, named=not frame.framed(target))
    return Encoded(path=frame.path(target, stream=request.stream), body=body, dropped=dropped)


def rewrite_count(request: Request, target: Target) -> Encoded:
    """The same for counting its tokens."""
    body, dropped = _changed(Document.parse(request.raw), target, removed=set(), named=True)
    return Encoded(path=frame.count_path(target), body=body, dropped=dropped)


def _changed(document: Document, target: Target, *, removed: set[str], named: bool) -> tuple[bytes, tuple[str, ...]]:
    """The body, and the members of weight that were taken out of it. `named`: it holds the model's name."""
    changes = {key: msgspec.json.encode(value) for key, value in frame.members(target).items()}
    if not named:
        removed = removed | {"model"}
    elif document.value("model") != target.model:
        changes["model"] = msgspec.json.encode(target.model)
    dropped: tuple[str, ...] = ()
    if target.openrouter:
        removed = removed | {"models", "fallbacks", "route"}  # routerd falls back itself, by its own names
    else:
        removed = removed.union(ROUTER_ONLY)
        lost = (*WITH_EFFECT, *frame.UNKNOWN) if frame.framed(target) else WITH_EFFECT
        removed = removed.union(lost)
        dropped = tuple(key for key in lost if document.value(key))
        if _FOREIGN in document.raw:
            changes["messages"] = msgspec.json.encode(native(document.value("messages")))
    return document.edit(set=changes, remove=removed), dropped
