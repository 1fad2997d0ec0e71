"""Responses straight through: client and provider both speak OpenAI's Responses API, so bytes pass as they came.

Of a request the model is swapped and OpenRouter's own members are taken out; of an answer the one event or body that
carries usage gains what it cost. Every event that a client is waiting for goes through `ResponsesTap.feed`: once output
began, a block is searched for a few types of events, and nothing is decoded where it has none of them. JSON writes a
quote inside text as backslash and quote, so such a type in quotes can only be a whole string.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

import msgspec

from routerd.dialects.loose import record, records
from routerd.dialects.loose import text as string
from routerd.dialects.openai.answer import Amendment, Answer, amended, text_of, usage_of
from routerd.dialects.openai.error import ProviderError, broken_event
from routerd.dialects.reading import ROUTER_MEMBERS
from routerd.dialects.responses import answer as responses_answer
from routerd.dialects.responses.reasoning import FORMATS, MARK, format_of, items_of, unpack
from routerd.dialects.responses.request import path_of, reasoning_of, search_of
from routerd.dialects.responses.words import raw_costs
from routerd.dialects.shape import Amend, Encoded, Json, Request, Target
from routerd.usage import Usage
from routerd.wire.jsonsplice import Document
from routerd.wire.lenient import decoded
from routerd.wire.sse import Framer, fields, split

_WITH_EFFECT = ("plugins", "transforms", "preset", "stop_server_tools_when", "image_config", "modalities", "top_k")
"""OpenRouter's members that would change the answer: taken out, and the client is told."""
_ROUTER_ONLY = ROUTER_MEMBERS | {"usage", "debug", "cache_control", *_WITH_EFFECT}
_REASONING_OF_OPENROUTER = ("max_tokens", "enabled", "exclude")

_OWN_TOOLS = b'"openrouter:'
"""In a request with tools that OpenRouter carries out."""

_INSISTED_ON = (
    *("completed_at", "error", "frequency_penalty", "incomplete_details", "instructions", "metadata"),
    *("presence_penalty", "temperature", "top_p"),
)
"""Members that OpenRouter's SDKs want to find in a body, null or not."""

_TELLING = re.compile(rb'"(?:response\.(?:created|in_progress|completed|incomplete|failed|error)|error)"')
_DATA_LINE = re.compile(rb"(?:^|(?<=[\r\n]))data:([^\r\n]*)")
_SILENT_ITEMS = ("message", "reasoning")
"""Items that say nothing yet when they are added."""
_LONGEST = 16 << 20
"""Bytes of one event. The last one repeats the whole answer, with its images in base64."""


def rewrite(request: Request, target: Target) -> Encoded:
    """The client's own request for one provider, under its name for the model."""
    document = Document.parse(request.raw)
    changes: dict[str, bytes] = {}
    if document.value("model") != target.model:  # however it is spelled
        changes["model"] = msgspec.json.encode(target.model)
    removed = {"models", "route"}
    dropped: list[str] = []
    if not target.openrouter:
        removed |= _ROUTER_ONLY
        dropped += (key for key in _WITH_EFFECT if document.value(key))
        if document.value("service_tier") == "fast":
            changes["service_tier"] = b'"priority"'
        reasoning = record(document.value("reasoning"))
        if any(key in reasoning for key in _REASONING_OF_OPENROUTER):
            chat = {"reasoning": reasoning, "max_tokens": document.value("max_output_tokens")}
            changes["reasoning"] = msgspec.json.encode(reasoning_of(chat, target, dropped))
        if _OWN_TOOLS in request.raw:
            changes["tools"] = msgspec.json.encode(_native(document.value("tools"), dropped))
    if MARK.encode() in request.raw:
        changes["input"] = msgspec.json.encode(_unpacked(document.value("input"), target))
    body = document.edit(set=changes, remove=removed)
    return Encoded(path=path_of(target), body=body, dropped=tuple(dict.fromkeys(dropped)))


def _native(tools: object, dropped: list[str]) -> list[Json]:
    """The tools with OpenRouter's search as this API's own, and without the rest that OpenRouter carries out itself."""
    kept: list[Json] = []
    for tool in records(tools):
        kind = string(tool.get("type"))
        if kind == "openrouter:web_search":
            kept.append(search_of(record(tool.get("parameters"))))
        elif kind.startswith("openrouter:"):
            dropped.append(f"tools.{kind}")
        else:
            kept.append(tool)
    return kept


def _unpacked(given: object, target: Target) -> object:
    """The input without reasoning that was packed for the client on a turn that another vendor answered."""
    if not isinstance(given, list):
        return given
    formats = FORMATS if target.openrouter else frozenset({format_of(target)})
    items: list[object] = []
    for item in given:
        details = unpack(item.get("encrypted_content")) if isinstance(item, dict) else None
        items += [item] if details is None else items_of(details, formats=formats, texts=False)
    return items


def read_answer(body: bytes) -> Answer | ProviderError:
    """The facts of a whole answer, or the error that a 200 held instead of one. Raises ProviderAnswerInvalid."""
    response = responses_answer.read(body)
    return response if isinstance(response, ProviderError) else _facts(response)


def _facts(response: Json) -> Answer:
    calls = (item for item in records(response.get("output")) if item.get("type") in responses_answer.CALLS)
    finish, native = responses_answer.finish_of(response, called=any(calls))
    return Answer(
        usage=usage_of(response),
        finish_reason=finish,
        native_finish_reason=native,
        upstream_id=text_of(response.get("id")),
        model=text_of(response.get("model")),
    )


def amend_answer(body: bytes, amendment: Amendment, *, fingerprint: bool, answer: Answer | None = None) -> bytes:  # noqa: ARG001  # as openai_answer.amend_answer
    """The answer with the amendment's members in it and every other byte as it came.

    `fingerprint` adds the members that OpenRouter's SDKs insist on. What cannot be amended safely is left as it is.
    """
    top = {**amendment.top, **dict.fromkeys(_INSISTED_ON, b"null")} if fingerprint else amendment.top
    try:
        return amended(Document.parse(body), usage=_renamed(amendment.usage), top=top)
    except ValueError:
        return body


def _renamed(added: Mapping[str, bytes]) -> dict[str, bytes]:
    """The members of usage that we add, the parts of the cost in this API's words."""
    return {key: raw_costs(value) if key == "cost_details" else value for key, value in added.items()}


class ResponsesTap:
    """One stream on its way from a provider to a client: a `Tap` (dialects/shape.py).

    `amend` is asked what to add to the usage; `mask` is asked what a client may see of an error.
    """

    __slots__ = (
        *("_amend", "_framer", "_mask", "done", "error", "events", "finish_reason", "model"),
        *("native_finish_reason", "output", "upstream_id", "usage"),
    )

    def __init__(self, *, amend: Amend, mask: Callable[[str], str] = str) -> None:
        self._amend = amend
        self._mask = mask
        self._framer = Framer(_LONGEST)
        self.output = False
        self.finish_reason: str | None = None
        self.native_finish_reason: str | None = None
        self.done = False
        """The end of the response was seen."""
        self.usage: Usage | None = None
        self.upstream_id: str | None = None
        self.model: str | None = None
        self.error: ProviderError | None = None
        self.events = 0

    @property
    def whole(self) -> bool:
        """The response came to its own end, and without an error."""
        return self.done and self.error is None

    def feed(self, data: bytes) -> bytes:
        """The complete events up to `data`, byte-identical but for the one that carries usage. Never raises."""
        block = self._framer.feed(data)
        if self.output and not _TELLING.search(block):
            self.events += block.count(b"\ndata:") + block.startswith(b"data:")
            return block
        if self._framer.overflow:
            self.output = True  # an event of that size is content, and it is not held back
        return b"".join([self._event(event) for event in split(block)])

    def close(self) -> bytes:
        """The incomplete tail as it is, once the provider has no more to send."""
        tail = self._framer.close()
        return self._event(tail, ended=False) if tail else tail

    def _event(self, event: bytes, *, ended: bool = True) -> bytes:
        """One event: note what it says, return what the client gets of it. `ended`: a blank line was there."""
        name, data = fields(event)
        message = decoded(data) if data is not None else None
        if not isinstance(message, dict):
            if ended and data is not None and not self.output and self.error is None:
                self.error = broken_event(data)
            return event
        kind = string(message.get("type")) or (name or b"").decode(errors="replace")
        response = record(message.get("response"))
        if kind in ("response.failed", "response.error", "error") or message.get("error"):
            return self._failed(event, message, response)
        self.upstream_id = self.upstream_id or text_of(response.get("id"))
        self.model = self.model or text_of(response.get("model"))
        if kind in ("response.completed", "response.incomplete"):
            return self._completed(event, response)
        if self.output or _says(kind, message):
            self.output = True
            self.events += 1
        return event

    def _completed(self, event: bytes, response: Json) -> bytes:
        facts = _facts(response)
        self.finish_reason, self.native_finish_reason = facts.finish_reason, facts.native_finish_reason
        self.done = self.output = True
        if facts.usage is None:
            return event
        self.usage = facts.usage
        return _with(event, self._amend(facts.usage))

    def _failed(self, event: bytes, message: Json, response: Json) -> bytes:
        if self.error is None:
            self.error = responses_answer.event_failure(message)
        if (usage := usage_of(response)) is not None:
            self.usage = usage
        return self._mask(event.decode(errors="surrogateescape")).encode(errors="surrogateescape")


def _says(kind: str, event: Json) -> bool:
    """An event holds something that a client would show or act on."""
    if kind.endswith(".delta"):
        return bool(event.get("delta"))
    if kind == "response.output_item.added":
        return record(event.get("item")).get("type") not in _SILENT_ITEMS
    return kind in ("response.output_item.done", "response.output_text.done", "response.function_call_arguments.done")


def _with(event: bytes, amendment: Amendment) -> bytes:
    """The event with the amendment in its response, or as it is where its data stands on several lines."""
    lines = list(_DATA_LINE.finditer(event))
    if len(lines) != 1:
        return event
    line = lines[0]
    try:
        document = Document.parse(line[1])
        response = document.child("response")
        if response is None:
            return event
        changed = amended(response, usage=_renamed(amendment.usage), top=amendment.top)
        data = document.edit(set={"response": changed})
    except ValueError:
        return event
    return event[: line.start(1)] + data + event[line.end(1) :]
