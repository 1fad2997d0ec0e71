"""Gemini straight through: client and provider both speak generateContent, and bytes go by as they came.

The model stands in the path, so a request's body needs no change. In an answer only what carries the last usage gains
what the request cost: in a stream that is the event with the finish reason, for Google counts in every event.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import msgspec
from msgspec import UNSET, Raw, UnsetType

from routerd.dialects.gemini.answer import in_band_error
from routerd.dialects.gemini.capsule import BEGINNING
from routerd.dialects.gemini.citations import queries
from routerd.dialects.gemini.events import Events
from routerd.dialects.gemini.request import path
from routerd.dialects.gemini.usage import counted, searches_billed
from routerd.dialects.gemini.words import FINISH, ROUTERS, UNSIGNED, finish_word, items, members, text
from routerd.dialects.openai.answer import Amendment, Answer, ProviderAnswerInvalid
from routerd.dialects.openai.error import ProviderError
from routerd.dialects.shape import Amend, Encoded, Request, Target
from routerd.usage import Usage
from routerd.wire.jsonsplice import Document
from routerd.wire.lenient import decoded

_CAPSULE = re.compile(rb'"' + BEGINNING.encode() + rb'[A-Za-z0-9+/_=-]*"')
_OUTPUT = re.compile(rb'"(?:text"\s*:\s*"[^"]|functionCall|inlineData|executableCode|codeExecutionResult|toolCall)')
_TELLING = re.compile(rb'"(?:finishReason|error|promptFeedback|functionCall|groundingMetadata)"')
"""What an event must hold to be looked into, once output has begun; text has its quotes escaped."""
_CALL = re.compile(rb'"functionCall"\s*:')


class _Candidate(msgspec.Struct):
    """What is looked at of a candidate; the rest is stepped over."""

    finishReason: Any = None  # noqa: N815  # Google's names
    content: Raw | UnsetType = UNSET
    groundingMetadata: Raw | UnsetType = UNSET  # noqa: N815


class _Event(msgspec.Struct):
    """The same of an event or a whole answer."""

    candidates: list[_Candidate] = []
    usageMetadata: Raw | UnsetType = UNSET  # noqa: N815
    promptFeedback: Raw | UnsetType = UNSET  # noqa: N815
    error: Raw | UnsetType = UNSET
    responseId: str = ""  # noqa: N815
    modelVersion: str = ""  # noqa: N815


_event: Callable[[bytes], _Event] = msgspec.json.Decoder(_Event).decode


def rewrite(request: Request, target: Target, *, method: str = "", array: bool = False) -> Encoded:
    """The client's own body for one model. `array`: the client wants its stream as a JSON array.

    What only routerd understands is taken out, and a capsule in which the door had kept another vendor's reasoning
    becomes the word that Google documents for calls of other models: it is no signature of Google's.
    """
    body, dropped = request.raw, tuple[str, ...]()
    if request.openrouter:
        document = Document.parse(body)
        dropped = ("plugins",) if document.value("plugins") else ()
        body = document.edit(remove=ROUTERS)
    if body.find(BEGINNING.encode()) >= 0:
        body = _CAPSULE.sub(b'"%b"' % UNSIGNED.encode(), body)
    if target.frame == "vertex":
        body = _with_roles(body)
    called = path(target, stream=request.stream, method=method, array=array)
    return Encoded(path=called, body=body, dropped=dropped)


def _with_roles(body: bytes) -> bytes:
    """The body with the role `user` where a turn has none: AI Studio takes it for granted, Vertex refuses it."""
    document = Document.parse(body)
    try:
        turns = msgspec.json.decode(document.get("contents") or b"[]", type=list[dict[str, Raw]])
    except (ValueError, RecursionError):
        return body
    if all("role" in turn for turn in turns):
        return body
    named = [{"role": Raw(b'"user"'), **turn} for turn in turns]
    return document.edit(set={"contents": msgspec.json.encode(named)})


class _Facts:
    """What events have said so far, for accounting and fallback."""

    __slots__ = (
        "_called",
        "_counted",
        "_metadata",
        "_searches",
        "finish_reason",
        "latest",
        "model",
        "native",
        "upstream_id",
    )

    def __init__(self) -> None:
        self.finish_reason: str | None = None
        self.native: str | None = None
        self.upstream_id: str | None = None
        self.model: str | None = None
        self._called = False
        self._searches = 0
        self._metadata: Raw | None = None
        self._counted: Usage | None = None
        self.latest: bytes | None = None
        """The last event, not looked into but for its end."""

    @property
    def usage(self) -> Usage | None:
        """The last usage that was told; read when it is asked for, since every event tells it."""
        if self.latest is not None:
            latest, self.latest = self.latest, None
            self.note(_read(latest))
        if self._metadata is not None:
            searches = searches_billed(self._searches, self.model or "")
            self._counted = counted(decoded(bytes(self._metadata)), searches=searches) or self._counted
            self._metadata = None
        return self._counted

    def note(self, event: _Event) -> None:
        """Keep what an event says."""
        self.upstream_id = self.upstream_id or event.responseId or None
        self.model = self.model or event.modelVersion or None
        if not isinstance(event.usageMetadata, UnsetType):
            self._metadata, self.latest = event.usageMetadata, None
        for candidate in event.candidates:
            self._candidate(candidate)
        if not event.candidates and not isinstance(event.promptFeedback, UnsetType):
            reason = members(decoded(bytes(event.promptFeedback))).get("blockReason")
            if reason and self.native is None:
                self.native, self.finish_reason = str(reason), "content_filter"

    def _candidate(self, candidate: _Candidate) -> None:
        if not isinstance(candidate.content, UnsetType) and not self._called:
            self._called = _CALL.search(candidate.content) is not None
        if not isinstance(candidate.groundingMetadata, UnsetType):
            found = queries({"groundingMetadata": decoded(bytes(candidate.groundingMetadata))})
            self._searches = max(self._searches, found)
        native = finish_word(candidate.finishReason)
        if native and self.native is None:
            finish = FINISH.get(native, "stop")
            self.native, self.finish_reason = native, "tool_calls" if finish == "stop" and self._called else finish


class GeminiTap:
    """One stream on its way to a client (a `Tap` of dialects/shape.py), in either of Gemini's two forms."""

    __slots__ = ("_amend", "_events", "_facts", "_mask", "error", "events", "output")

    def __init__(self, *, amend: Amend, mask: Callable[[str], str] = str) -> None:
        self._amend = amend
        self._mask = mask
        self._events = Events()
        self._facts = _Facts()
        self.output = False
        self.error: ProviderError | None = None
        self.events = 0

    @property
    def finish_reason(self) -> str | None:
        """In OpenRouter's words."""
        return self._facts.finish_reason

    @property
    def native_finish_reason(self) -> str | None:
        """In Google's."""
        return self._facts.native

    @property
    def usage(self) -> Usage | None:
        """The last that was counted."""
        return self._facts.usage

    @property
    def upstream_id(self) -> str | None:
        """Google's id of the answer."""
        return self._facts.upstream_id

    @property
    def model(self) -> str | None:
        """The model as Google names it."""
        return self._facts.model

    @property
    def whole(self) -> bool:
        """A finish reason was seen, and no error."""
        return self._facts.native is not None and self.error is None

    def feed(self, data: bytes) -> bytes:
        """The events that are complete with `data`, byte-identical but for the last. Never raises."""
        return self._passed(self._events.feed(data))

    def close(self) -> bytes:
        """The rest, read like an event."""
        return self._passed(self._events.close())

    def _passed(self, pieces: list[tuple[bytes, bytes | None]]) -> bytes:
        if self._events.overflow:
            self.output = True  # an event of that size is content, and it is not held back
        return b"".join([piece if data is None else self._event(piece, data) for piece, data in pieces])

    def _event(self, piece: bytes, data: bytes) -> bytes:
        facts = self._facts
        if self.output and facts.native is None and _TELLING.search(data) is None:
            facts.latest = data
            self.events += 1
            return piece
        event = _read(data)
        if not isinstance(event.error, UnsetType) and event.error != b"null":
            self.error = self.error or in_band_error(data)
            return self._mask(piece.decode(errors="surrogateescape")).encode(errors="surrogateescape")
        facts.note(event)
        if event.candidates:
            self.output = self.output or facts.native is not None or _OUTPUT.search(data) is not None
            self.events += self.output
        self.output = self.output or facts.native is not None
        if facts.native is None or isinstance(event.usageMetadata, UnsetType):
            return piece
        usage = facts.usage
        return piece if usage is None else _amended(piece, data, self._amend(usage))


def _read(data: bytes) -> _Event:
    """What is looked at of an event, also of one that holds a wrong type somewhere. Never raises."""
    try:
        return _event(data)
    except (ValueError, RecursionError):
        said = members(decoded(data))
    event = _Event(responseId=text(said.get("responseId")), modelVersion=text(said.get("modelVersion")))
    for name in ("usageMetadata", "error"):
        if held := said.get(name):
            setattr(event, name, Raw(msgspec.json.encode(held)))
    for candidate in items(said.get("candidates")):
        content = Raw(msgspec.json.encode(candidate.get("content")))
        event.candidates.append(_Candidate(finishReason=candidate.get("finishReason"), content=content))
    return event


def _amended(piece: bytes, data: bytes, amendment: Amendment) -> bytes:
    """The piece with the amendment in its usageMetadata and beside it; as it is where that is not safe."""
    start = piece.find(data)
    if start < 0:
        return piece  # its data stands on several lines
    try:
        document = Document.parse(data)
        metadata = document.child("usageMetadata")
        changed = {"usageMetadata": metadata.edit(append=amendment.usage)} if metadata and amendment.usage else None
        return piece[:start] + document.edit(set=changed, append=amendment.top) + piece[start + len(data) :]
    except ValueError:
        return piece


def read_answer(body: bytes) -> Answer | ProviderError:
    """The facts of a whole answer, or the error that a 200 held instead. Raises ProviderAnswerInvalid for neither."""
    event = _read(body)
    if not isinstance(event.error, UnsetType) and event.error != b"null":
        return in_band_error(body)
    facts = _Facts()
    facts.note(event)
    if not event.candidates and facts.native is None:
        raise ProviderAnswerInvalid("the body has no candidates")
    return Answer(
        usage=facts.usage,
        finish_reason=facts.finish_reason,
        native_finish_reason=facts.native,
        upstream_id=facts.upstream_id,
        model=facts.model,
    )


def amend_answer(body: bytes, amendment: Amendment) -> bytes:
    """The answer with the amendment's members in it and every other byte as it came."""
    return _amended(body, body, amendment)
