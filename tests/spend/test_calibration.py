"""The estimate learns from what providers report."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from routerd.spend import calibration
from routerd.spend.calibration import HIGHEST, LOWEST, SMALLEST, Calibration


def test_a_model_never_seen_is_taken_as_estimated() -> None:
    learned = Calibration()
    assert learned.factor("m") == 1
    assert learned.corrected("m", 77) == 77


def test_the_first_request_counts_in_full() -> None:
    learned = Calibration()
    learned.learn("m", estimated=1000, reported=1300)
    assert learned.factor("m") == pytest.approx(1.3)
    assert learned.corrected("m", 100) == 130
    assert learned.factor("other") == 1


def test_noise_is_averaged_out() -> None:
    learned, chance = Calibration(), random.Random(7)
    for _ in range(200):
        estimated = chance.randint(100, 10_000)
        learned.learn("m", estimated=estimated, reported=round(estimated * 1.24 * chance.uniform(0.8, 1.2)))
    assert learned.factor("m") == pytest.approx(1.24, rel=0.06)


def test_a_change_of_tokenizer_is_followed() -> None:
    learned = Calibration()
    for _ in range(500):
        learned.learn("m", estimated=1000, reported=1000)
    for _ in range(60):
        learned.learn("m", estimated=1000, reported=1350)
    assert learned.factor("m") == pytest.approx(1.35, rel=0.02)


def test_one_odd_report_moves_a_known_model_little() -> None:
    learned = Calibration()
    for _ in range(500):
        learned.learn("m", estimated=1000, reported=1000)
    learned.learn("m", estimated=1000, reported=10**9)
    assert learned.factor("m") == pytest.approx(1 + 0.05 * (HIGHEST - 1))


@pytest.mark.parametrize(("estimated", "reported"), [(0, 10), (SMALLEST - 1, 10), (1000, 0), (1000, -5), (-1000, 5)])
def test_nothing_is_learned_from_little_or_nothing(estimated: int, reported: int) -> None:
    learned = Calibration()
    learned.learn("m", estimated=estimated, reported=reported)
    assert learned.factor("m") == 1


@given(st.lists(st.tuples(st.integers(-10, 10**9), st.integers(-10, 10**12))))
def test_whatever_is_reported_the_factor_stays_in_bounds(reports: list[tuple[int, int]]) -> None:
    learned = Calibration()
    for estimated, reported in reports:
        learned.learn("m", estimated=estimated, reported=reported)
        assert LOWEST <= learned.factor("m") <= HIGHEST


def test_the_model_heard_of_longest_ago_is_forgotten_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calibration, "MODELS", 2)
    learned = Calibration()
    for model in ("a", "b", "a", "c"):
        learned.learn(model, estimated=100, reported=200)
    assert [learned.factor(model) for model in "abc"] == [2, 1, 2]
