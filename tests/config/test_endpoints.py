"""What each provider serves: the catalogue's models as the user's tables correct them, and the user's own."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import msgspec

from routerd.catalogue.load import models as catalogue_models
from routerd.catalogue.load import providers as catalogue
from routerd.catalogue.schema import LOCAL, Price
from routerd.config import endpoints
from routerd.config.schema import Provider, ProviderModel
from routerd.routing.candidates import Endpoint

SIMULATOR = Provider(dialect=("simulator",))
CHEAP = Price(prompt=1, completion=2)


def served(name: str, provider: Provider, newer: Path | None = None) -> dict[str, Endpoint]:
    """By slug and native name."""
    found = endpoints.of(name, provider, keys=2, newer=newer)
    return {f"{endpoint.slug} {endpoint.model}": endpoint for endpoint in found}


def rows(folder: Path, *facts: Mapping[str, object], name: str = "lab") -> Path:
    (folder / f"{name}.json").write_bytes(msgspec.json.encode(facts))
    return folder


def test_the_catalogue_is_taken_as_it_is() -> None:
    for facts in catalogue_models("anthropic"):
        endpoint = served("anthropic", Provider())[f"anthropic {facts.native}"]
        assert (endpoint.id, endpoint.price, endpoint.context_length) == (facts.id, facts.price, facts.context_length)
        assert endpoint.dialects == (facts.dialects or catalogue()["anthropic"].dialects)
        assert endpoint.keys == 2


def test_a_table_corrects_what_it_names_and_leaves_the_rest() -> None:
    table = ProviderModel(id="me/mine", price=CHEAP, tag="openai/own", input_modalities=("text",), distillable=True)
    provider = Provider(models={"gpt-5.4-mini": table})
    before = served("openai", Provider())["openai gpt-5.4-mini"]
    after = served("openai", provider)["openai/own gpt-5.4-mini"]
    assert (after.id, after.price, after.input_modalities) == ("me/mine", CHEAP, frozenset({"text"}))
    assert (before.distillable, after.distillable) == (None, True)
    assert (after.context_length, after.kind) == (before.context_length, before.kind)


def test_a_model_of_the_users_own_is_served_beside_the_catalogues() -> None:
    found = served("openai", Provider(models={"ft:mine": ProviderModel(context_length=9)}))
    own = found["openai ft:mine"]
    assert (own.id, own.context_length, own.price) == ("openai/ft:mine", 9, None)
    assert "openai gpt-5.4-mini" in found


def test_the_simulator_and_servers_of_ones_own_cost_nothing() -> None:
    assert endpoints.pattern("sim", SIMULATOR, keys=1).price == endpoints.FREE
    ollama = endpoints.pattern("ollama", Provider(), keys=1, native="m")
    assert (ollama.price, ollama.data, ollama.local) == (endpoints.FREE, LOCAL, True)
    assert endpoints.of("sim", SIMULATOR, keys=1) == []
    assert endpoints.pattern("sim", SIMULATOR, keys=1).dialects == ("openai",)
    assert endpoints.pattern("lab", Provider(), keys=1).price is None


def test_tiers_are_endpoints_of_their_own(tmp_path: Path) -> None:
    row = {"native": "m", "id": "a/m", "price": {"prompt": 4, "completion": 8}, "flex": {"prompt": 2, "completion": 4}}
    found = served("lab", Provider(), rows(tmp_path, row))
    assert {slug: endpoint.tier for slug, endpoint in found.items()} == {"lab m": None, "lab/flex m": "flex"}
    assert found["lab/flex m"].price == Price(prompt=2, completion=4)


def test_a_slug_begins_with_the_name_that_the_user_gave(tmp_path: Path) -> None:
    row = {"native": "m", "id": "a/m", "tag": "lab/turbo"}
    assert list(served("work", Provider(like="lab"), rows(tmp_path, row))) == ["work/turbo m"]


def test_clouds_serve_what_can_be_called_from_the_region() -> None:
    vertex = endpoints.models("google-vertex", Provider())
    assert {row.tag for row in vertex} >= {None, "google-vertex/global"}
    assert "google-vertex/regional" not in {row.tag for row in vertex}
    bedrock = endpoints.models("amazon-bedrock", Provider(region="eu-central-1"))
    assert {row.tag for row in bedrock} == {None, "amazon-bedrock/eu", "amazon-bedrock/global"}


def test_a_snapshot_is_sent_by_its_own_name_and_a_family_as_what_is_newest_of_it(tmp_path: Path) -> None:
    names = ["m-2-20260101", "m-2-latest", "m-latest"]
    newer = rows(tmp_path, {"native": "m-2-1", "id": "a/m-2.1", "aliases": names})
    own = endpoints.of("lab", Provider(), keys=1, newer=newer)
    found = {alias: endpoint.model for alias, endpoint in endpoints.aliases(own, "lab", Provider(), newer)}
    assert found == {"m-2-20260101": "m-2-20260101", "m-2-latest": "m-2-latest", "m-latest": "m-2-1"}


def test_a_second_account_is_known_as_what_it_is_like() -> None:
    account = Provider(like="openai")
    assert all(endpoint.like == "openai" for endpoint in endpoints.of("work", account, keys=1))
    assert endpoints.pattern("work", account, keys=1).slugs == {"work", "openai"}


def test_a_model_is_spoken_to_in_no_dialect_that_the_user_has_left_out() -> None:
    for dialects in (("openai",), ("responses",), ("openai", "responses")):
        found = endpoints.of("openai", Provider(dialect=dialects), keys=1)
        assert all(endpoint.dialects and set(endpoint.dialects) <= set(dialects) for endpoint in found)
