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
from routerd.needs import Needs
from routerd.wire.jsonsplice import Document
from routerd.wire.lenient import decoded

BETAS = "anthropic-beta"


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
        """About how many tokens its prompt has."""
        return self.needs(estimate).prompt_tokens

    def passage(self, dialects: Sequence[str], target: Target, *, model: str, kept: Kept | None = None) -> Passage:
        """The way to one endpoint, in the door's own dialect if it has it; `model` is what the client is told.

        With `kept` the answer is translated in any case, so that another endpoint can continue it. InvalidRequest where
        the request cannot be said there.
        """
        passage = self._passage(dialects, target, model=model, kept=kept)
        extra = dict(target.extra)
        if target.tier is not None:
            extra.setdefault("service_tier", target.tier)
        if not extra:
            return passage
        body = Document.parse(passage.encoded.body).edit(set={k: msgspec.json.encode(v) for k, v in extra.items()})
        return msgspec.structs.replace(passage, encoded=msgspec.structs.replace(passage.encoded, body=body))

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
        if target.quirks.normalise:
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
            word for text in (*own, self.betas) for part in text.split(",") if (word := part.strip())
        )
        return msgspec.structs.replace(encoded, headers=(*others, (BETAS, ",".join(wanted))))
