"""Asked: one request at one door, and what it is for whoever has to serve it. Its neutral shape is made when needed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import msgspec

from routerd.dialects import doors
from routerd.dialects.doors import Door
from routerd.dialects.kept import Kept
from routerd.dialects.needs import needs
from routerd.dialects.passage import Passage, Straight, Translated
from routerd.dialects.shape import Encoded, Encoder, Json, Origin, Request, Target
from routerd.errors import InvalidRequest
from routerd.needs import Needs
from routerd.wire.jsonsplice import Document
from routerd.wire.lenient import decoded

BETAS = "anthropic-beta"
BYTES = 4
"""Of a body, for one token of its prompt."""

OURS = frozenset(
    {
        *("model", "models", "stream", "stream_options", "provider", "anthropic_version"),
        *("messages", "system", "prompt", "input", "instructions", "contents", "systemInstruction"),
        *("query", "documents", "texts", "inputs", "inputText", "requests"),
    }
)
"""What routing has decided and what the request says: `provider.options` adds to it and never changes it, for the
answer would be read as another's, or its cost be taken for that of another model."""

_DOTS = frozenset({".", ".."})
"""Segments by which a path, made of a model's name, would lead to another API of the provider's (RFC 3986 5.2.4)."""


class Asked:
    """A client's request. `way` holds what the door's path says: the gemini door's model and method."""

    __slots__ = ("_chat", "_needs", "betas", "created", "door", "id", "openrouter", "request", "way")

    def __init__(
        self,
        door: Door,
        request: Request,
        *,
        id_: str,
        created: int,
        openrouter: bool = False,
        betas: str | None = None,
        way: Mapping[str, Any] | None = None,
    ) -> None:
        self.door = door
        self.request = request
        self.id = id_
        """The generation's id."""
        self.created = created
        self.openrouter = openrouter
        """The client speaks OpenRouter."""
        self.betas = betas
        """What of Anthropic's betas the client asked for."""
        self.way = way or {}
        self._chat: Json | None = None
        self._needs: Needs | None = None

    @property
    def array(self) -> bool:
        """Its stream is one JSON array: the gemini door's without `alt=sse`."""
        return not self.way.get("sse", True)

    @property
    def waiting(self) -> bytes:
        """What a streaming client hears while it waits; in an array there are no comments, but blanks."""
        return b"\n" if self.array else doors.WAITING

    @property
    def chat(self) -> Json:
        """The request in the neutral shape; nobody may change it. InvalidRequest."""
        if self._chat is None:
            self._chat = self.door.to_chat(self.request.raw, **self.way)
        return self._chat

    def needs(self, estimate: Callable[[str], int]) -> Needs:
        """What it asks of an endpoint; `estimate` says how many tokens a text is. InvalidRequest."""
        if self._needs is None:
            self._needs = needs(self.chat, estimate=estimate, kind=self.door.kind)
        return self._needs

    @property
    def estimated(self) -> int | None:
        """The tokens that its prompt was estimated at, if anybody has asked."""
        return None if self._needs is None else self._needs.prompt_tokens

    def prompt_tokens(self, estimate: Callable[[str], int]) -> int:
        """About how many tokens its prompt has; of one that only its own dialect can say, by its size."""
        try:
            return self.needs(estimate).prompt_tokens
        except InvalidRequest:
            return len(self.request.raw) // BYTES

    def passage(self, dialects: Sequence[str], target: Target, *, model: str, kept: Kept | None = None) -> Passage:
        """The way to one endpoint, in the door's own dialect if it has it; `model` is what the client is told.

        With `kept` the answer is translated in any case, so that another endpoint can continue it. InvalidRequest where
        the request cannot be said there.
        """
        passage = self._passage(dialects, target, model=model, kept=kept)
        extra = {name: value for name, value in target.extra.items() if name not in OURS}
        if target.tier is not None:
            extra.setdefault("service_tier", target.tier)
        encoded = passage.encoded
        if "/." in encoded.path and not _DOTS.isdisjoint(encoded.path.partition("?")[0].split("/")):
            raise InvalidRequest(f'"{target.model}" is no name of a model')
        if refused := [f"provider.options.{name}" for name in target.extra if name in OURS]:
            encoded = msgspec.structs.replace(encoded, dropped=(*encoded.dropped, *refused))
        if extra:
            said = {name: msgspec.json.encode(value) for name, value in extra.items()}
            encoded = msgspec.structs.replace(encoded, body=Document.parse(encoded.body).edit(set=said))
        return passage if encoded is passage.encoded else msgspec.structs.replace(passage, encoded=encoded)

    def _passage(
        self, dialects: Sequence[str], target: Target, *, model: str, kept: Kept | None
    ) -> Straight | Translated:
        place, same = doors.named(self.door, dialects), self.door.same
        name, dialect, framed = doors.spoken(place, target, kind=self.door.kind)
        if same is not None and name == self.door.twin and kept is None and self._passes(target):
            return Straight(
                dialect=place,
                encoded=self._with_betas(same.rewrite(self.request, framed, **self.way), name),
                same=same,
                request=self.request,
                speaks=dialect,
                open_encoder=partial(self.door.encoder, **self.way),
                origin=self._origin(model),
            )
        origin = self._origin(model, request=decoded(self.request.raw))
        chat = self.chat if kept is None or kept.request is None else kept.request
        encoded = doors.framed(dialect.encode(chat, framed), framed)
        if self.door.unsaid is not None:
            unsaid = self.door.unsaid(self.request.raw)
            encoded = msgspec.structs.replace(encoded, dropped=(*unsaid, *encoded.dropped))
        return Translated(
            dialect=place,
            encoded=self._with_betas(encoded, name),
            speaks=dialect,
            answer=self.door.answer,
            encoder=self._encoder(origin, kept),
            origin=origin,
            kept=kept,
        )

    def _encoder(self, origin: Origin, kept: Kept | None) -> Encoder:
        """The writer of the client's stream, the same for everybody who continues it."""
        if kept is None:
            return self.door.encoder(origin, **self.way)
        if kept.encoder is None or kept.request is None:
            kept.encoder = self.door.encoder(origin, **self.way)
        return kept.encoder

    def _passes(self, target: Target) -> bool:
        """Whether the answer's bytes may pass as they are."""
        if target.quirks.normalise and self.door.kind == "chat":
            return False
        return self.door.kind != "completion" or target.kind != "chat"  # a chat model has no door for bare prompts

    def _origin(self, model: str, request: Json | None = None) -> Origin:
        return Origin(
            id=self.id,
            model=model,
            created=self.created,
            openrouter=self.openrouter,
            asked_usage=self.request.asked_usage,
            request=request or {},
        )

    def _with_betas(self, encoded: Encoded, dialect: str) -> Encoded:
        """The request with the betas that the client asked for: they are Anthropic's words, and change its answers."""
        if self.betas is None or dialect != "anthropic":
            return encoded
        own = [value for name, value in encoded.headers if name == BETAS]
        others = tuple(header for header in encoded.headers if header[0] != BETAS)
        wanted = dict.fromkeys(
            word
            for text in (*own, self.betas)
            for part in text.split(",")
            if (word := part.strip()) and word.isascii() and word.isprintable()
        )
        return msgspec.structs.replace(encoded, headers=(*others, (BETAS, ",".join(wanted))))
