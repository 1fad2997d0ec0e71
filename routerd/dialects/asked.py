"""Asked: one request at one door, and what it is for whoever has to serve it. Its neutral shape is made when needed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from routerd.dialects import doors
from routerd.dialects.needs import needs
from routerd.dialects.passage import Passage, Straight, Translated
from routerd.dialects.shape import Encoded, Json, Origin, Request, Target
from routerd.errors import InvalidRequest
from routerd.needs import Needs

Estimate = Callable[[str], int]


class Asked:
    """A client's request. `way` holds what the door's path says: the gemini door's model and method."""

    __slots__ = ("_chat", "_needs", "betas", "created", "door", "id", "openrouter", "request", "way")

    def __init__(
        self,
        door: doors.Door,
        request: Request,
        *,
        id_: str,
        created: int,
        openrouter: bool = False,
        betas: str = "",
        way: Mapping[str, Any] | None = None,
    ) -> None:
        self.door = door
        self.request = request
        self.id = id_
        self.created = created
        self.openrouter = openrouter
        self.betas = betas
        """Anthropic's `anthropic-beta`, as the client sent it."""
        self.way = way or {}
        self._chat: Json | None = None
        self._needs: Needs | None = None

    @property
    def chat(self) -> Json:
        """The request in the neutral shape; nobody may change it. InvalidRequest."""
        if self._chat is None:
            self._chat = self.door.to_chat(self.request.raw, **self.way)
        return self._chat

    def needs(self, estimate: Estimate) -> Needs:
        """What it asks of an endpoint. InvalidRequest."""
        if self._needs is None:
            self._needs = needs(self.chat, estimate=estimate, kind=self.door.kind)
        return self._needs

    def passage(self, dialects: Sequence[str], target: Target, *, model: str) -> Passage:
        """The way to one endpoint; `model` is what the client is told. InvalidRequest where it cannot be said there."""
        door, request = self.door, self.request
        origin = self._origin(model)
        if door.straight is not None and door.twin in dialects and door.straight.fits(self, target):
            return Straight(
                dialect=door.twin,
                encoded=self._with_betas(door.straight.rewrite(request, target), door.twin),
                open_tap=door.straight.tap,
                read_answer=door.straight.read_answer,
                amend_answer=door.straight.amend_answer,
                decode_error=doors.DIALECTS[door.twin].decode_error,
                encoder=lambda: door.encoder(origin),
            )
        for name in dialects:
            spoken = doors.spoken(name, target, kind=door.kind)
            if spoken is not None:
                encoded = spoken.encode(self.chat, target)
                return Translated(
                    dialect=name,
                    encoded=self._with_betas(encoded, name),
                    speaks=spoken,
                    answer=door.answer,
                    encoder=door.encoder(origin),
                    origin=origin,
                )
        raise InvalidRequest(f"{' and '.join(dialects)} cannot say what the {door.name} door was asked")
