"""Sticky routing: a conversation goes on where its prompt is cached. Pure: the caller brings the time.

OpenRouter's rule: with a `session_id` from the first success on; without one only once the provider said that it used
its cache, and where reading from it is cheaper. An error does not refresh. Ours beyond it: a pin lives as long as
that provider keeps its cache, and can be listed. One object lives as long as the daemon.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from itertools import islice

import msgspec

from routerd.routing.candidates import Candidate, Endpoint
from routerd.routing.health import Place, place
from routerd.routing.question import Question

Conversation = tuple[str, str, str]
"""The key's name, the model as it was asked for, and what names the conversation."""

MOST_PINS = 10_000
"""About 5 MB; beyond this the one that was used longest ago is forgotten."""


class Pin(msgspec.Struct, frozen=True):
    """Where a conversation is, and until when that is worth anything."""

    place: Place
    until: float


class Sticky:
    """The pins of all conversations. `ttl`: seconds that one lives unused, at least."""

    def __init__(self, *, ttl: float = 600.0) -> None:
        self.ttl = ttl
        self._pins: OrderedDict[Conversation, Pin] = OrderedDict()
        self._unnamed: Counter[tuple[str, str]] = Counter()
        """How many conversations without a name of their own a key has with a model."""

    def conversation(self, question: Question, model: str) -> Conversation | None:
        """The key of a question's conversation: its session, else its cache key, else a digest of how it begins.

        None where it has no name and nothing is known that a digest could find: the body is not read in vain.
        """
        if question.session:
            return (question.key, model, f"session:{question.session}")
        if question.cache_key:
            return (question.key, model, f"cache:{question.cache_key}")
        if not self._unnamed.get((question.key, model)):
            return None
        return _unnamed(question, model)

    def find(self, conversation: Conversation, now: float) -> Pin | None:
        """The pin of a conversation, if it still lives."""
        pin = self._pins.get(conversation)
        return pin if pin is not None and pin.until > now else None

    def served(self, question: Question, candidate: Candidate, *, cached: int, now: float) -> None:
        """Remember who served. `cached`: tokens of the prompt that were read from or written into its cache.

        The body is read for a conversation without a name only where there is a cache to stay with.
        """
        if self.ttl <= 0:
            return
        conversation = self.conversation(question, question.models[0])
        if conversation is None or conversation not in self._pins:
            warm = cached > 0 and cheaper_cached(candidate.endpoint)
            if conversation is None and warm:
                conversation = _unnamed(question, question.models[0])
            if conversation is None or (is_unnamed(conversation) and not warm):
                return
            if is_unnamed(conversation):
                self._unnamed[conversation[:2]] += 1
        until = now + max(self.ttl, candidate.endpoint.cache_ttl or 0.0)
        self._pins[conversation] = Pin(place(candidate), until)
        self._pins.move_to_end(conversation)
        for oldest in list(islice(self._pins, 2)):  # two for each that comes: they never pile up
            if self._pins[oldest].until <= now or len(self._pins) > MOST_PINS:
                self._drop(oldest)

    def listing(self, now: float) -> list[tuple[Conversation, Pin]]:
        """Every pin that lives, for people; the newest last."""
        return [(conversation, pin) for conversation, pin in self._pins.items() if pin.until > now]

    def _drop(self, conversation: Conversation) -> None:
        del self._pins[conversation]
        if is_unnamed(conversation):
            self._unnamed[conversation[:2]] -= 1
            if not self._unnamed[conversation[:2]]:
                del self._unnamed[conversation[:2]]


def is_unnamed(conversation: Conversation) -> bool:
    """Whether it is known by how it begins."""
    return conversation[2].startswith("begin:")


def _unnamed(question: Question, model: str) -> Conversation | None:
    digest = question.needs().conversation
    return None if digest is None else (question.key, model, f"begin:{digest}")


def cheaper_cached(endpoint: Endpoint) -> bool:
    """Whether a prompt that is read from the cache costs less there; of an unknown price it is assumed."""
    price = endpoint.price
    return price is None or (price.cache_read is not None and price.cache_read < price.prompt)
