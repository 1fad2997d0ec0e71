"""Faults: collected, placed, and written for people."""

from __future__ import annotations

from routerd.config.faults import Faults, did_you_mean, written


def test_faults_are_reported_in_the_order_of_the_file() -> None:
    faults = Faults("r.toml", index={("a",): 9, ("b",): 2})
    faults.add(("a", "x"), "is missing")
    faults.add(("b",), "unknown key")
    assert faults.report() == ("r.toml:2: b: unknown key", "r.toml:9: a.x: is missing")


def test_one_place_has_one_fault_its_first() -> None:
    faults = Faults("r.toml", index={})
    faults.add(("a",), "the cause")
    faults.add(("a",), "a consequence")
    assert faults.report() == ("r.toml:1: a: the cause",)
    assert faults.within(("a",))
    assert faults.within(())
    assert not faults.within(("a", "b"))


def test_a_key_with_a_dot_is_shown_in_quotes() -> None:
    assert (
        written(("providers", "lab", "models", "llama-3.3-70b", "price"))
        == 'providers.lab.models."llama-3.3-70b".price'
    )
    assert written(("server", "listen", 0)) == "server.listen[0]"


def test_a_close_word_is_suggested_and_a_far_one_is_not() -> None:
    assert did_you_mean("wieght", ["weight", "height"]) == ', did you mean "weight"?'
    assert did_you_mean("MAX_BODY", ["max_body"]) == ', did you mean "max_body"?'
    assert did_you_mean("zzz", ["weight"]) == ""
    assert did_you_mean("x" * 10**6, ["weight"]) == ""
