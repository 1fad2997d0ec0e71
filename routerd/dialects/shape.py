"""The shapes that dialects and doors share. Every dialect and door goes through the neutral shape, and only through it.

Neutral is OpenRouter's chat: its request, its completion, its chunk, as decoded JSON (`Json`). A *dialect* is an API
that we speak to a provider, a *door* is an API that clients speak to us; one package says how a dialect is
written and read, another how a door is. N dialects and M doors so need N + M translations.

Each has a package of its own, named after it, where a newcomer finds its request, answer, stream and the rest in the
files of those names, and `face.py` as the way in. A dialect's face has

    encode(chat: Json, target: Target) -> Encoded          a neutral request as that provider wants it
    decode(body: bytes) -> Json | ProviderError            a whole answer as a neutral completion; ProviderAnswerInvalid
    decoder() -> Decoder                                   one stream, read into neutral chunks
    decode_error(status: int, body: bytes) -> ProviderError

and a door's face has

    read(body: bytes, ...) -> Request                      what routing needs, checked; InvalidRequest
    to_chat(body: bytes, ...) -> Json                      the same request in the neutral shape; InvalidRequest
    answer(completion: Json, origin: Origin) -> bytes      a whole neutral completion in the door's form
    encoder(origin: Origin) -> Encoder                     one stream, written in the door's form
    error(error: RouterdError) -> bytes                    a refusal in the door's envelope

Where door and dialect are the same API nothing is translated: a `Tap` (see `dialects/openai/stream.py`) lets the bytes
through, and reads what accounting and fallback need.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import msgspec

from routerd.catalogue.schema import Quirks, Reasoning
from routerd.dialects.openai.answer import Amendment
from routerd.dialects.openai.error import ProviderError
from routerd.dialects.openai.plain import PlainRequest
from routerd.usage import Usage

Json = dict[str, Any]
"""A decoded JSON object. Dialects and doors may change what they are given only where it says so: never a request."""


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """The endpoint that a request is written for."""

    model: str
    """The provider's own name."""
    max_completion_tokens: int | None = None
    """The model's limit, where it is known; what `max_tokens` is filled with where a vendor requires it."""
    supported_parameters: frozenset[str] | None = None
    """None: unknown, so everything passes."""
    reasoning: Reasoning | None = None
    quirks: Quirks = Quirks()
    ask_usage: bool = True
    """`stream_options.include_usage` is understood."""
    openrouter: bool = False
    """It is OpenRouter itself: its own members are passed on."""
    frame: str = ""
    """"vertex", "bedrock" or "azure": the same dialect in that cloud's URL and body."""
    api_version: str | None = None
    """Azure's, where its deployments are called by their own path."""
    tier: str | None = None
    """The service tier that it is an endpoint of: flex or priority."""
    extra: Json = {}
    """Members that the request's own `provider.options` has for this provider: added as they are."""
    kind: str | None = None
    """What the model serves (`catalogue.schema.Kind`); None: unknown."""
    known: bool = False
    """The catalogue knows the provider, so that `quirks` says how its wire differs."""
    vendor: bool = False
    """It is the vendor whose dialect it is (api.anthropic.com), not a server that speaks likewise."""


class Request(msgspec.Struct, frozen=True):
    """A request as the client sent it, with the members that routing needs."""

    raw: bytes
    model: str
    """What the client asked for; the first of `models` where it named no single one."""
    models: tuple[str, ...] = ()
    """The request's own fallbacks, as sent."""
    stream: bool = False
    asked_usage: bool = False
    """The client asked for usage in its stream, in OpenAI's words or OpenRouter's."""
    openrouter: bool = False
    """It holds a member that only OpenRouter's clients send."""
    preferences: msgspec.Raw | None = None
    """The raw `provider` object."""
    session_id: str | None = None
    user: str | None = None
    plain: PlainRequest | None = None
    """Where the model stands, if nothing else is to be changed."""

    @property
    def wanted(self) -> tuple[str, ...]:
        """Every model that would do, in order, each once."""
        return tuple(dict.fromkeys((self.model, *self.models)))


class Encoded(msgspec.Struct, frozen=True, kw_only=True):
    """A request for one provider."""

    path: str
    """Appended to the provider's base URL, with its query: "/chat/completions"."""
    body: bytes
    headers: tuple[tuple[str, str], ...] = ()
    """Of this request, beside the provider's own: `anthropic-beta`."""
    dropped: tuple[str, ...] = ()
    """Parameters of the client's that have no word there, by their neutral names; they are reported."""


class Origin(msgspec.Struct, frozen=True, kw_only=True):
    """What an answer in a door's form says of where it comes from."""

    id: str
    """The generation id, `gen-...`."""
    model: str
    """The model as the client is told it."""
    created: int
    """Seconds since 1970."""
    openrouter: bool = False
    """The client speaks OpenRouter: members that only it knows may be sent."""
    asked_usage: bool = False
    """The chat door sends usage in a stream only if so."""
    begun: bool = False
    """Events went to the client already, in the provider's own bytes: what follows is no beginning."""
    request: Json = {}
    """The door's own request as decoded, for members that its answers repeat (`tools`, `instructions`)."""


class Decoder(Protocol):
    """One stream of a provider's, read into neutral chunks.

    A chunk is OpenAI's `chat.completion.chunk` with OpenRouter's members: `choices` with `index`, `delta` (role,
    content, reasoning, reasoning_details, tool_calls, annotations, images, audio, refusal), `finish_reason` and
    `native_finish_reason`; `id` and `model` of the provider where it says them; `usage` in the last one, with
    `choices: []` where it stands alone. Members without a value are left out.
    """

    @property
    def error(self) -> ProviderError | None:
        """An error that came inside the stream; nothing after it counts."""

    @property
    def done(self) -> bool:
        """The provider's own end of the stream was seen (`[DONE]`, `message_stop`, `response.completed`)."""

    def feed(self, data: bytes) -> list[Json]:
        """The chunks that are complete with `data`. Never raises."""

    def close(self) -> list[Json]:
        """What an unfinished tail still said, once the provider has no more to send. Never raises."""


class Encoder(Protocol):
    """One stream of neutral chunks, written in a door's form."""

    def chunk(self, chunk: Json) -> bytes:
        """The events of one chunk, b"" where it says nothing in this form. The chunk may be changed."""

    def end(self) -> bytes:
        """What ends a stream that was whole (`[DONE]`, `message_stop`, `response.completed`), usage included."""

    def error(self, envelope: Json) -> bytes:
        """What ends a stream that failed: `envelope` is that of `errors.envelope`. Never looks like `end`."""


Amend = Callable[[Usage], Amendment]
"""What an answer gains once its usage is known."""


class Tap(Protocol):
    """What the exchange sees of any stream, passed straight through or translated. See `openai.stream.StreamTap`."""

    @property
    def output(self) -> bool:
        """The first output was seen: content, reasoning, a tool call, a finish reason. No fallback after that."""

    @property
    def finish_reason(self) -> str | None:
        """Why it ended, in neutral words."""

    @property
    def native_finish_reason(self) -> str | None:
        """The same in the provider's."""

    @property
    def usage(self) -> Usage | None:
        """What the provider counted."""

    @property
    def upstream_id(self) -> str | None:
        """The provider's id for the answer."""

    @property
    def model(self) -> str | None:
        """The model as the provider names it."""

    @property
    def error(self) -> ProviderError | None:
        """An error that came inside the stream, the first one."""

    @property
    def events(self) -> int:
        """Events that carried output, for an estimate where the provider never counts."""

    @property
    def whole(self) -> bool:
        """The stream came to its own end, and without an error."""

    def feed(self, data: bytes) -> bytes:
        """What may go to the client now. Never raises."""

    def close(self) -> bytes:
        """The rest, once the provider has no more to send: for a whole translated stream its end."""
