"""Nothing is left: which error it is, what it blames, and who would have served."""

from __future__ import annotations

import pytest

from routerd.errors import NothingLeft, PermissionDenied, envelope
from routerd.routing.question import Excluded
from routerd.routing.refusals import availability, cooling_down, nothing_left
from tests.routing.made import endpoint

A, B, C = endpoint("a"), endpoint("b"), endpoint("c")
TRAINS = "data_policy:training"


def test_it_names_the_one_thing_without_which_most_would_serve() -> None:
    error = nothing_left(
        [
            [Excluded(A, TRAINS, "it trains", "[defaults]")],
            [Excluded(B, TRAINS, "it trains", "[defaults]")],
            [Excluded(C, "max_price", "too dear", "the request")],
        ],
        "maker/model",
    )
    assert isinstance(error, NothingLeft)
    assert error.message == (
        'no endpoint of "maker/model" is left by [defaults]: a: it trains; b: it trains; '
        "without it, it would be served by a, b"
    )
    assert error.metadata["excluded_by"] == [TRAINS, "max_price"]
    assert error.metadata["would_serve"] == ["a", "b"]
    assert error.metadata["constraint"] == {"field": "[defaults]", "detail": "a: it trains"}
    assert error.metadata["excluded"][2] == {
        "provider": "c",
        "model": "m",
        "reason": "max_price",
        "detail": "too dear",
        "source": "the request",
    }


def test_where_only_several_things_together_empty_it_none_is_blamed() -> None:
    both = [Excluded(A, TRAINS, "it trains", "[defaults]"), Excluded(A, "max_price", "too dear", "the request")]
    error = nothing_left([both], "m")
    assert "left by all of this together: a: it trains; a: too dear" in error.message
    assert error.metadata["would_serve"] == []


def test_two_reasons_of_one_source_are_one_thing() -> None:
    both = [Excluded(A, TRAINS, "it trains", "the request"), Excluded(A, "max_price", "too dear", "the request")]
    assert nothing_left([both], "m").metadata["would_serve"] == ["a"]


def test_a_rule_or_an_allow_list_forbids() -> None:
    listed = Excluded(A, "allowed_providers", "not on it", "[environments.prod] allow")
    denied = Excluded(B, "rule", "not approved", 'rule "x"')
    error = nothing_left([[listed, Excluded(A, "max_price", "too dear", "the request")], [denied]], "m")
    assert isinstance(error, PermissionDenied)
    assert error.status == 403
    assert isinstance(nothing_left([[listed], [Excluded(C, "max_price", "dear", "the request")]], "m"), NothingLeft)


def test_a_long_list_is_cut() -> None:
    every = [[Excluded(endpoint(f"p{i}"), TRAINS, "it trains", "[defaults]")] for i in range(50)]
    error = nothing_left(every, "m")
    assert "and 45 more" in error.message
    assert len(error.metadata["excluded"]) == 20
    assert len(error.message) < 500


def test_those_that_asked_to_be_left_alone_are_named_once() -> None:
    error = cooling_down(["a", "a", "b"], 7, "m")
    assert (error.status, error.retry_after) == (429, 7)
    assert error.message == "a, b asked to be left alone for another 7 s"
    told = envelope(error)["error"]["availability"]
    assert (told["code"], told["retryable"], told["retry_after"]) == ("capacity_exhausted", True, 7)
    assert told["affected_providers"] == ["a", "b"]


@pytest.mark.parametrize(
    ("reasons", "code"),
    [
        (["data_policy:zdr", TRAINS], "privacy_restricted"),
        (["data_region"], "region_restricted"),
        (["shutdown"], "model_deprecated"),
        (["data_policy:zdr", "max_price"], "constraint_filtered"),
        (["quantization"], "constraint_filtered"),
    ],
)
def test_programs_are_told_in_openrouters_words_and_places(reasons: list[str], code: str) -> None:
    error = nothing_left([[Excluded(A, reason, "so", "the request") for reason in reasons]], "m")
    told = envelope(error)["error"]
    assert told["availability"] == told["metadata"]["availability"]
    assert (told["error_type"], told["http_status"], told["code"]) == ("not_found", 404, 404)
    found = told["availability"]
    assert (found["code"], found["retryable"], found["requested_models"]) == (code, False, ["m"])
    assert (found["excluded_by"], found["constraint"]["field"]) == (reasons, "the request")


def test_an_availability_has_what_is_always_there() -> None:
    assert set(availability("no_endpoints", ["m"])) == {"code", "retryable", "requested_models", "docs_url"}
