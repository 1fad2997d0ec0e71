"""`routerd explain`: why a request would go where it would go; by the running daemon, else by the configuration."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import msgspec

from routerd.cli import daemon_client, show
from routerd.cli.daemon_client import Answer
from routerd.cli.run import no_config
from routerd.cli.show import Column, Styled
from routerd.config import paths
from routerd.errors import InvalidRequest, RouterdError, envelope

STYLES = {"well": "green", "degraded": "yellow", "outage": "red", "resting": "yellow"}


class Price(msgspec.Struct, frozen=True):
    """USD per million tokens."""

    prompt: float | None = None
    completion: float | None = None


class HalfHour(msgspec.Struct, frozen=True):
    """What an endpoint did in the last thirty minutes."""

    ok: int = 0
    failed: int = 0
    limited: int = 0


class Health(msgspec.Struct, frozen=True, kw_only=True):
    """How an endpoint is."""

    state: str = "untried"
    resting_s: float | None = None
    reason: str | None = None
    half_hour: HalfHour | None = msgspec.field(default=None, name="30m")
    latency: dict[str, float | None] = msgspec.field(default_factory=dict, name="latency_last_30m")


class Candidate(msgspec.Struct, frozen=True, kw_only=True):
    """One who may be asked."""

    provider: str
    model: str
    endpoint: str
    key: int = 0
    price: Price | None = None
    estimate: float | None = None
    health: Health = Health()


class Excluded(msgspec.Struct, frozen=True, kw_only=True):
    """One who may not."""

    provider: str
    model: str
    reason: str
    detail: str = ""
    source: str = ""


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """The body of POST /v1/route, as far as it is drawn; `--json` passes on all of it."""

    models: list[str] = []
    strategy: str = ""
    rules: list[str] = []
    sticky: bool = False
    hedge: bool = False
    candidates: list[Candidate] = []
    excluded: list[Excluded] = []
    dropped: list[str] = []


class Refusal(msgspec.Struct, frozen=True):
    """What the metadata of a refusal tells about who is excluded."""

    excluded: list[Excluded] = []
    hint: str = ""


def arguments(parser: argparse.ArgumentParser) -> None:
    """The model, and what is known of the request."""
    parser.add_argument("model", metavar="MODEL", help="the name that a client would ask for")
    parser.add_argument("--request", metavar="FILE", help="a chat request (JSON) to plan for; - reads stdin")
    parser.add_argument("--key", metavar="NAME", default="", help="as if this key asked: its rules, lists, environment")
    parser.add_argument("--json", action="store_true", help="print the plan as JSON")


def run(args: argparse.Namespace) -> int:
    """Print the plan; 1 where the request would be refused, or where there is neither a daemon nor a configuration."""
    body = _request(args.model, args.request)
    path = paths.find_config(args.config)
    try:
        daemon = daemon_client.find(args.config)
        supposed = json.dumps({"key": args.key, "request": body}).encode()
        answer, source = daemon.call("POST", "/admin/route", body=supposed), f"the daemon at {daemon.listener}"
    except daemon_client.NotRunning:
        if path is None:
            return no_config()
        answer, source = offline(path, body, key=args.key), f"{path}; no daemon runs, so nothing is known of health"
    if args.json:
        show.as_json(answer.body)
        return 0 if answer.status == 200 else 1
    if answer.status != 200:
        return _refused(answer)
    _draw(msgspec.convert(answer.body, Plan), source)
    return 0


def _request(model: str, file: str | None) -> dict[str, Any]:
    """The request that is planned for, with the model in it."""
    if file is None:
        return {"model": model, "messages": []}
    try:
        found = json.loads(sys.stdin.read() if file == "-" else Path(file).read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise InvalidRequest(f"{file}: not JSON: {error}") from error
    if not isinstance(found, dict):
        raise InvalidRequest(f"{file}: a chat request is a JSON object")
    return {"messages": [], **found, "model": model}


def offline(path: Path, body: dict[str, Any], *, key: str) -> Answer:
    """What a daemon with this file would answer that has asked nobody yet. Raises ConfigError."""
    from routerd.catalogue import updated  # noqa: PLC0415
    from routerd.cli.planned import plan, planned  # noqa: PLC0415  # not needed while a daemon answers
    from routerd.config.load import load  # noqa: PLC0415

    built = planned(load(path, newer=updated.directory(paths.state_dir())).config)
    try:
        return Answer(200, plan(body, built, key=key))
    except RouterdError as error:
        return Answer(error.status, envelope(error))


def _refused(answer: Answer) -> int:
    """Say what refuses the request, and whom it would have gone to."""
    error = answer.body.get("error") if isinstance(answer.body, dict) else None
    metadata = error.get("metadata") if isinstance(error, dict) else None
    try:
        found = msgspec.convert(metadata or {}, Refusal)
    except msgspec.ValidationError:
        found = Refusal()
    show.problem(f"it would be refused with {answer.status}: {daemon_client.message(answer)}", hint=found.hint)
    if found.excluded:
        _draw_excluded(found.excluded)
    return 1


def _draw(plan: Plan, source: str) -> None:
    numbers = [Column(name, right=True) for name in ("prompt $/M", "completion $/M", "this request")]
    columns = [Column("", right=True), Column("provider"), Column("model"), *numbers, Column("health")]
    show.table(columns, [(place, *_candidate(one)) for place, one in enumerate(plan.candidates, 1)])
    if plan.excluded:
        print()
        _draw_excluded(plan.excluded)
    print()
    show.pairs(
        [
            ("models", ", ".join(plan.models)),
            ("strategy", plan.strategy),
            ("rules", ", ".join(plan.rules) or "none applies"),
            ("sticky", "the conversation was at the first before" if plan.sticky else "no"),
            ("hedge", "a silent one is not waited for alone" if plan.hedge else "no"),
            *([("without effect", ", ".join(plan.dropped))] if plan.dropped else []),
            ("according to", source),
        ]
    )


def _candidate(one: Candidate) -> tuple[object, ...]:
    who = f"{one.endpoint} (key {one.key + 1})" if one.key else one.endpoint
    price = one.price or Price()
    cost = None if one.estimate is None else show.money(round(one.estimate * show.PICODOLLARS))
    return (who, one.model, _usd(price.prompt), _usd(price.completion), cost, _health(one.health))


def _usd(amount: float | None) -> str | None:
    return None if amount is None else f"{amount:.12f}".rstrip("0").rstrip(".")


def _health(health: Health) -> Styled:
    told = [health.state]
    if health.resting_s is not None:
        told = [f"resting for {show.duration(health.resting_s)}" + (f" ({health.reason})" if health.reason else "")]
    if (lately := health.half_hour) and (total := lately.ok + lately.failed + lately.limited):
        told.append(f"{lately.ok:,} of {total:,} ok in 30 min")
    if (first := health.latency.get("p50")) is not None:
        told.append(f"first token {show.duration(first / 1000)}")
    return Styled(", ".join(told), STYLES.get(health.state, ""))


def _draw_excluded(excluded: list[Excluded]) -> None:
    columns = [Column(name) for name in ("excluded", "model", "reason", "because", "by")]
    show.table(columns, [(one.provider, one.model, one.reason, one.detail, one.source) for one in excluded])
