"""From a model's name to the endpoints that serve it, in the order in which they are tried."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from routerd.errors import UnknownModel
from routerd.routing.candidates import Candidate, Endpoint, Names, describe, expand, names, resolve

GROQ = Endpoint(provider="groq", model="openai/gpt-oss-120b", id="openai/gpt-oss-120b")
LAB = Endpoint(provider="lab", model="gpt-oss", id="openai/gpt-oss-120b", keys=3)
MINI = Endpoint(provider="openai", model="gpt-mini", id="openai/gpt-mini")
OLLAMA = Endpoint(provider="ollama", model="", id="")
NEVER: dict[str, frozenset[str]] = {}


def book(*, virtual: dict[str, tuple[str, ...]] | None = None, open_: tuple[Endpoint, ...] = ()) -> Names:
    return names([GROQ, LAB, MINI], virtual=virtual or {}, open_providers={one.provider: one for one in open_})


def providers(name: str, where: Names, lists: dict[str, frozenset[str]] = NEVER) -> list[tuple[str, str]]:
    return [(endpoint.provider, endpoint.model) for endpoint in resolve(name, where, lists)]


def test_a_catalogue_id_is_served_by_every_endpoint_that_has_it_in_order() -> None:
    assert resolve("openai/gpt-oss-120b", book(), NEVER) == (GROQ, LAB)


def test_a_providers_own_name_behind_its_slug_pins_that_provider() -> None:
    assert resolve("groq/openai/gpt-oss-120b", book(), NEVER) == (GROQ,)
    assert resolve("lab/gpt-oss", book(), NEVER) == (LAB,)


def test_a_bare_native_name_is_served_by_those_that_know_it() -> None:
    assert resolve("gpt-mini", book(), NEVER) == (MINI,)


def test_a_virtual_model_comes_first_and_is_its_members_in_order() -> None:
    where = book(virtual={"gpt-mini": ("lab/gpt-oss", "openai/gpt-mini")})
    assert resolve("gpt-mini", where, NEVER) == (LAB, MINI)


def test_a_virtual_model_may_be_named_like_its_own_member() -> None:
    where = book(virtual={"openai/gpt-mini": ("openai/gpt-mini", "openai/gpt-oss-120b")})
    assert resolve("openai/gpt-mini", where, NEVER) == (MINI, GROQ, LAB)


def test_an_open_provider_is_passed_any_name_behind_its_slug_colons_and_slashes_included() -> None:
    found = resolve("ollama/hf.co/x/llama3.2:1b", book(open_=(OLLAMA,)), NEVER)
    assert [(one.provider, one.model, one.id) for one in found] == [
        ("ollama", "hf.co/x/llama3.2:1b", "ollama/hf.co/x/llama3.2:1b")
    ]


def test_a_bare_name_goes_to_the_open_providers_that_list_it() -> None:
    other = Endpoint(provider="vllm", model="", id="")
    where = book(open_=(OLLAMA, other))
    assert providers("llama", where, {"ollama": frozenset(), "vllm": frozenset({"llama"})}) == [("vllm", "llama")]
    both = {"ollama": frozenset({"llama"}), "vllm": frozenset({"llama"})}
    assert providers("llama", where, both) == [("ollama", "llama"), ("vllm", "llama")]


def test_a_bare_name_that_nobody_lists_goes_to_the_only_open_provider() -> None:
    assert providers("llama", book(open_=(OLLAMA,))) == [("ollama", "llama")]


def test_where_two_open_providers_do_not_list_a_name_it_is_unknown() -> None:
    where = book(open_=(OLLAMA, Endpoint(provider="vllm", model="", id="")))
    with pytest.raises(UnknownModel):
        resolve("llama", where, {"ollama": frozenset({"llama-2"})})


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("gpt-mine", "no configured provider serves a model called"),
        ("openai/gpt-mni", 'provider "openai" has no model "gpt-mni" in the configuration; nearest: openai/gpt-mini'),
        ("lab/", 'provider "lab" has no model ""'),
        ("fastt", "nearest: fast"),
        ("ollama-mode", "nearest: ollama/model"),
        ("", "no configured provider"),
    ],
)
def test_an_unknown_name_is_refused_with_the_nearest_ones(name: str, says: str) -> None:
    lists = {"away": frozenset({"x"}), "ollama": frozenset({"model"})}
    with pytest.raises(UnknownModel) as caught:
        resolve(name, book(virtual={"fast": ("lab/gpt-oss",)}), lists)
    assert says in caught.value.message


def test_every_endpoint_is_tried_once_with_each_key_of_its_pool() -> None:
    assert expand([(LAB, MINI), (MINI, GROQ)], turn=0) == [
        Candidate(LAB, 0, 0),
        Candidate(LAB, 1, 0),
        Candidate(LAB, 2, 0),
        Candidate(MINI, 0, 0),
        Candidate(GROQ, 0, 1),
    ]


@given(st.integers(0, 10**6), st.integers(1, 9))
def test_each_key_of_a_pool_is_first_in_turn(turn: int, keys: int) -> None:
    endpoint = Endpoint(provider="p", model="m", id="m", keys=keys)
    firsts = [expand([[endpoint]], turn=turn + i)[0].key for i in range(keys)]
    assert sorted(firsts) == list(range(keys))
    assert sorted(one.key for one in expand([[endpoint]], turn=turn)) == list(range(keys))


def test_no_endpoints_are_no_candidates() -> None:
    assert expand([[], ()], turn=3) == []


def test_an_endpoint_is_described_by_its_provider_and_that_ones_name_for_the_model() -> None:
    assert describe(LAB) == {"provider": "lab", "model": "gpt-oss"}
