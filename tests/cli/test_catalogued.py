"""The catalogue as rows."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import msgspec
import pytest

from routerd.catalogue.schema import ModelFacts, Price
from routerd.catalogue.updated import listed
from routerd.cli import catalogued

CHEAP = ModelFacts(
    native="llama-70b",
    id="meta/llama",
    name="Llama",
    context_length=100,
    supported_parameters=("tools",),
    price=Price(prompt=100_000, completion=400_000),
    created="2025-03",
    shutdown="2026-01-01",
    as_of="2026-05-21",
)
DEAR = ModelFacts(
    native="L",
    id="meta/llama",
    context_length=200,
    input_modalities=("text", "image"),
    supported_parameters=("seed",),
    price=Price(prompt=900_000, completion=900_000),
    shutdown="2026-02-01",
    as_of="2026-11-01",
)
OTHER = ModelFacts(native="z", id="meta/zephyr", as_of="2026-11-01")


@pytest.fixture
def newer(tmp_path: Path) -> Path:
    for slug, facts in {"aa": [DEAR, OTHER], "bb": [CHEAP]}.items():
        (tmp_path / f"{slug}.json").write_bytes(msgspec.json.encode(facts))
    return tmp_path


def test_a_model_is_one_row_with_all_its_endpoints_the_cheapest_first(newer: Path) -> None:
    llama, zephyr = catalogued.rows(["aa", "bb"], newer)
    assert llama == {
        "id": "meta/llama",
        "name": "Llama",
        "created": 1_740_787_200,
        "owned_by": "meta",
        "served_by": ["bb/llama-70b", "aa/L"],
        "context_length": 200,
        "max_completion_tokens": None,
        "architecture": {"input_modalities": ["text"], "output_modalities": ["text"]},
        "pricing": {"prompt": "0.0000001", "completion": "0.0000004"},
        "supported_parameters": ["seed", "tools"],
        "knowledge_cutoff": None,
        "expiration_date": "2026-02-01",
        "as_of": "2026-11-01",
    }
    assert zephyr["pricing"] == {"prompt": "-1", "completion": "-1"}
    assert zephyr["expiration_date"] is None
    assert zephyr["created"] == 0


def test_a_model_that_somebody_goes_on_serving_does_not_end(newer: Path) -> None:
    (newer / "cc.json").write_bytes(msgspec.json.encode([msgspec.structs.replace(CHEAP, shutdown=None)]))
    assert catalogued.rows(["bb", "cc"], newer)[0]["expiration_date"] is None


def test_a_provider_without_a_list_has_no_rows(newer: Path) -> None:
    assert catalogued.rows(["nobody"], newer) == []


def test_the_bundled_catalogue_is_large_and_each_model_stands_once() -> None:
    rows = catalogued.rows(listed())
    names = [row["id"] for row in rows]
    assert len(names) == len(set(names)) >= 900


def test_facts_are_old_after_sixty_days(newer: Path) -> None:
    listed = ["aa/L", "bb/llama-70b", "bb/unknown", "nobody/x", "no-slash"]
    assert catalogued.stale(listed, date(2026, 7, 20), newer) == (0, "")
    assert catalogued.stale(listed, date(2026, 7, 21), newer) == (1, "2026-05-21")
