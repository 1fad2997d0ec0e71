"""Listings: what is in them, that filters, sorts and pages hold, and that OpenRouter's schema takes every answer."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import pytest

from routerd.catalogue.load import models as catalogue_models
from routerd.config import runtime
from routerd.config.load import parse
from routerd.errors import InvalidRequest, NotFound
from routerd.routing.candidates import Candidate, Endpoint
from routerd.routing.health import Health
from routerd.routing.question import Policy
from routerd.server import listing
from routerd.server.listing import Listing
from routerd.server.stats import Traffic

CONFIG = """
[providers.lab]
base_url = "http://127.0.0.1:9/v1"
key = "none"
any_model = true
data = { training = false, retention = "none", region = "DE" }
[providers.lab.models."llama-3.3-70b"]
id = "meta-llama/llama-3.3-70b-instruct"
price = { prompt = 0.10, completion = 0.40, cache_read = 0.02, request = 0.001 }
context_length = 131072
max_completion_tokens = 32768
supported_parameters = ["tools", "temperature"]
[providers.lab.models."vectors"]
kind = "embedding"
price = { prompt = 0.02, completion = 0 }
[providers.spare]
base_url = "http://127.0.0.1:9/v1"
key = "none"
[providers.spare.models."l33"]
id = "meta-llama/llama-3.3-70b-instruct"
quantization = "fp8"
[models.fast]
models = ["lab/llama-3.3-70b", "spare/l33"]
[models.later]
models = ["not-listed-yet"]
"""
REAL = "".join(f"[providers.{name}]\n" for name in ("openai", "anthropic", "deepinfra", "cohere"))
REAL += '[providers.google-vertex]\nproject = "p"\nregion = "europe-west1"\n'
LISTS = {"lab": frozenset({"llama-3.3-70b", "b/with/slashes:1b", "a"})}
STARTED = 1_763_000_000
REQUIRED = re.compile(r"^(\w+) \| REQUIRED \[(.*?)\]", re.MULTILINE)
LLAMA = "meta-llama/llama-3.3-70b-instruct"


def of(text: str = CONFIG, lists: Mapping[str, frozenset[str]] = LISTS, health: Health | None = None) -> Listing:
    stats = Traffic(health or Health(), lambda: 100.0)
    return Listing(runtime.offline(parse(text).config), lists, stats, started=STARTED)


def ask(
    shown: Listing, target: str, *, openrouter: bool = False, allowed: Callable[[Endpoint], bool] = lambda _: True
) -> Any:
    path = target.partition("?")[0]
    place = path.removeprefix("/").removeprefix("v1beta/")
    google = path.startswith("/v1beta/")
    return json.loads(shown.answer(target, place, openrouter=openrouter, google=google, allowed=allowed))


def ids(shown: Listing, query: str = "", *, place: str = "models", openrouter: bool = False) -> list[str]:
    return [row["id"] for row in ask(shown, f"{place}?{query}", openrouter=openrouter)["data"]]


def rows() -> dict[str, Any]:
    return {row["id"]: row for row in ask(of(), "models")["data"]}


@pytest.fixture(scope="module")
def real() -> Listing:
    """Providers of the catalogue."""
    return of(REAL, {})


# What is listed.


def test_virtual_models_come_first_then_configured_ones_then_what_providers_list() -> None:
    assert ids(of()) == ["fast", "later", LLAMA, "lab/vectors", "lab/a", "lab/b/with/slashes:1b"]


def test_openrouters_list_shows_what_writes_text_and_the_others_show_everything() -> None:
    assert "lab/vectors" not in ids(of(), openrouter=True)
    assert "lab/vectors" in ids(of(), "output_modalities=all", openrouter=True)
    assert ids(of(), place="embeddings/models") == ["lab/vectors"]


def test_a_model_says_who_serves_it() -> None:
    assert rows()["fast"]["served_by"] == ["lab/llama-3.3-70b", "spare/l33"]
    assert rows()["fast"]["owned_by"] == "routerd"
    assert rows()[LLAMA]["served_by"] == ["lab/llama-3.3-70b", "spare/l33"]
    assert rows()[LLAMA]["owned_by"] == "meta-llama"
    assert rows()["lab/a"]["served_by"] == ["lab/a"]
    assert rows()["later"]["served_by"] == ["lab/not-listed-yet"]


def test_a_virtual_model_that_nobody_lists_yet_is_there_and_served_by_nobody() -> None:
    other = '[providers.other]\nbase_url = "http://127.0.0.1:9/v1"\nkey = "none"\nany_model = true\n'
    found = {row["id"]: row for row in ask(of(CONFIG + other), "models")["data"]}
    assert found["later"]["served_by"] == []
    assert found["later"]["pricing"] == {"prompt": "-1", "completion": "-1"}


def test_a_virtual_model_stands_before_a_model_of_the_same_name() -> None:
    text = CONFIG + f'[models."{LLAMA}"]\nmodels = ["spare/l33"]\n'
    assert ids(of(text)).count(LLAMA) == 1
    assert ask(of(text), f"models/{LLAMA}")["served_by"] == ["spare/l33"]


def test_prices_are_usd_for_each_token_as_text_and_unknown_ones_are_minus_one() -> None:
    assert rows()["fast"]["pricing"] == {
        "prompt": "0.0000001",
        "completion": "0.0000004",
        "request": "0.001",
        "input_cache_read": "0.00000002",
    }
    assert rows()["lab/a"]["pricing"] == {"prompt": "-1", "completion": "-1"}


def test_the_list_follows_what_the_providers_say_while_it_lives() -> None:
    lists = {"lab": frozenset({"a"})}
    shown = of(lists=lists)
    assert "lab/a" in ids(shown)
    lists["lab"] = frozenset({"z"})
    assert "lab/a" not in ids(shown)
    assert "lab/z" in ids(shown)
    lists["stranger"] = frozenset({"y"})
    assert "stranger/y" not in ids(shown)


def test_a_name_that_a_provider_lists_beside_another_for_the_same_model_is_no_second_row() -> None:
    facts = next(facts for facts in catalogue_models("openai") if facts.aliases)
    shown = of("[providers.openai]\n", {"openai": frozenset({facts.native, *facts.aliases, "brand-new"})})
    assert [name for name in ids(shown) if name.startswith("openai/brand") or name.endswith(facts.aliases)] == [
        "openai/brand-new"
    ]
    unlisted = of("[providers.openai]\n", {"openai": frozenset({facts.native})})
    row = ask(unlisted, f"models/openai/{facts.aliases[0]}")
    assert row["context_length"] == ask(unlisted, f"models/{facts.id}")["context_length"]


def test_an_empty_configuration_lists_nothing_and_the_catalogue_when_it_is_asked_for() -> None:
    empty = of("", {})
    assert ids(empty) == []
    assert ask(empty, "models/count") == {"data": {"count": 0}}
    everything = ids(empty, "all=1")
    assert len(everything) >= 900
    assert len(set(everything)) == len(everything)
    assert ask(empty, "models/count?all=1&output_modalities=all")["data"]["count"] == len(everything)
    assert ids(empty, "all=0") == []
    name = "anthropic/claude-sonnet-4.5"
    assert ask(empty, f"models/{name}?all=1")["id"] == name
    with pytest.raises(NotFound):
        ask(empty, f"models/{name}")


# One model.


@pytest.mark.parametrize(
    ("asked", "id_"),
    [
        (LLAMA, LLAMA),
        (LLAMA.replace("/", "%2F"), LLAMA),
        ("fast", "fast"),
        ("lab/b/with/slashes:1b", "lab/b/with/slashes:1b"),
        ("spare/l33", "spare/l33"),
        (f"{LLAMA}:nitro", LLAMA),
        ("~meta-llama/llama-instruct-latest", LLAMA),
    ],
)
def test_one_model_by_any_of_its_names(asked: str, id_: str) -> None:
    assert ask(of(), f"models/{asked}")["id"] == id_
    assert ask(of(), f"model/{asked}")["data"]["id"] == id_
    assert ask(of(), f"models/{asked}/endpoints")["data"]["id"] == id_


def test_a_variant_that_is_endpoints_of_its_own_shows_only_those() -> None:
    text = CONFIG + '[providers.gift]\nbase_url = "http://127.0.0.1:9/v1"\nkey = "none"\n'
    text += f'[providers.gift.models.g]\nid = "{LLAMA}"\nprice = {{ prompt = 0, completion = 0 }}\n'
    assert [row["tag"] for row in ask(of(text), f"models/{LLAMA}:free/endpoints")["data"]["endpoints"]] == ["gift"]
    with pytest.raises(NotFound):
        ask(of(), f"models/{LLAMA}:free/endpoints")


@pytest.mark.parametrize("path", ["models/nobody/nothing", "model/nobody/nothing", "models/nobody/nothing/endpoints"])
def test_a_model_that_nobody_serves_is_404(path: str) -> None:
    with pytest.raises(NotFound, match="nobody/nothing"):
        ask(of(), path)
    assert ask(of(lists={}), "models/lab/unheard-of")["id"] == "lab/unheard-of", "it has not told what it serves"


def test_endpoints_say_what_each_provider_offers_and_how_it_does() -> None:
    health = Health()
    shown = of(health=health)
    spare = next(place for place in runtime.offline(parse(CONFIG).config).endpoints if place.provider == "spare")
    for _ in range(3):
        health.began(Candidate(spare), 90.0)
        health.succeeded(Candidate(spare), now=91.0, ttft=0.25, speed=50.0)
    lab, other = ask(shown, f"models/{LLAMA}/endpoints")["data"]["endpoints"]
    assert (lab["tag"], lab["context_length"], lab["pricing"]["prompt"]) == ("lab", 131072, "0.0000001")
    assert (lab["uptime_last_5m"], lab["latency_last_30m"], lab["throughput_last_30m"]) == (None, None, None)
    assert (other["quantization"], other["status"], other["uptime_last_30m"]) == ("fp8", 0, 100.0)
    assert other["latency_last_30m"]["p50"] == pytest.approx(250, rel=0.05)
    assert other["throughput_last_30m"]["p99"] == pytest.approx(50, rel=0.05)
    assert ids(shown, "sort=most-popular")[0] in {"fast", LLAMA}


# Filters, sorts and pages.


@pytest.mark.parametrize(
    ("query", "left"),
    [
        ("q=LLAMA", [LLAMA]),
        ("q=slashes", ["lab/b/with/slashes:1b"]),
        ("arch=Llama", [LLAMA]),
        ("model_authors=meta-llama,openai", [LLAMA]),
        ("providers=Spare", ["fast", LLAMA]),
        ("supported_parameters=tools,temperature", ["fast", LLAMA]),
        ("supported_parameters=tools,seed", []),
        ("context=131072", ["fast", LLAMA]),
        ("context=131073", []),
        ("max_price=0.05", ["lab/vectors"]),
        ("min_price=0.1&max_price=0.1", ["fast", LLAMA]),
        ("min_output_price=0.41", []),
        ("max_output_price=0.4&q=llama", [LLAMA]),
        ("zdr=true&q=llama,vectors", [LLAMA, "lab/vectors"]),
        ("region=eu&q=llama", [LLAMA]),
        ("region=us", []),
        ("distillable=true", []),
        ("output_modalities=embeddings", ["lab/vectors"]),
        ("input_modalities=image", []),
        ("max_age_days=10", []),
        ("category=&use_rss=false&q=vectors", ["lab/vectors"]),
    ],
)
def test_a_filter_leaves_what_it_names(query: str, left: list[str]) -> None:
    assert ids(of(), query) == left


@pytest.mark.parametrize(
    "query",
    ["context=many", "context=nan", "max_price=inf", "limit=0", "limit=1001", "limit=x", "offset=-1", "region=mars",
     "sort=loudest", "category=programming", "min_coding_index=3", "after_id=nobody", "limit=1&before_id=nobody"],
)  # fmt: skip
def test_what_cannot_be_answered_is_refused(query: str) -> None:
    with pytest.raises(InvalidRequest):
        ask(of(), f"models?{query}")


def test_the_filters_hold_for_every_row_of_the_catalogue(real: Listing) -> None:
    everything = {row["id"]: row for row in ask(real, "models?output_modalities=all")["data"]}
    assert len(everything) > 150
    for query, holds in (
        ("input_modalities=image,file", lambda row: {"image", "file"} <= set(row["architecture"]["input_modalities"])),
        ("context=1000000", lambda row: row["context_length"] >= 1_000_000),
        ("max_price=1", lambda row: 0 <= float(row["pricing"]["prompt"]) <= 1e-6),
        ("model_authors=anthropic", lambda row: row["id"].startswith("anthropic/")),
        ("providers=Google Vertex", lambda row: any(name.startswith("google-vertex/") for name in row["served_by"])),
        ("supported_parameters=tools", lambda row: "tools" in row["supported_parameters"]),
        ("max_age_days=300", lambda row: row["created"] >= STARTED - 300 * 86_400),
    ):
        left = set(ids(real, f"{query}&output_modalities=all"))
        assert left, query
        assert left <= everything.keys()
        assert all(holds(everything[name]) for name in left), query


def test_the_sorts_sort(real: Listing) -> None:
    def column(order: str, read: Callable[[Any], float]) -> list[float]:
        return [read(row) for row in ask(real, f"models?sort={order}")["data"]]

    contexts = column("context-high-to-low", lambda row: row["context_length"] or 0)
    assert contexts == sorted(contexts, reverse=True)
    born = column("newest", lambda row: row["created"] if row["created"] != STARTED else 0)
    assert born == sorted(born, reverse=True)
    for order, sign in (("pricing-low-to-high", 1), ("pricing-high-to-low", -1)):
        prices = column(order, lambda row: float(row["pricing"]["prompt"]) + float(row["pricing"]["completion"]))
        priced = [price for price in prices if price >= 0]
        assert prices[: len(priced)] == priced, "what has no price comes last"
        assert priced[0] * sign <= priced[-1] * sign
    for order in ("throughput-high-to-low", "latency-low-to-high", "most-popular", "top-weekly"):
        assert sorted(ids(real, f"sort={order}")) == sorted(ids(real))


def test_pages_by_offset_hold_everything_once(real: Listing) -> None:
    names: list[str] = []
    target: str | None = "models?limit=40&sort=newest"
    while target:
        body = ask(real, target)
        names += [row["id"] for row in body["data"]]
        assert body["has_more"] is (body["links"]["next"] is not None)
        target = body["links"]["next"]
    assert names == ids(real, "sort=newest")
    assert body["total_count"] == len(names)


def test_pages_by_the_last_id_hold_everything_once(real: Listing) -> None:
    names: list[str] = []
    body: Any = {"has_more": True, "last_id": ""}
    while body["has_more"]:
        body = ask(real, f"models?limit=40&after_id={body['last_id']}")
        names += [row["id"] for row in body["data"]]
        assert (body["first_id"], body["last_id"]) == (body["data"][0]["id"], body["data"][-1]["id"])
    assert names == ids(real)
    back = ask(real, f"models?limit=3&before_id={names[5]}")
    assert [row["id"] for row in back["data"]] == names[2:5]
    assert back["has_more"]
    assert not ask(real, f"models?limit=9&before_id={names[5]}")["has_more"]


def test_google_is_answered_in_its_own_form() -> None:
    whole = ask(of(), "/v1beta/models")
    assert [row["name"] for row in whole["models"]] == [f"models/{name}" for name in ids(of())]
    assert "nextPageToken" not in whole
    first = ask(of(), "/v1beta/models?pageSize=4")
    second = ask(of(), f"/v1beta/models?pageSize=4&pageToken={first['nextPageToken']}")
    assert first["models"] + second["models"] == whole["models"]
    one = ask(of(), f"/v1beta/models/{LLAMA}")
    assert (one["inputTokenLimit"], one["outputTokenLimit"]) == (131072, 32768)
    assert ask(of(), "/v1beta/models/lab/vectors")["supportedGenerationMethods"] == ["embedContent"]
    with pytest.raises(InvalidRequest):
        ask(of(), "/v1beta/models?pageToken=x")


# Whose list.


def test_a_caller_sees_the_models_that_it_may_use() -> None:
    found = ask(of(), "models/user", allowed=lambda place: place.provider == "spare")["data"]
    assert [(row["id"], row["served_by"]) for row in found] == [
        ("fast", ["spare/l33"]),
        (LLAMA, ["spare/l33"]),
    ]


def test_what_a_key_may_use_is_narrowed_by_defaults_its_environment_and_itself() -> None:
    digest = "0" * 64
    text = (
        CONFIG
        + f"""
[defaults]
provider = {{ data_collection = "deny" }}
[environments.prod]
allow = {{ providers = ["lab", "spare"] }}
[keys.picky]
hash = "sha256:{digest}"
environment = "prod"
allow = {{ models = ["meta-llama/*"] }}
"""
    )
    built = runtime.offline(parse(text).config)
    usable = [
        (place.provider, place.model)
        for place in built.endpoints
        if listing.may_use(built.policy, "picky", "prod", place)
    ]
    assert usable == [("lab", "llama-3.3-70b")], "spare keeps prompts for all that is known"
    assert listing.may_use(Policy(), "anybody", None, built.endpoints[0])


# Providers and schemas.


def test_providers_are_those_of_the_configuration_and_all_where_all_are_asked_for() -> None:
    shown = of(REAL)
    assert [row["slug"] for row in ask(shown, "providers")["data"]] == [
        "openai", "anthropic", "deepinfra", "cohere", "google-vertex",
    ]  # fmt: skip
    assert len(ask(shown, "providers?all=1")["data"]) >= 60
    assert ask(of(), "providers")["data"][0]["name"] == "lab"


def test_zdr_lists_the_endpoints_that_keep_nothing() -> None:
    assert {row["tag"] for row in ask(of(), "endpoints/zdr")["data"]} == {"lab"}


@pytest.fixture(scope="module")
def schemas(shared: Path) -> dict[str, Any]:
    text = (shared / "spec" / "openrouter-openapi.json").read_text()
    document: dict[str, Any] = json.loads(text)
    components = document["components"]["schemas"]
    # OpenRouter's closed list of its own providers; a provider here has the name that its user gave it.
    components["ProviderName"] = {"type": "string"}
    return document


OPERATIONS = [
    ("models", "/models"),
    ("models?all=1&output_modalities=all", "/models"),
    ("models?limit=2", "/models"),
    ("models/user", "/models/user"),
    ("models/count", "/models/count"),
    ("embeddings/models", "/embeddings/models"),
    ("model/{}", "/model/{author}/{slug}"),
    ("models/{}/endpoints", "/models/{author}/{slug}/endpoints"),
    ("providers", "/providers"),
    ("providers?all=1", "/providers"),
    ("endpoints/zdr", "/endpoints/zdr"),
]


@pytest.mark.parametrize(("target", "operation"), OPERATIONS)
def test_openrouters_schema_takes_every_answer(schemas: dict[str, Any], target: str, operation: str) -> None:
    answer = schemas["paths"][operation]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
    check = jsonschema.Draft202012Validator({**answer, "components": schemas["components"]})
    for text in (CONFIG, REAL):
        shown = of(text)
        names = [name for name in ids(shown) if "/" in name] if "{}" in target else [""]
        for name in names:
            check.validate(ask(shown, target.format(name), openrouter=True))


def test_every_member_that_openrouters_sdks_insist_on_is_there(shared: Path) -> None:
    text = (shared / "spec" / "openrouter-sdk-required-fields.txt").read_text()
    required = {name: re.findall(r"'(\w+)'", fields) for name, fields in REQUIRED.findall(text)}
    shown = of(REAL + CONFIG)
    body = ask(shown, "models?all=1")
    assert_has(body, required["ModelsListResponse"])
    for row in [*body["data"], *ask(shown, "models")["data"]]:
        assert_has(row, required["Model"])
        assert_has(row["architecture"], required["ModelArchitecture"])
        assert_has(row["pricing"], required["PublicPricing"])
        assert_has(row["top_provider"], required["TopProviderInfo"])
        assert_has(row["links"], required["ModelLinks"])
        assert_has(row.get("reasoning", {"mandatory": False}), required["ModelReasoning"])
    for name in ids(shown):
        found = ask(shown, f"models/{name}/endpoints")["data"]
        assert_has(found, required["ListEndpointsResponse"])
        for place in found["endpoints"]:
            assert_has(place, required["PublicEndpoint"])
            assert_has(place["supports_tool_choice"], required["ToolChoiceSupport"])
    for row in ask(shown, "providers?all=1")["data"]:
        assert_has(row, required["ListProvidersData"])


def assert_has(given: Mapping[str, Any], required: list[str]) -> None:
    assert required, "the list of required fields names none"
    assert not set(required) - set(given)


def test_two_thousand_rows_take_no_time(figure: Callable[[str], None]) -> None:
    lists = {"lab": frozenset(f"author/model-{number}" for number in range(2000))}
    shown = of(lists=lists)
    took = []
    for _ in range(3):
        began = time.perf_counter()
        body = shown.answer("models", "models", openrouter=False, google=False, allowed=lambda _: True)
        took.append(time.perf_counter() - began)
    figure(f"a list of 2,000 models: {took[0] * 1e3:.0f} ms at first, then {min(took) * 1e3:.1f} ms ({len(body):,} B)")
    assert min(took) < 0.1
