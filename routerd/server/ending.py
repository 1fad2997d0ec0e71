"""How an exchange ends: the head and error that its client sees, and the record that the ledger keeps.

Functions of a finished (or failing) exchange, apart from its state machine so that each can be read alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from routerd.dialects.openai.answer import Amendment, Answer, ProviderAnswerInvalid
from routerd.dialects.openai.error import ProviderError
from routerd.errors import RouterdError, envelope
from routerd.mask import Mask
from routerd.routing.attempts import Failure
from routerd.routing.candidates import Candidate, Endpoint
from routerd.routing.metadata import openrouter_metadata
from routerd.server import clock
from routerd.server.client import Whole
from routerd.server.services import Refused
from routerd.spend import pricing, tokens
from routerd.spend.journal import Entry
from routerd.spend.record import AttemptRecord, Record, Route, Status, Tokens, UsageSource
from routerd.usage import Usage

if TYPE_CHECKING:
    from routerd.server.exchange import Exchange
    from routerd.server.leg import Leg

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
            ("X-Routerd-Provider", exchange.leg.candidate.endpoint.provider),
            ("X-Routerd-Attempts", str(len(attempts.tried) + 1)),
            *exchange.leg.head.passed_on,
        ]
    if dropped := (*ask.preferences_dropped, *exchange.leg.passage.encoded.dropped):
        # Names of the client's own choosing: escaped, for a line break would begin a header of the client's own.
        out.append(("X-Routerd-Dropped", ascii(", ".join(dropped))[1:-1][:MOST_DROPPED]))
    return out


def amendment(usage: Usage, *, exchange: Exchange, endpoint: Endpoint) -> Amendment:
    """What the usage of an answer gains: its cost. `is_byok` is false, because `cost` already is the whole spend."""
    cost = pricing.cost(usage, endpoint.price, now=exchange.ask.wall)
    top = {"provider": msgspec.json.encode(endpoint.provider)}
    if exchange.ask.metadata:
        top["openrouter_metadata"] = msgspec.json.encode(metadata(exchange, served=exchange.attempts.candidate))
    if cost is None:
        return Amendment(usage=UNPRICED, top=top)
    total, details = pricing.format_usd(cost.total), "null"
    if cost.itemised:
        details = (
            f'{{"upstream_inference_cost":{total},'
            f'"upstream_inference_prompt_cost":{pricing.format_usd(cost.prompt)},'
            f'"upstream_inference_completions_cost":{pricing.format_usd(cost.completion)}}}'
        )
    return Amendment(usage={"cost": total.encode(), "cost_details": details.encode(), "is_byok": b"false"}, top=top)


def metadata(exchange: Exchange, *, served: Candidate | None) -> dict[str, Any]:
    """How the request was routed, for a client that asked."""
    ask = exchange.ask
    spent = (clock.precise() - ask.arrived) * 1000
    return openrouter_metadata(
        ask.route, tried=exchange.attempts.tried, served=served, generation_ms=spent, pipeline=exchange.pipeline
    )


def answered(leg: Leg, body: bytes) -> tuple[Answer, bytes] | Failure:
    """A whole answer of status 200 in the door's form, or why it does not count as one."""
    exchange = leg.exchange
    endpoint, ask = leg.candidate.endpoint, exchange.ask

    def amend(usage: Usage) -> Amendment:
        return amendment(usage, exchange=exchange, endpoint=endpoint)

    try:
        found = leg.passage.whole(body, amend, fingerprint=ask.fingerprint)
    except ProviderAnswerInvalid as error:
        return Failure(kind="invalid", message=f"the answer cannot be used: {error}")
    return in_band(found, ask.generation.mask) if isinstance(found, ProviderError) else found


def refusal(leg: Leg, body: bytes) -> Failure:
    """A provider's error answer. A redirect is one too: following it would send the prompt and the key elsewhere."""
    status, mask = leg.status, leg.exchange.ask.generation.mask
    if 300 <= status < 400:
        return Failure(kind="invalid", message=f"answered {status}: redirects are not followed")
    # Masked before it is cut short, so that no secret stands across the cut; what JSON had escaped is masked after.
    failure = in_band(leg.passage.refusal(status, mask(body.decode(errors="replace")).encode()), mask)
    return msgspec.structs.replace(failure, retry_after=leg.head.retry_after)


def in_band(error: ProviderError, mask: Mask) -> Failure:
    """An error that came inside an answer of status 200."""
    code = None if error.code is None else mask(error.code)
    return Failure(status=error.status, message=mask(error.message), code=code, raw=mask(error.raw))


def error_event(exchange: Exchange, error: RouterdError) -> bytes:
    """The last event of a stream that failed, in the door's form."""
    error.generation_id = exchange.ask.id
    leg = exchange.leg
    return leg.passage.broken({**envelope(error), "provider": leg.candidate.endpoint.provider}, leg.tap)


def refused(ask: Refused, error: RouterdError) -> Record:
    """The record of a request that a rule, a policy or a preference kept from everybody. It cost nothing."""
    question = ask.question
    spent = round((clock.precise() - ask.arrived) * 1000, 3)
    return Record(
        ts=clock.stamp(ask.wall),
        id=ask.id,
        key=question.key,
        environment=question.environment,
        app=question.app,
        session_id=question.session,
        user=ask.request.user,
        door=question.door,
        requested_model=question.models[0],
        model=None,
        provider=None,
        endpoint=None,
        streamed=ask.request.stream,
        status="refused",
        http_status=error.status,
        error_type=error.error_type,
        cost_usd="0",
        cost_picousd=0,
        latency_ms=spent,
        overhead_ms=spent,
        bytes_in=len(ask.request.raw),
        bytes_out=0,
    )


def journal(exchange: Exchange) -> None:
    """Note that the request is about to go to its candidate: should we die before `record`, the next start knows."""
    ask, attempts = exchange.ask, exchange.attempts
    endpoint = exchange.leg.candidate.endpoint
    entry = Entry(
        id=ask.id,
        wall=ask.wall,
        key=ask.key,
        environment=ask.environment,
        app=ask.app,
        session_id=ask.session,
        user=ask.request.user,
        door=ask.door,
        requested_model=ask.request.model,
        model=endpoint.id,
        provider=endpoint.provider,
        endpoint=endpoint.slug,
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
        _praise(exchange, entry)
    services.tallies.count(entry)
    services.write(entry, exchange.ask.slot)


def _praise(exchange: Exchange, entry: Record) -> None:
    """Tell health how well the candidate served, the conversation where it is, and the estimate what was counted."""
    services, ask, candidate = exchange.services, exchange.ask, exchange.leg.candidate
    now = services.loop.time()
    ttft = speed = None
    if exchange.first_at is not None:
        ttft = exchange.first_at - exchange.leg.began
        spent = clock.precise() - exchange.leg.began
        speed = entry.tokens.completion / spent if entry.usage_source == "provider" and spent > 0 else None
    services.health.succeeded(candidate, now=now, ttft=ttft, speed=speed)
    if entry.usage_source == "provider" and (estimated := ask.asked.estimated) is not None:
        services.calibration.learn(entry.requested_model, estimated=estimated, reported=entry.tokens.prompt)
    services.hedges.served(entry.cost_picousd or 0)
    cached = entry.tokens.cached + entry.tokens.cache_write
    services.sticky.served(ask.question, candidate, cached=cached, now=now)


def _entry(exchange: Exchange, status: Status) -> Record:
    ask, attempts, now = exchange.ask, exchange.attempts, clock.precise()
    leg = exchange.leg
    endpoint = leg.candidate.endpoint
    usage, source = _usage(exchange)
    cost = pricing.cost(usage, endpoint.price, now=ask.wall) if source != "none" else NOTHING
    died = {one.candidate: _cost_of_part(exchange, one) for one in exchange.died}
    lost = tuple(_lost(exchange, other) for other in exchange.lost)
    beside = sum(one.cost_picousd or 0 for one in lost) + sum(part or 0 for part in died.values())
    total = None if cost is None else cost.total + beside
    meter = leg.tap or leg.answer
    failure = exchange.failure
    return Record(
        ts=clock.stamp(ask.wall),
        id=ask.id,
        key=ask.key,
        environment=ask.environment,
        app=ask.app,
        session_id=ask.session,
        user=ask.request.user,
        door=ask.door,
        requested_model=ask.request.model,
        model=endpoint.id,
        provider=endpoint.provider,
        endpoint=endpoint.slug,
        upstream_id=meter.upstream_id,
        streamed=ask.request.stream,
        status=status,
        http_status=_http_status(exchange, status),
        error_type=failure.error_type if failure is not None else None,
        finish_reason=meter.finish_reason,
        native_finish_reason=meter.native_finish_reason,
        tokens=_tokens(usage),
        usage_source=source,
        cost_usd=None if total is None else pricing.format_usd(total),
        cost_picousd=total,
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
                died.get(tried.candidate),
            )
            for tried in attempts.tried
            if tried.failure is not failure
        )
        + lost,
        route=Route(
            strategy=ask.route.strategy, rules=ask.route.rules, sticky=ask.route.sticky, hedged=bool(exchange.lost)
        ),
    )


def prompt_cost(exchange: Exchange, leg: Leg) -> int | None:
    """About what a candidate costs that is cancelled before its first token, in picodollars; None: nobody knows."""
    price = leg.candidate.endpoint.price
    if price is None:
        return None
    return exchange.ask.asked.prompt_tokens(tokens.estimate) * price.prompt + price.request


def _lost(exchange: Exchange, leg: Leg) -> AttemptRecord:
    """The one of two that came too late. Its provider has read the prompt, and most bill that to its end."""
    cost = prompt_cost(exchange, leg) if leg.call.sent_at else 0
    exchange.services.hedges.lost(cost or 0)
    endpoint = leg.candidate.endpoint
    return AttemptRecord(endpoint.provider, endpoint.model, leg.status, "hedge_lost", round(leg.ms, 3), cost)


def _cost_of_part(exchange: Exchange, leg: Leg) -> int | None:
    """What a stream cost that died in mid-answer and was continued: as counted, else by its prompt and its events."""
    tap = leg.tap
    usage = tap.usage if tap is not None and tap.usage is not None else None
    if usage is None:
        events = tap.events if tap is not None else 0
        usage = Usage(prompt=exchange.ask.asked.prompt_tokens(tokens.estimate), completion=events)
    cost = pricing.cost(usage, leg.candidate.endpoint.price, now=exchange.ask.wall)
    return None if cost is None else cost.total


def _http_status(exchange: Exchange, status: Status) -> int:
    """What the client was sent; 499 (nginx' word) when it left before anything was."""
    opened, failure = exchange.opened, exchange.failure
    if opened.done() and not opened.cancelled():
        if isinstance(refused := opened.exception(), RouterdError):
            return refused.status
        answer = opened.result()
        if isinstance(answer, Whole):
            return answer.status
        return 499 if status == "cancelled" and exchange.sink is None else 200
    return 499 if failure is None else failure.shown_status


def _usage(exchange: Exchange) -> tuple[Usage, UsageSource]:
    """The provider's count; without one an estimate, where the provider may have worked for us."""
    leg = exchange.leg
    meter = leg.tap or leg.answer
    if leg in exchange.died:  # nobody could go on: it is among the attempts, with its cost
        return Usage(), "none"
    if meter.usage is not None:
        return meter.usage, "provider"
    if not exchange.legs or not leg.call.sent_at:  # it had failed before, or was not asked
        return Usage(), "none"
    prompt = exchange.ask.asked.prompt_tokens(tokens.estimate)
    if leg.tap is not None:
        # One event carries about one token at nearly every provider; the text itself is not kept.
        return Usage(prompt=prompt, completion=leg.tap.events), "estimated"
    return Usage(prompt=prompt, completion=tokens.estimate(_answer_text(leg))), "estimated"


def _answer_text(leg: Leg) -> str:
    """The text of an answer in one piece, as a prompt would hold it: choices are messages."""
    said = leg.passage.read(b"".join(leg.body)) if leg.body else {}
    return tokens.prompt_text(msgspec.json.encode({"messages": said.get("choices") or []}))


def _tokens(usage: Usage) -> Tokens:
    return Tokens(
        usage.prompt, usage.completion, usage.cached, usage.cache_write, usage.reasoning, usage.audio, usage.image
    )
