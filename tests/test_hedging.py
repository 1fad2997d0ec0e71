"""Hedging through the running daemon, beside one that does not hedge: a tenth of bench/hedging.py."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from bench.hedging import SIDES, measure, table


@pytest.mark.timeout(120)
async def test_hedging_halves_the_slowest_first_tokens_for_little_money(figure: Callable[[str], None]) -> None:
    found = await measure(300)
    without, hedged = (found[side] for side in SIDES)
    figure("\n".join(table(300, found)))
    assert hedged.p99 <= without.p99 / 2
    assert (without.asked, without.extra) == (1, 0)
    assert 1 < hedged.asked < 1.15, "percentiles of few answers are rough"
    assert 0 < hedged.extra < 0.08
