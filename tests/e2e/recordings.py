"""The recorded chat exchanges, and what a client must see of each: the recording, plus additions where usage is.

An oracle with no code of routerd in it. What it knows is `docs/api.md`: every byte as recorded, but the one event or
body that carries usage gains members, and a usage event that nobody asked for is withheld from plain OpenAI clients.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

PROMPT_USD, COMPLETION_USD = 1, 2
"""USD per million tokens of every recorded model, as tests/e2e/daemon.py configures them."""
OPENROUTER_ONLY = ("provider", "models", "route", "plugins", "session_id", "trace", "preset", "transforms", "usage")
NOT_REPORTED = {"cost", "cost_details", "is_byok"}
EVENT_END = re.compile(rb"(?<=\n\n)|(?<=\r\n\r\n)")


class Case(NamedTuple):
    """One recorded exchange. `slug` is the provider that stands for it in the configuration, `native` its model."""

    name: str
    slug: str
    native: str
    request: dict[str, Any]
    status: int
    answer: bytes
    headers: dict[str, str]

    @property
    def asks_stream(self) -> bool:
        """Whether the request asks for a stream."""
        return bool(self.request.get("stream"))

    @property
    def asks_usage(self) -> bool:
        """Whether the request asks for a usage event, in OpenAI's words or OpenRouter's."""
        asked = (self.request.get("stream_options") or {}).get("include_usage")
        return bool(asked) or bool((self.request.get("usage") or {}).get("include"))

    @property
    def speaks_openrouter(self) -> bool:
        """Whether the request holds a field that only OpenRouter knows."""
        known = any(field in self.request for field in OPENROUTER_ONLY)
        return known or isinstance(self.request.get("reasoning"), dict)

    @property
    def openrouter(self) -> bool:
        """Whether it was recorded at OpenRouter, which is told what only OpenRouter knows."""
        return self.name.startswith("openrouter/")

    @property
    def is_events(self) -> bool:
        """Whether the recorded answer is an event stream, whatever its content type says."""
        return self.answer.lstrip(b"\xef\xbb\xbf\r\n").startswith((b"data:", b"event:", b":"))

    @property
    def natives(self) -> tuple[str, ...]:
        """The provider's names of every model that the request mentions."""
        return tuple(dict.fromkeys([self.native, *(self.request.get("models") or [])]))

    def routed(self) -> dict[str, Any]:
        """The recorded request, changed only where it names models or providers, so that it leads to this recording."""
        request = {**self.request, "model": f"{self.slug}/{self.native}"}
        if "models" in request:
            request["models"] = [f"{self.slug}/{name}" for name in request["models"]]
        if isinstance(request.get("provider"), dict) and not self.openrouter:
            named = {rule: [self.slug] for rule in ("order", "only") if rule in request["provider"]}
            request["provider"] = {**request["provider"], **named}
        return request


def load(corpus: Path) -> list[Case]:
    """Every exchange of the corpus in the OpenAI chat dialect."""
    index = json.loads((corpus / "index.json").read_text())
    names = [entry["case"] for entry in index if entry["dialect"] == "openai.chat"]
    return [_case(corpus, name, number) for number, name in enumerate(names)]


def _case(corpus: Path, name: str, number: int) -> Case:
    recorded = json.loads((corpus / f"{name}.json").read_text())
    answer = recorded["response"]
    request = recorded["request"]["body"]
    if request is None:  # a fixture without its request
        streams = "event-stream" in answer["content_type"]
        request = {"messages": [{"role": "user", "content": "hi"}], **({"stream": True} if streams else {})}
    native = request.get("model") or "unnamed"
    return Case(name, f"c{number:04}", native, request, answer["status"], answer["body"].encode(), answer["headers"])


def events(raw: bytes) -> list[bytes]:
    """A stream cut into its events, each with its terminator."""
    return [event for event in EVENT_END.split(raw) if event]


def decoded(event: bytes) -> Any:
    """The JSON that an event carries, None if it carries none."""
    data = b"\n".join(line[5:].strip() for line in event.splitlines() if line.startswith(b"data:"))
    try:
        return json.loads(data)
    except ValueError:
        return None


def has_usage(value: Any) -> bool:
    """Whether a body or a chunk carries usage."""
    return isinstance(value, dict) and isinstance(value.get("usage"), dict)


def usage(value: Any) -> dict[str, Any] | None:
    """The usage of a body or a chunk, at its own place or at Groq's."""
    if not isinstance(value, dict):
        return None
    found = value.get("usage") or (value.get("x_groq") or {}).get("usage")
    return found if isinstance(found, dict) else None


def withheld(event: bytes) -> bool:
    """Whether it is the event that OpenAI sends only to those who ask for it."""
    value = decoded(event)
    return has_usage(value) and value.get("choices") == []


def gives_output(value: Any) -> bool:
    """Whether a chunk holds the first output: content, reasoning, a tool call or a finish reason."""
    if not isinstance(value, dict):
        return False
    for choice in value.get("choices") or []:
        delta = {name: part for name, part in (choice.get("delta") or {}).items() if name != "role"}
        if choice.get("finish_reason") or any(delta.values()):
            return True
    return False


def fails_before_output(case: Case) -> bool:
    """Whether a 200 turns out to be an error before anything of worth was said: then it is answered as an error."""
    if not case.is_events:
        value = json.loads(case.answer)
        return case.status == 200 and "error" in value and "choices" not in value
    for event in events(case.answer):
        value = decoded(event)
        if isinstance(value, dict) and value.get("error"):
            return True
        if gives_output(value):
            return False
    return False


def only_inserted(recorded: bytes, got: bytes) -> bool:
    """Whether `got` is `recorded` with text put in at two places at most, and every other byte as it was."""
    front = _common(recorded, got)
    back = _common(recorded[front:][::-1], got[front:][::-1])
    return recorded[front : len(recorded) - back] in got[front : len(got) - back]


def _common(one: bytes, other: bytes) -> int:
    pairs = enumerate(zip(one, other, strict=False))
    return next((at for at, (a, b) in pairs if a != b), min(len(one), len(other)))


def amendment_faults(recorded: bytes, got: bytes, *, before: Any, after: Any, openrouter_body: bool) -> Iterator[str]:
    """What is wrong with a body or an event that carries usage. `before` and `after` are their JSON."""
    if not only_inserted(recorded, got):
        yield f"changed bytes outside of what is added: {got[:300]!r}"
    allowed = {"provider"} | ({"system_fingerprint"} if openrouter_body else set())
    if extra := set(after) - set(before) - allowed:
        yield f"unexpected members {sorted(extra)}"
    if "provider" not in after:
        yield "no `provider`"
    if changed := [name for name in before if name != "usage" and after.get(name) != before[name]]:
        yield f"changed members {changed}"
    old, new = before["usage"], after["usage"]
    if missing := NOT_REPORTED - set(new):
        yield f"usage lacks {sorted(missing)}"
    if extra := set(new) - set(old) - NOT_REPORTED:
        yield f"usage has unexpected {sorted(extra)}"
    if changed := [name for name in old if new.get(name) != old[name]]:
        yield f"usage changed {changed}"
    if "cost" not in old and (expected := _cost(old)) is not None and Decimal(str(new.get("cost"))) != expected:
        yield f"cost {new.get('cost')} is not {expected}"


def counted(reported: dict[str, Any]) -> tuple[int, int] | None:
    """Prompt and completion tokens, if they are plain to see.

    xAI and Gemini leave reasoning out of `completion_tokens` and put it into the total, and it is paid for.
    """
    prompt, completion, total = (reported.get(name) for name in ("prompt_tokens", "completion_tokens", "total_tokens"))
    if not isinstance(prompt, int) or not isinstance(completion, int):
        return None
    return prompt, max(completion, total - prompt if isinstance(total, int) else 0)


def _cost(reported: dict[str, Any]) -> Decimal | None:
    """What the tokens cost in USD, at the provider's own figure where it gives one in its own words."""
    if ticks := reported.get("cost_in_usd_ticks"):  # xAI: ten billion to a dollar; Azure's copy of it is always 0
        return Decimal(ticks) / 10**10
    tokens = counted(reported)
    return None if tokens is None else (Decimal(tokens[0]) * PROMPT_USD + Decimal(tokens[1]) * COMPLETION_USD) / 10**6


def answer_faults(case: Case, got: bytes, *, openrouter: bool) -> Iterator[str]:
    """What is wrong with the answer that came through a door; `openrouter`: the door was under /api/v1."""
    if case.is_events:
        want = events(case.answer)
        if case.asks_stream and not (openrouter or case.asks_usage or case.speaks_openrouter):
            want = [event for event in want if not withheld(event)]
        yield from event_faults(want, events(got))
        return
    before, after = json.loads(case.answer), _json(got)
    if after is None:
        yield f"not JSON: {got[:200]!r}"
    elif has_usage(before):
        yield from amendment_faults(case.answer, got, before=before, after=after, openrouter_body=openrouter)
    elif not only_inserted(case.answer, got):
        yield "a body without usage was changed"


def event_faults(want: list[bytes], have: list[bytes]) -> Iterator[str]:
    """What is wrong with the events of a stream."""
    if len(want) != len(have):
        yield f"{len(have)} events instead of {len(want)}; the last is {have[-1:]!r}"
    for old, new in zip(want, have, strict=False):
        before, after = decoded(old), decoded(new)
        if has_usage(before) and has_usage(after):
            yield from amendment_faults(old, new, before=before, after=after, openrouter_body=False)
        elif usage(before) and after == {**before, "provider": after.get("provider")} and only_inserted(old, new):
            continue  # Groq's own place for usage stays as it is; only the provider's name stands beside it
        elif old != new:
            yield f"event {old[:200]!r} became {new[:200]!r}"


def _json(raw: bytes) -> Any:
    try:
        return json.loads(raw)
    except ValueError:
        return None


def sent_faults(case: Case, sent: dict[str, Any]) -> Iterator[str]:
    """What is wrong with the request that reached the provider."""
    ours = ("models", "route") if case.openrouter else OPENROUTER_ONLY
    want = {name: value for name, value in case.request.items() if name not in ours} | {"model": case.native}
    if not case.openrouter:  # which counts unasked
        if isinstance(want.get("reasoning"), dict):  # OpenRouter's word; a plain provider has another or none
            del want["reasoning"]
            sent = {name: value for name, value in sent.items() if name != "reasoning_effort" or name in want}
        if case.asks_stream:
            want["stream_options"] = {**(want.get("stream_options") or {}), "include_usage": True}
    if want != sent:
        different = [name for name in want.keys() | sent.keys() if want.get(name) != sent.get(name)]
        yield f"the provider was sent other {different}"
