"""Calibration: how far the token estimate is off for each model, learned from the usage that providers report. Pure.

The estimate (tokens.py) knows no vendor's tokenizer; this ratio takes in all of them, the vendors' templates and the
pictures that the estimate leaves out. It is good enough for holds and context checks, and stays an estimate: what a
request is billed by is what the provider counted.
"""

from __future__ import annotations

LOWEST, HIGHEST = 0.25, 4.0
"""A factor outside is a misreading: of the kinds of text named in tokens.py none is off by more than 24 %."""
MODELS = 1000
"""Models that are remembered; whoever was learned from longest ago is forgotten first."""
WEIGHT = 0.05
"""What one request is worth: half of the factor is from the last 14 of them."""
SMALLEST = 64
"""Tokens under which nothing is learned: there the vendor's template around the text is most of the count."""


class Calibration:
    """The running ratio of reported to estimated tokens, by model."""

    __slots__ = ("_ratios",)

    def __init__(self) -> None:
        self._ratios: dict[str, tuple[float, int]] = {}

    def factor(self, model: str) -> float:
        """What an estimate for the model is to be multiplied with; 1 for one never seen."""
        return self._ratios.get(model, (1.0, 0))[0]

    def corrected(self, model: str, estimated: int) -> int:
        """The estimate times the factor, a whole number of tokens."""
        return round(estimated * self.factor(model))

    def learn(self, model: str, *, estimated: int, reported: int) -> None:
        """Take in one request: the estimate as it was before correction, and what the provider counted."""
        if estimated < SMALLEST or reported <= 0:
            return
        old, times = self._ratios.pop(model, (1.0, 0))
        ratio = min(max(reported / estimated, LOWEST), HIGHEST)
        # The first ones count more, so that a new model need not wait for fourteen requests: a plain mean at first.
        weight = max(WEIGHT, 1 / (times + 1))
        self._ratios[model] = (old + weight * (ratio - old), times + 1)
        if len(self._ratios) > MODELS:
            del self._ratios[next(iter(self._ratios))]
