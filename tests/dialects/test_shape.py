from __future__ import annotations

import pytest

from routerd.dialects.shape import Request


@pytest.mark.parametrize(
    ("model", "models", "wanted"),
    [
        ("a", (), ("a",)),
        ("a", ("b", "c"), ("a", "b", "c")),
        ("a", ("a", "b", "b"), ("a", "b")),
        ("b", ("a", "b"), ("b", "a")),
    ],
)
def test_every_model_is_wanted_once_the_named_one_first(
    model: str, models: tuple[str, ...], wanted: tuple[str, ...]
) -> None:
    assert Request(b"{}", model, models).wanted == wanted
