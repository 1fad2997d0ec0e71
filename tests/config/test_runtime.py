"""The configuration as run: what the catalogue fills in, who needs a key, whose names are ours."""

from __future__ import annotations

import pytest

from routerd.catalogue.load import providers as catalogue
from routerd.config import endpoints
from routerd.config.known import passes_any_name
from routerd.config.load import parse
from routerd.config.runtime import Runtime, build, offline, wanted
from routerd.errors import UnknownModel
from routerd.keys import KeyEntry, hash_text
from routerd.routing.candidates import resolve
from routerd.secret_sources import DefaultChain
from routerd.secrets import Secret

LAB = '[providers.lab]\nbase_url = "http://127.0.0.1:9/v1/"\n'
KNOWN = next(name for name, facts in sorted(catalogue().items()) if facts.key and not facts.openrouter)
ISSUED = "sk-routerd-issued"
DECLARED = "sk-routerd-declared"
ADMIN = "sk-routerd-admin"


def of(text: str) -> Runtime:
    return offline(parse(text).config)


def with_keys(text: str) -> Runtime:
    issued = {"phone": KeyEntry("phone", hash_text(ISSUED), "2026-11-21T00:00:00Z", "dev")}
    return build(parse(text).config, secrets={}, issued=issued, admin=ADMIN)


def test_a_name_that_the_catalogue_knows_needs_nothing_more() -> None:
    source = of(f"[providers.{KNOWN}]\n").sources[KNOWN]
    assert list(source.urls) == list(catalogue()[KNOWN].dialects)
    assert source.urls[catalogue()[KNOWN].dialects[0]] == catalogue()[KNOWN].base_url.rstrip("/")
    assert source.ask_usage == catalogue()[KNOWN].stream_usage
    assert source.any_model


def test_what_the_user_writes_is_taken_over_the_catalogue() -> None:
    text = f'[providers.{KNOWN}]\nbase_url = "http://127.0.0.1:9/x"\nstream_usage = false\nany_model = false\n'
    source = of(text).sources[KNOWN]
    assert set(source.urls.values()) == {"http://127.0.0.1:9/x"}
    assert (source.ask_usage, source.any_model) == (False, False)


def test_openrouter_is_known_by_its_name_and_by_its_address() -> None:
    assert of("[providers.openrouter]\n").sources["openrouter"].openrouter
    assert of('[providers.mine]\nbase_url = "https://openrouter.ai/api/v1"\n').sources["mine"].openrouter
    assert not of(LAB).sources["lab"].openrouter


@pytest.mark.parametrize(
    "text",
    [
        LAB,
        LAB + "any_model = true\n",
        LAB + "[providers.lab.models.m]\n",
        LAB + "any_model = true\n[providers.lab.models.m]\n",
        f"[providers.{KNOWN}]\n",
        f"[providers.{KNOWN}.models.m]\n",
        '[providers.sim]\ndialect = "simulator"\n',
        '[providers.sim]\ndialect = "simulator"\n[providers.sim.models.m]\n',
    ],
)
def test_who_is_passed_any_name_is_one_rule_for_the_checks_and_the_routing(text: str) -> None:
    config = parse(text).config
    found = offline(config)
    for name, provider in config.providers.items():
        assert found.sources[name].any_model is passes_any_name(name, provider)
        assert (name in found.names.open) is passes_any_name(name, provider)


def test_a_model_is_found_by_its_id_its_pin_and_its_own_name() -> None:
    text = LAB + '[providers.lab.models."llama3:8b"]\nid = "meta/llama-3"\n'
    for name in ("meta/llama-3", "lab/llama3:8b", "llama3:8b"):
        (endpoint,) = resolve(name, of(text).names, {})
        assert (endpoint.provider, endpoint.model, endpoint.id) == ("lab", "llama3:8b", "meta/llama-3")
    with pytest.raises(UnknownModel):
        resolve("lab/other", of(text).names, {})


def test_a_snapshot_is_found_by_its_own_name_and_sent_by_it() -> None:
    book = of("[providers.anthropic]\n").names
    for name in ("claude-opus-4-5-20251101", "anthropic/claude-opus-4-5-20251101"):
        (endpoint,) = resolve(name, book, {})
        assert (endpoint.model, endpoint.id) == ("claude-opus-4-5-20251101", "anthropic/claude-opus-4.5")
        assert endpoint.price is not None


def test_a_ranking_of_the_users_own_is_what_the_automatic_router_means() -> None:
    found = of(LAB + '[providers.lab.models.m]\n[routing]\nauto = ["lab/m"]\n')
    assert [endpoint.model for endpoint in resolve("openrouter/auto", found.names, {})] == ["m"]
    assert not of(LAB + "[providers.lab.models.m]\n").names.virtual
    virtual = '[providers.lab.models.m]\n[models.fast]\nmodels = ["lab/m"]\n[routing]\nauto = ["fast"]\n'
    assert [endpoint.model for endpoint in resolve("openrouter/auto", of(LAB + virtual).names, {})] == ["m"]


def test_a_model_without_an_id_goes_by_its_pin() -> None:
    (endpoint,) = of(LAB + "[providers.lab.models.m]\n").endpoints
    assert endpoint.id == "lab/m"


def test_every_key_of_a_pool_is_a_candidate() -> None:
    config = parse(LAB + "[providers.lab.models.m]\n").config
    pool = [Secret(f"sk-{number}", source="test") for number in range(3)]
    built = build(config, secrets={"lab": pool}, issued={}, admin="")
    assert built.endpoints[0].keys == 3
    assert of(LAB + "[providers.lab.models.m]\n").endpoints[0].keys == 1


def test_what_the_simulator_serves_costs_nothing_and_what_others_serve_is_unknown() -> None:
    found = of('[providers.sim]\ndialect = "simulator"\n' + LAB + "any_model = true\n")
    assert found.names.open["sim"].price == endpoints.FREE
    assert found.names.open["lab"].price is None


def test_keys_issued_and_declared_are_found_with_their_environment_and_management_is_apart() -> None:
    found = with_keys(f'[keys.laptop]\nhash = "{hash_text(DECLARED)}"\nenvironment = "prod"\n')
    assert found.table.find(ISSUED) == "phone"
    assert found.table.find(DECLARED) == "laptop"
    assert found.table.find(ADMIN) == ""
    assert found.table.find("sk-routerd-other") is None
    assert found.environments == {"phone": "dev", "laptop": "prod"}


def test_of_two_keys_of_one_name_the_declared_one_counts() -> None:
    found = with_keys(f'[keys.phone]\nhash = "{hash_text(DECLARED)}"\n')
    assert found.table.find(DECLARED) == "phone"
    assert found.table.find(ISSUED) is None
    assert found.environments == {"phone": None}


def test_the_hosts_are_loopbacks_the_listeners_and_the_allowed_ones() -> None:
    text = '[server]\nlisten = ["192.0.2.7:8484", "[2001:db8::1]:1"]\nallowed_hosts = ["Gate.Example.com"]\n'
    expected = {"localhost", "127.0.0.1", "::1", "192.0.2.7", "2001:db8::1", "gate.example.com"}
    assert of(text).hosts == expected


def test_who_needs_a_key_and_where_it_is_looked_for() -> None:
    text = f"""
        [providers.{KNOWN}]
        [providers.sim]
        dialect = "simulator"
        [providers.open]
        base_url = "http://127.0.0.1:9/v1"
        key = "none"
        [providers.lab]
        base_url = "http://127.0.0.1:9/v1"
        [providers.own]
        base_url = "http://127.0.0.1:9/v1"
        key = ["env:A", "env:B"]
    """
    found = wanted(parse(text).config)
    assert set(found) == {KNOWN, "open", "lab", "own"}
    assert isinstance(found[KNOWN][0], DefaultChain)
    assert [str(source) for source in found["own"]] == ["env:A", "env:B"]
    assert [str(source) for source in found["open"]] == ["none"]


def test_a_repr_shows_no_password_of_a_proxy() -> None:
    found = of(LAB + 'proxy = "http://me:hunter2secret@127.0.0.1:1"\n')
    assert "hunter2secret" not in f"{found!r} {found.sources}"
