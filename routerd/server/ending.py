"""How an exchange ends: the head and error that its client sees, and the record that the ledger keeps.

Functions of a finished (or failing) exchange, apart from its state machine so that each can be read alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from routerd.dialects import openai
from routerd.errors import RouterdError, envelope
from routerd.mask import Mask
from routerd.routing.attempts import Failure
from routerd.routing.candidates import Endpoint
from routerd.server import clock
from routerd.server.client import Whole
from routerd.spend import pricing, tokens
from routerd.spend.journal import Entry
from routerd.spend.record import AttemptRecord, Record, Status, Tokens, UsageSource
from routerd.usage import Usage

if TYPE_CHECKING:
    from routerd.server.exchange import Exchange

UNPRICED = {"cost": b"null", "cost_details": b"null", "is_byok": b"false"}
"""An unknown price is null and never 0."""
MOST_DROPPED = 1024
"""Characters of the header that lists what was dropped; clients refuse longer heads as a whole."""
NOTHING = pricing.Cost(total=0)
"""What a request cost that failed before any output, or that was never written to a provider."""


def head(exchange: Exchange) -> list[tuple[str, str]]:
    """Headers of an answer that begins now: ours, and those of the provider's that clients act on.

    Before the first output nobody knows yet who will have served: then the head does not say.
    """
    ask, attempts = exchange.ask, exchange.attempts
    overhead = (exchange.asked_at or ask.arrived) - ask.arrived
    out = [("X-Generation-Id", ask.id), ("X-Routerd-Overhead-Ms", f"{overhead * 1000:.3f}")]
    if attempts.committed:
        out += [
            ("X-Routerd-Provider", attempts.candidate.endpoint.provider),
            ("X-Routerd-Attempts", str(len(attempts.tried) + 1)),
            *exchange.head.passed_on,
        ]
    if dropped := (*ask.preferences_dropped, *ask.dropped):
        # Names of the client's own choosing: escaped, for a line break would begin a header of the client's own.
        out.append(("X-Routerd-Dropped", ascii(", ".join(dropped))[1:-1][:MOST_DROPPED]))
    return out


def amendment(usage: Usage, endpoint: Endpoint) -> openai.Amendment:
    """What the usage of an answer gains: its cost. `is_byok` is false, because `cost` already is the whole spend."""
    cost = pricing.cost(usage, endpoint.price)
    top = {"provider": msgspec.json.encode(endpoint.provider)}
    if cost is None:
        return openai.Amendment(usage=UNPRICED, top=top)
    total, details = pricing.format_usd(cost.total), "null"
    if cost.itemised:
        details = (
            f'{{"upstream_inference_cost":{total},'
            f'"upstream_inference_prompt_cost":{pricing.format_usd(cost.prompt)},'
            f'"upstream_inference_completions_cost":{pricing.format_usd(cost.completion)}}}'
        )
    return openai.Amendment(
        usage={"cost": total.encode(), "cost_details": details.encode(), "is_byok": b"false"}, top=top
    )


def answer_in(body: bytes, mask: Mask) -> openai.Answer | Failure:
    """What a whole answer of status 200 says, or why it does not count as one."""
    try:
        answer = openai.read_answer(body)
    except ValueError as error:
        return Failure(kind="invalid", message=f"the answer is not a chat completion: {error}")
    return in_band(answer, mask) if isinstance(answer, openai.ProviderError) else answer


def amended(exchange: Exchange, body: bytes) -> bytes:
    """An answer in one piece with what we add to it. Where the provider counted nothing we add no cost of it."""
    usage = exchange.answer.usage
    added = amendment(usage or Usage(), exchange.attempts.candidate.endpoint)
    if usage is None:
        added = openai.Amendment(usage={}, top=added.top)
    return openai.amend_answer(body, added, fingerprint=exchange.ask.fingerprint, answer=exchange.answer)


def one_event(body: bytes) -> bytes:
    """An answer in one piece as a stream of one chunk: the provider ignored `stream`, the client has its head already.

    What is said in a chunk is said in `delta`, and its tool calls are numbered.
    """
    answer = msgspec.json.decode(body)
    answer["object"] = "chat.completion.chunk"
    for choice in answer["choices"]:
        choice["delta"] = message = choice.pop("message", {})
        calls = message.get("tool_calls") if isinstance(message, dict) else None
        for index, call in enumerate(calls if isinstance(calls, list) else ()):
            if isinstance(call, dict):
                call.setdefault("index", index)
    return b"data: %b\n\ndata: [DONE]\n\n" % msgspec.json.encode(answer)


def refusal(status: int, body: bytes, retry_after: float | None, mask: Mask) -> Failure:
    """A provider's error answer. A redirect is one too: following it would send the prompt and the key elsewhere."""
    if 300 <= status < 400:
        return Failure(kind="invalid", message=f"answered {status}: redirects are not followed")
    # Masked before it is cut short, so that no secret stands across the cut; what JSON had escaped is masked after.
    failure = in_band(openai.decode_error(status, mask(body.decode(errors="replace")).encode()), mask)
    return msgspec.structs.replace(failure, retry_after=retry_after)


def in_band(error: openai.ProviderError, mask: Mask) -> Failure:
    """An error that came inside an answer of status 200."""
    code = None if error.code is None else mask(error.code)
    return Failure(status=error.status, message=mask(error.message), code=code, raw=mask(error.raw))


def error_event(exchange: Exchange, error: RouterdError) -> bytes:
    """The last event of a chat stream that failed: OpenRouter's form, which OpenAI's SDKs raise on as well."""
    error.generation_id = exchange.ask.id
    tap, endpoint = exchange.tap, exchange.attempts.candidate.endpoint
    chunk = {
        "id": (tap and tap.upstream_id) or exchange.ask.id,
        "object": "chat.completion.chunk",
        "created": int(exchange.ask.wall),
        "model": (tap and tap.model) or endpoint.model,
        "provider": endpoint.provider,
        **envelope(error),
        "choices": [{"index": 0, "delta": {"content": ""}, "finish_reason": "error"}],
    }
    return b"data: %b\n\n" % msgspec.json.encode(chunk)


def journal(exchange: Exchange) -> None:
    """Note that the request is about to go to its candidate: should we die before `record`, the next start knows."""
    ask, attempts = exchange.ask, exchange.attempts
    endpoint = attempts.candidate.endpoint
    entry = Entry(
        id=ask.id,
        wall=ask.wall,
        key=ask.key,
        environment=ask.environment,
        app=ask.app,
        session_id=ask.request.session_id,
        user=ask.request.user,
        door=ask.door,
        requested_model=ask.request.model,
        model=endpoint.id,
        provider=endpoint.provider,
        endpoint=endpoint.provider,
        streamed=ask.request.stream,
        bytes_in=ask.bytes_in,
        tried=len(attempts.tried),
    )
    ask.slot = exchange.services.note(entry, ask.slot)


def record(exchange: Exchange, status: Status) -> None:
    """Append the exchange's one record, count it, and tell the endpoint's health of a success."""
    services = exchange.services
    entry = _entry(exchange, status)
    if status == "ok":
        services.health.succeeded(exchange.attempts.candidate)
    services.tallies.count(entry)
    services.write(entry, exchange.ask.slot)


def _entry(exchange: Exchange, status: Status) -> Record:
    ask, attempts, now = exchange.ask, exchange.attempts, clock.precise()
    endpoint = attempts.candidate.endpoint
    usage, source = _usage(exchange, status)
    cost = pricing.cost(usage, endpoint.price) if source != "none" else NOTHING
    meter = exchange.tap or exchange.answer
    failure = exchange.failure
    return Record(
        ts=clock.stamp(ask.wall),
        id=ask.id,
        key=ask.key,
        environment=ask.environment,
        app=ask.app,
        session_id=ask.request.session_id,
        user=ask.request.user,
        door=ask.door,
        requested_model=ask.request.model,
        model=endpoint.id,
        provider=endpoint.provider,
        endpoint=endpoint.provider,
        upstream_id=meter.upstream_id,
        streamed=ask.request.stream,
        status=status,
        http_status=_http_status(exchange, status),
        error_type=failure.error_type if failure is not None else None,
        finish_reason=meter.finish_reason,
        native_finish_reason=meter.native_finish_reason,
        tokens=_tokens(usage),
        usage_source=source,
        cost_usd=None if cost is None else pricing.format_usd(cost.total),
        cost_picousd=None if cost is None else cost.total,
        price_as_of=endpoint.price.as_of if endpoint.price is not None else None,
        cache_discount_usd=pricing.format_usd(cost.discount) if cost is not None and cost.itemised else None,
        latency_ms=round((now - ask.arrived) * 1000, 3),
        ttft_ms=None if exchange.first_at is None else round((exchange.first_at - ask.arrived) * 1000, 3),
        overhead_ms=round(((exchange.asked_at or now) - ask.arrived) * 1000, 3),
        bytes_in=ask.bytes_in,
        bytes_out=exchange.sent or sum(map(len, exchange.held)),
        attempts=tuple(
            AttemptRecord(
                tried.candidate.endpoint.provider,
                tried.candidate.endpoint.model,
                tried.failure.status,
                tried.failure.error_type,
                round(tried.ms, 3),
            )
            for tried in attempts.tried
            if tried.failure is not failure
        ),
    )


def _http_status(exchange: Exchange, status: Status) -> int:
    """What the client was sent; 499 (nginx' word) when it left before anything was."""
    opened, failure = exchange.opened, exchange.failure
    if opened.done() and not opened.cancelled() and opened.exception() is None:
        answer = opened.result()
        if isinstance(answer, Whole):
            return answer.status
        return 499 if status == "cancelled" and exchange.sink is None else 200
    return 499 if failure is None else failure.shown_status


def _usage(exchange: Exchange, status: Status) -> tuple[Usage, UsageSource]:
    """The provider's count; without one an estimate, where the provider may have worked for us."""
    meter = exchange.tap or exchange.answer
    if meter.usage is not None:
        return meter.usage, "provider"
    if not exchange.call.sent_at or (status == "error" and not exchange.attempts.committed):
        return Usage(), "none"
    prompt = tokens.estimate(tokens.prompt_text(exchange.ask.request.raw))
    if exchange.tap is not None:
        # One event carries about one token at nearly every provider; the text itself is not kept.
        return Usage(prompt=prompt, completion=exchange.tap.events), "estimated"
    return Usage(prompt=prompt, completion=tokens.estimate(_answer_text(b"".join(exchange.body)))), "estimated"


def _answer_text(body: bytes) -> str:
    """The text of an answer in one piece, as a prompt would hold it: choices are messages."""
    return tokens.prompt_text(b'{"messages":%b}' % (_raw(body, "choices") or b"[]")) if body else ""


def _raw(body: bytes, key: str) -> bytes | None:
    try:
        found = msgspec.json.decode(body, type=dict[str, msgspec.Raw]).get(key)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    return None if found is None else bytes(found)


def _tokens(usage: Usage) -> Tokens:
    return Tokens(
        usage.prompt, usage.completion, usage.cached, usage.cache_write, usage.reasoning, usage.audio, usage.image
    )
