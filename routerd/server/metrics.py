"""Counts for `/metrics` and `routerd status`: plain numbers on the hot path, Prometheus' text when it is asked for."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from routerd.spend.record import Record

if TYPE_CHECKING:
    from prometheus_client.core import Metric

BUCKETS = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0)
"""Seconds. Few, because a scrape of many label sets costs more than all requests of its interval."""

MOST_LABELS = 1_000
"""Label sets with a model of their own: clients choose the names that an open provider is passed."""

Labels = tuple[str, str, str]
"""Provider, model, status."""


class Tally:
    """Sums of one label set."""

    __slots__ = ("buckets", "completion", "cost", "count", "prompt", "seconds")

    def __init__(self) -> None:
        self.count = 0
        self.prompt = 0
        self.completion = 0
        self.cost = 0
        self.seconds = 0.0
        self.buckets = [0] * (len(BUCKETS) + 1)


class Tallies:
    """Everything that has been counted since the daemon started."""

    def __init__(self) -> None:
        self.by_labels: dict[Labels, Tally] = {}
        self.by_status: dict[str, int] = {}
        self.refused: dict[int, int] = {}
        """HTTP status to requests that were refused before any provider was asked."""
        self.active = 0
        self.streams = 0
        self.total = 0
        self.unrecorded = 0
        """Records that could not be written when their request ended."""
        self.lost = 0
        """Those of them that could not even be kept until there is space again."""

    def count(self, record: Record) -> None:
        """Add a finished request."""
        labels = (record.provider or "", record.model or "", record.status)
        tally = self.by_labels.get(labels)
        if tally is None and len(self.by_labels) >= MOST_LABELS:
            labels = (record.provider or "", "(other)", record.status)
            tally = self.by_labels.get(labels)
        if tally is None:
            tally = self.by_labels[labels] = Tally()
        tally.count += 1
        tally.prompt += record.tokens.prompt
        tally.completion += record.tokens.completion
        tally.cost += record.cost_picousd or 0
        seconds = record.latency_ms / 1000
        tally.seconds += seconds
        place = 0
        for bound in BUCKETS:
            if seconds <= bound:
                break
            place += 1
        tally.buckets[place] += 1
        self.by_status[record.status] = self.by_status.get(record.status, 0) + 1

    def refuse(self, status: int) -> None:
        """Add a request that was refused before any provider was asked."""
        self.refused[status] = self.refused.get(status, 0) + 1

    def render(self) -> bytes:
        """Prometheus' text format. About a millisecond for ten label sets: call it in a thread."""
        from prometheus_client import CollectorRegistry, generate_latest  # noqa: PLC0415  # 60 ms, and few ask

        registry = CollectorRegistry(auto_describe=False)
        registry.register(self)  # a collector is anything with collect()
        return generate_latest(registry)

    def collect(self) -> Iterator[Metric]:
        """Yield the metric families; names and labels follow OpenTelemetry's GenAI conventions."""
        from prometheus_client.core import (  # noqa: PLC0415
            CounterMetricFamily,
            GaugeMetricFamily,
            HistogramMetricFamily,
        )

        labels = ["gen_ai_provider_name", "gen_ai_request_model", "status"]
        requests = CounterMetricFamily("routerd_requests", "Finished requests.", labels=labels)
        tokens = CounterMetricFamily("gen_ai_client_token_usage", "Tokens.", labels=[*labels, "gen_ai_token_type"])
        cost = CounterMetricFamily("routerd_cost_usd", "Known cost in USD.", labels=labels)
        duration = HistogramMetricFamily("gen_ai_client_operation_duration_seconds", "Latency.", labels=labels)
        for key, tally in list(self.by_labels.items()):
            requests.add_metric(key, tally.count)
            tokens.add_metric([*key, "input"], tally.prompt)
            tokens.add_metric([*key, "output"], tally.completion)
            cost.add_metric(key, tally.cost / 1e12)
            duration.add_metric(key, _cumulative(tally.buckets), sum_value=tally.seconds)
        refused = CounterMetricFamily("routerd_refused", "Requests refused by routerd itself.", labels=["http_status"])
        for status, count in list(self.refused.items()):
            refused.add_metric([str(status)], count)
        yield from (requests, tokens, cost, duration, refused)
        yield GaugeMetricFamily("routerd_active_requests", "Requests being served.", value=self.active)
        yield GaugeMetricFamily("routerd_active_streams", "Streams being served.", value=self.streams)
        yield CounterMetricFamily("routerd_unrecorded", "Records that could not be written.", value=self.unrecorded)
        yield CounterMetricFamily("routerd_lost", "Records of them that were given up.", value=self.lost)


def _cumulative(buckets: list[int]) -> list[tuple[str, float]]:
    total, out = 0, []
    for bound, count in zip([*map(str, BUCKETS), "+Inf"], buckets, strict=True):
        total += count
        out.append((bound, float(total)))
    return out
