"""Counts, and the text that Prometheus reads of them."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from prometheus_client.parser import text_string_to_metric_families

from routerd.server.metrics import BUCKETS, Tallies
from routerd.spend.record import Tokens
from tests.spend.records import record


def parsed(tallies: Tallies) -> dict[str, dict[tuple[str, ...], float]]:
    """Sample name to label values (in order of the labels' names) to value."""
    out: dict[str, dict[tuple[str, ...], float]] = {}
    for family in text_string_to_metric_families(tallies.render().decode()):
        for sample in family.samples:
            labels = tuple(value for _, value in sorted(sample.labels.items()))
            out.setdefault(sample.name, {})[labels] = sample.value
    return out


def finished(**fields: Any) -> Any:
    base = {"provider": "lab", "model": "lab/m", "status": "ok", "latency_ms": 700.0, "cost_picousd": 2_000_000}
    return msgspec.structs.replace(record(), **{**base, **fields})


def test_requests_tokens_cost_and_time_add_up_for_each_label_set() -> None:
    tallies = Tallies()
    tallies.count(finished(tokens=Tokens(prompt=5, completion=2)))
    tallies.count(finished(tokens=Tokens(prompt=6, completion=3), latency_ms=1300.0))
    tallies.count(finished(status="error", cost_picousd=None))
    found = parsed(tallies)
    assert found["routerd_requests_total"] == {("lab", "lab/m", "ok"): 2, ("lab", "lab/m", "error"): 1}
    assert found["gen_ai_client_token_usage_total"]["lab", "lab/m", "input", "ok"] == 11
    assert found["gen_ai_client_token_usage_total"]["lab", "lab/m", "output", "ok"] == 5
    assert found["routerd_cost_usd_total"]["lab", "lab/m", "ok"] == pytest.approx(4e-6)
    assert found["routerd_cost_usd_total"]["lab", "lab/m", "error"] == 0
    assert found["gen_ai_client_operation_duration_seconds_sum"]["lab", "lab/m", "ok"] == pytest.approx(2.0)
    assert found["gen_ai_client_operation_duration_seconds_count"]["lab", "lab/m", "ok"] == 2
    assert tallies.by_status == {"ok": 2, "error": 1}


@pytest.mark.parametrize(
    ("seconds", "first"), [(0.0, "0.1"), (0.1, "0.1"), (0.1001, "0.25"), (120.0, "120.0"), (121, "+Inf")]
)
def test_a_time_is_in_every_bucket_from_its_own_on(seconds: float, first: str) -> None:
    tallies = Tallies()
    tallies.count(finished(latency_ms=seconds * 1000))
    buckets = parsed(tallies)["gen_ai_client_operation_duration_seconds_bucket"]
    order = [*map(str, BUCKETS), "+Inf"]
    counts = [next(value for labels, value in buckets.items() if bound in labels) for bound in order]
    place = order.index(first)
    assert counts == [0] * place + [1] * (len(order) - place)


def test_a_name_of_any_letters_survives_the_text_format() -> None:
    tallies = Tallies()
    odd = 'a"b\\c\nd{é}'
    tallies.count(finished(model=odd))
    assert ("lab", odd, "ok") in parsed(tallies)["routerd_requests_total"]


def test_refusals_and_gauges_are_there_from_the_start() -> None:
    tallies = Tallies()
    tallies.active, tallies.streams, tallies.unrecorded = 3, 2, 1
    tallies.refuse(401)
    tallies.refuse(401)
    tallies.refuse(404)
    found = parsed(tallies)
    assert found["routerd_refused_total"] == {("401",): 2, ("404",): 1}
    assert found["routerd_active_requests"] == {(): 3}
    assert found["routerd_active_streams"] == {(): 2}
    assert found["routerd_unrecorded_total"] == {(): 1}
