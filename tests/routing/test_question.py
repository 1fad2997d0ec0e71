"""A question of which nothing more is known."""

from __future__ import annotations

from routerd.needs import NOTHING
from routerd.routing.question import Question, nothing


def test_a_question_needs_nothing_unless_it_says_so() -> None:
    assert nothing() is NOTHING
    assert Question(models=("m",)).needs() is NOTHING
