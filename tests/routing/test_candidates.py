"""From a model's name to the endpoints that serve it, in the order in which they are tried."""

from __future__ import annotations

import msgspec
import pytest

from routerd.errors import UnknownModel
from routerd.routing.candidates import Endpoint, Names, groups, is_known, names, passed_on, resolve, unknown

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


def test_an_endpoint_knows_every_slug_that_means_it() -> None:
    east = Endpoint(provider="Google-Vertex", tag="google-vertex/us-east5", model="m", id="m")
    assert (east.slug, east.place) == ("google-vertex/us-east5", ("google-vertex/us-east5", "m"))
    assert east.slugs == {"google-vertex", "google-vertex/us-east5"}
    assert (GROQ.slug, GROQ.slugs) == ("groq", frozenset({"groq"}))


def test_an_endpoint_is_meant_by_the_catalogues_name_for_its_provider_too() -> None:
    work = Endpoint(provider="work", like="google-vertex", model="m", id="a/m", tag="work/us-east5")
    assert work.slugs == {"work", "work/us-east5", "google-vertex", "google-vertex/us-east5"}
    assert Endpoint(provider="work", like="groq", model="m", id="a/m").slugs == {"work", "groq"}


@pytest.mark.parametrize(
    ("fields", "longest"),
    [({}, float("inf")), ({"context_length": 9}, 9), ({"context_length": 9, "max_prompt_tokens": 5}, 5)],
)
def test_an_endpoint_knows_the_longest_prompt_it_takes(fields: dict[str, int], longest: float) -> None:
    assert Endpoint(provider="p", model="m", id="m", **fields).longest == longest  # type: ignore[arg-type]


def test_what_an_endpoint_knows_follows_its_name() -> None:
    found = passed_on(Endpoint(provider="ollama", model="", id=""), "llama")
    assert (found.place, found.id) == (("ollama", "llama"), "ollama/llama")
    assert found.lasting
    assert not Endpoint(provider="p", model="m", id="m", tier="flex").lasting
    assert not Endpoint(provider="p", model="m", id="m", shutdown="2030-01-01").lasting


def test_a_pin_means_every_region_and_tier_of_the_provider() -> None:
    ends = [Endpoint(provider="p", model="m", id="a/m", tag=tag) for tag in ("p/eu", "p/us")]
    where = names(ends, virtual={}, open_providers={})
    assert resolve("p/m", where, NEVER) == tuple(ends)


def test_the_members_of_a_virtual_model_are_groups() -> None:
    where = book(virtual={"fast": ("openai/gpt-mini", "openai/gpt-oss-120b")})
    assert groups("fast", where, NEVER) == ((MINI,), (GROQ, LAB))
    assert groups("gpt-mini", where, NEVER) == ((MINI,),)


def test_a_member_that_nobody_serves_at_the_moment_is_passed_over_if_there_is_another() -> None:
    where = book(virtual={"fast": ("gone/one", "openai/gpt-mini"), "away": ("gone/one", "gone/two")})
    assert groups("fast", where, NEVER) == ((MINI,),)
    with pytest.raises(UnknownModel, match="gone/one"):
        groups("away", where, NEVER)


@pytest.mark.parametrize(
    ("name", "known"),
    [
        ("openai/gpt-mini", True),
        ("lab/gpt-oss", True),
        ("gpt-oss", True),
        ("fast", True),
        ("ollama/model", True),
        ("model", True),
        ("ollama/other", False),
        ("nobody/x", False),
        ("", False),
    ],
)
def test_a_name_is_known_where_the_configuration_or_a_list_holds_it(name: str, known: bool) -> None:
    where = book(virtual={"fast": ("lab/gpt-oss",)}, open_=(OLLAMA,))
    assert is_known(name, where, {"ollama": frozenset({"model"})}) is known


def test_the_models_of_an_author_are_listed_newest_first() -> None:
    dated = [Endpoint(provider="p", model=n, id=f"x/{n}", created=day) for n, day in (("a", "2025-01-01"), ("b", None))]
    newer = Endpoint(provider="p", model="c", id="x/c", created="2026-01-01", author="x")
    where = names([*dated, newer], virtual={}, open_providers={})
    assert where.by_author == {"x": ("x/c", "x/a", "x/b")}


def test_the_sentence_about_an_unknown_name_stands_alone_too() -> None:
    assert unknown("gpt-mni", book(), NEVER).endswith("nearest: openai/gpt-mini")


def test_an_alias_is_found_bare_behind_its_provider_and_behind_its_author() -> None:
    dated = msgspec.structs.replace(MINI, model="gpt-mini-2026")
    where = names([GROQ, MINI], virtual={}, open_providers={"openai": OLLAMA}, aliases=[("gpt-mini-2026", dated)])
    for name in ("gpt-mini-2026", "openai/gpt-mini-2026"):
        assert resolve(name, where, NEVER) == (dated,)
        assert is_known(name, where, NEVER)
    assert "openai/gpt-mini-2026" not in where.by_id, "no model of its own"


def test_an_alias_is_served_with_whoever_has_it_as_its_own_name() -> None:
    own = Endpoint(provider="lab", model="gpt-mini-2026", id="lab/gpt-mini-2026")
    dated = msgspec.structs.replace(MINI, model="gpt-mini-2026")
    where = names([own, MINI], virtual={}, open_providers={}, aliases=[("gpt-mini-2026", dated)])
    assert resolve("gpt-mini-2026", where, NEVER) == (own, dated)
    again = names([own], virtual={}, open_providers={}, aliases=[("gpt-mini-2026", own)])
    assert again.by_alias == {}, "its own name is no other"
