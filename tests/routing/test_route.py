"""Routes, from question to candidates: every `provider` field and every step of OpenRouter's algorithm, by its name."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from routerd.catalogue.schema import LOCAL, Price
from routerd.errors import CoolingDown, InvalidRequest, NothingLeft, PermissionDenied, RouterdError, UnknownModel
from routerd.needs import Needs
from routerd.routing.attempts import Failure
from routerd.routing.candidates import Candidate, Endpoint
from routerd.routing.health import Health
from routerd.routing.layers import Layer
from routerd.routing.preferences import READERS, read
from routerd.routing.question import Allow, Policy, Question, VirtualModel
from routerd.routing.rules import Rule, Rulebook, Set, When
from routerd.routing.sticky import Sticky
from tests.routing.made import LEARNS, MODEL, NOW, ask, book, endpoint, question, served, slugs, steady

A = endpoint("a", usd=1, data=LOCAL, quantization="fp8", supported_parameters=("tools", "seed"))
B = endpoint("b", usd=2, data=LEARNS, quantization="fp4", supported_parameters=("seed",), distillable=True)
C = endpoint("c", tag="c/turbo", usd=3, data=LOCAL, quantization="bf16", supported_parameters=("tools",))
OTHER = endpoint("o", model="other", id="maker/other", usd=0.1)
ALL = (A, B, C)


def layer(source: str, **wants: Any) -> Layer:
    return Layer(source=source, wants=read(wants))


def measured() -> Health:
    health = Health()
    for one, ttft, speed in ((A, 3.0, 10.0), (B, 2.0, 90.0), (C, 1.0, 50.0)):
        served(health, one, times=30, now=NOW - 60, ttft=ttft, speed=speed)
        served(health, one, now=NOW - 30)
    return health


FIELDS: list[tuple[str, dict[str, Any], list[str]]] = [
    ("order", {"order": ["c", "a"]}, ["c/turbo", "a", "b"]),
    ("only", {"only": ["b", "c/turbo"]}, ["b", "c/turbo"]),
    ("ignore", {"ignore": ["a"]}, ["b", "c/turbo"]),
    ("allow_fallbacks", {"allow_fallbacks": False}, ["a"]),
    ("allow_fallbacks", {"allow_fallbacks": False, "order": ["b", "c"]}, ["b", "c/turbo"]),
    ("require_parameters", {"require_parameters": True}, ["a", "c/turbo"]),
    ("data_collection", {"data_collection": "deny"}, ["a", "c/turbo"]),
    ("zdr", {"zdr": True}, ["a", "c/turbo"]),
    ("enforce_distillable_text", {"enforce_distillable_text": True}, ["b"]),
    ("quantizations", {"quantizations": ["fp8", "bf16"]}, ["a", "c/turbo"]),
    ("sort", {"sort": "latency"}, ["c/turbo", "b", "a"]),
    ("sort", {"sort": {"by": "throughput", "partition": "none"}}, ["b", "c/turbo", "a"]),
    ("max_price", {"max_price": {"prompt": "2"}}, ["a", "b"]),
    ("preferred_min_throughput", {"preferred_min_throughput": 40, "sort": "price"}, ["b", "c/turbo", "a"]),
    ("preferred_max_latency", {"preferred_max_latency": {"p90": 1.5}, "sort": "price"}, ["c/turbo", "a", "b"]),
    ("options", {"options": {"a": {"x": 1}}, "sort": "price"}, ["a", "b", "c/turbo"]),
]


@pytest.mark.parametrize(("field", "wants", "expected"), FIELDS, ids=lambda value: str(value)[:30])
def test_a_field_of_provider(field: str, wants: dict[str, Any], expected: list[str]) -> None:
    needs = Needs(prompt_tokens=1000)
    if field == "require_parameters":
        needs = Needs(prompt_tokens=1000, parameters=frozenset({"tools"}))
    found = ask(ALL, question(needs=needs, provider=wants), health=measured())
    assert slugs(found) == expected


def test_every_field_of_provider_is_in_the_table() -> None:
    assert {field for field, _, _ in FIELDS} == set(READERS)


# Step 1: the model.


def test_step_1_models_are_tried_in_their_order_and_say_which_they_are() -> None:
    found = ask((A, OTHER), question(MODEL, "maker/other"))
    assert [(one.endpoint.provider, one.entry) for one in found.candidates] == [("a", 0), ("o", 1)]
    assert (found.kind, found.models) == ("fallback", (MODEL, "maker/other"))


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        (MODEL, "direct"),
        ("a/m", "direct"),
        ("fast", "alias"),
        (f"{MODEL}:nitro", "alias"),
        ("~maker/model-latest", "latest"),
    ],
)
def test_step_1_a_name_is_direct_an_alias_or_the_latest(name: str, kind: str) -> None:
    found = ask(book(A, virtual={"fast": (MODEL,)}), question(name))
    assert (found.kind, found.requested) == (kind, name)


def test_step_1_an_unknown_model_is_400_with_the_nearest_names() -> None:
    with pytest.raises(UnknownModel, match="nearest: maker/model"):
        ask(ALL, question("maker/modle"))


def test_step_1_a_variant_sorts_unless_the_request_says_otherwise() -> None:
    health = measured()
    assert slugs(ask(ALL, question(f"{MODEL}:nitro"), health=health)) == ["b", "c/turbo", "a"]
    assert slugs(ask(ALL, question(f"{MODEL}:floor"), draw=steady(0.99))) == ["a", "b", "c/turbo"]
    chosen = question(f"{MODEL}:nitro", provider={"sort": "price"})
    assert slugs(ask(ALL, chosen, health=health)) == ["a", "b", "c/turbo"]


def test_step_1_online_is_told_to_the_caller() -> None:
    assert ask(book(A, search=True), question(f"{MODEL}:online")).online
    assert not ask(ALL).online


def test_step_1_wrong_preferences_are_refused() -> None:
    with pytest.raises(InvalidRequest, match=r"provider\.sort"):
        ask(ALL, question(provider={"sort": "best"}))


# Step 2: hard filters, each with its reason. The single ones are in test_filters and test_sieve.


def test_step_2_each_excluded_endpoint_carries_its_reason() -> None:
    found = ask(ALL, question(provider={"zdr": True, "quantizations": ["fp8"]}))
    assert [(fault.endpoint.slug, fault.reason) for fault in found.excluded] == [
        ("b", "data_policy:zdr"),
        ("c/turbo", "quantization"),
    ]


def test_step_2_if_nothing_is_left_the_error_names_what_emptied_it() -> None:
    policy = Policy(defaults=layer("[defaults]", quantizations=["fp16"]))
    with pytest.raises(NothingLeft) as caught:
        ask(ALL, policy=policy)
    assert caught.value.metadata["excluded_by"] == ["quantization"]
    assert caught.value.metadata["would_serve"] == ["a", "b", "c/turbo"]
    assert "[defaults]" in caught.value.message


@pytest.mark.parametrize(
    ("wants", "needs", "reason"),
    [
        ({"only": ["x"]}, Needs(), "allowed_providers"),
        ({"ignore": ["a", "b", "c"]}, Needs(), "allowed_providers"),
        ({"order": ["x"], "allow_fallbacks": False}, Needs(), "allowed_providers"),
        ({"max_price": {"prompt": 0}}, Needs(), "max_price"),
        ({"require_parameters": True}, Needs(parameters=frozenset({"top_k"})), "require_parameters"),
        ({"quantizations": ["int4"]}, Needs(), "quantization"),
        ({"enforce_distillable_text": True, "ignore": ["b"]}, Needs(), "distillable"),
    ],
)
def test_step_2_excluded_by_is_a_list_of_openrouters_words(wants: dict[str, Any], needs: Needs, reason: str) -> None:
    with pytest.raises(NothingLeft) as caught:
        ask(ALL, question(provider=wants, needs=needs))
    assert reason in caught.value.metadata["excluded_by"]
    assert caught.value.status == 404


def test_step_2_a_request_can_narrow_but_never_relax_policy() -> None:
    policy = Policy(defaults=layer("[defaults]", zdr=True, only=["a", "c"], max_price={"prompt": 3}))
    relaxed = {"zdr": False, "only": ["a", "b", "c"], "data_collection": "allow", "max_price": {"prompt": 100}}
    assert slugs(ask(ALL, question(provider=relaxed), policy=policy)) == ["a", "c/turbo"]
    assert slugs(ask(ALL, question(provider={"only": ["c"]}), policy=policy)) == ["c/turbo"]
    with pytest.raises(NothingLeft):
        ask(ALL, question(provider={"only": ["b"]}), policy=policy)


def test_step_2_every_other_preference_is_the_requests_to_override() -> None:
    policy = Policy(defaults=layer("[defaults]", sort="price", allow_fallbacks=False))
    assert slugs(ask(ALL, policy=policy)) == ["a"]
    own = {"sort": "latency", "allow_fallbacks": True}
    assert slugs(ask(ALL, question(provider=own), policy=policy, health=measured())) == ["c/turbo", "b", "a"]


@pytest.mark.parametrize("by", ["environments", "keys"])
def test_step_2_allow_lists_of_key_and_environment_intersect_and_refuse_with_403(by: str) -> None:
    allow = Allow(source=f"[{by}.x] allow", providers=("a", "b"))
    more = Allow(source="more", models=("maker/*",))
    policy, who = Policy(environments={"x": allow}, keys={"y": more}), question(environment="x", key="y")
    if by == "keys":
        policy, who = Policy(environments={"y": more}, keys={"x": allow}), question(environment="y", key="x")
    assert slugs(ask(ALL, who, policy=policy)) == ["a", "b"]
    with pytest.raises(PermissionDenied) as caught:
        ask((C,), who, policy=policy)
    assert f"[{by}.x] allow" in caught.value.message


# Step 3: soft preferences.


def test_step_3_tools_are_kept_for_those_that_have_them_if_any_does() -> None:
    asked = question(needs=Needs(tools=True, parameters=frozenset({"tools"})))
    assert slugs(ask(ALL, asked)) == ["a", "c/turbo"]
    assert slugs(ask((B,), asked)) == ["b"]


# Step 4: the order. Its strategies are in test_ranking.


@pytest.mark.parametrize(
    ("wants", "needs", "strategy"),
    [
        ({"order": ["c"]}, Needs(), "order"),
        ({"sort": "price"}, Needs(), "price"),
        ({}, Needs(tools=True), "exacto"),
        ({}, Needs(), "default"),
    ],
)
def test_step_4_order_then_sort_then_tools_then_chance(wants: dict[str, Any], needs: Needs, strategy: str) -> None:
    assert ask(ALL, question(provider=wants, needs=needs), health=measured()).strategy == strategy


def test_step_4_an_order_switches_stickiness_off() -> None:
    sticky, asked = Sticky(), question(session="s", provider={"order": ["b"]})
    sticky.served(asked, Candidate(C), cached=0, now=NOW)
    found = ask(ALL, asked, sticky=sticky)
    assert (slugs(found)[0], found.sticky) == ("b", False)


def test_step_4_a_conversation_goes_on_where_it_was() -> None:
    sticky, asked = Sticky(), question(session="s")
    assert not ask(ALL, asked, sticky=sticky).sticky
    sticky.served(asked, Candidate(C), cached=0, now=NOW)
    found = ask(ALL, asked, sticky=sticky)
    assert (slugs(found), found.sticky) == (["c/turbo", "a", "b"], True)
    assert found.conversation == ("", MODEL, "session:s")


def test_step_4_but_not_where_it_fails_or_may_no_longer_go() -> None:
    sticky, asked = Sticky(), question(session="s")
    sticky.served(asked, Candidate(C), cached=0, now=NOW)
    health = Health()
    for _ in range(5):
        health.missed(Candidate(C), Failure(status=500, message=""), now=NOW, at=0.0)
    assert slugs(ask(ALL, asked, sticky=sticky, health=health)) == ["a", "b", "c/turbo"]
    narrowed = question(session="s", provider={"ignore": ["c"]})
    found = ask(ALL, narrowed, sticky=sticky)
    assert (slugs(found), found.sticky) == (["a", "b"], False)


def test_step_4_and_it_keeps_its_key_because_the_cache_is_the_keys() -> None:
    pool = endpoint("pool", keys=4)
    sticky, asked = Sticky(), question(session="s")
    sticky.served(asked, Candidate(pool, 2), cached=0, now=NOW)
    assert [one.key for one in ask((pool,), asked, sticky=sticky).candidates] == [2, 3, 0, 1]


# Step 5: who may be tried.


@pytest.mark.parametrize(("draw", "keys"), [(0.0, [0, 1, 2]), (0.5, [1, 2, 0]), (0.99, [2, 0, 1])])
def test_step_5_each_key_of_a_pool_is_a_candidate_and_they_share_the_load(draw: float, keys: list[int]) -> None:
    assert [one.key for one in ask((endpoint("a", keys=3),), draw=steady(draw)).candidates] == keys


def test_step_5_who_rests_comes_last_and_who_asked_for_it_not_at_all() -> None:
    health = Health()
    health.rest(Candidate(A), seconds=10, reason="x", asked=False, now=NOW)
    health.rest(Candidate(B), seconds=10, reason="x", asked=True, now=NOW)
    found = ask(ALL, health=health)
    assert slugs(found) == ["c/turbo", "a"]
    (left_out,) = found.excluded
    assert (left_out.endpoint, left_out.reason, left_out.source) == (B, "resting", "its health")
    assert left_out.detail == "it asked to be left alone for another 10 s"


def test_step_5_a_pool_rests_when_its_last_key_does() -> None:
    health, pool = Health(), endpoint("pool", keys=2, usd=1)
    health.rest(Candidate(pool, 0), seconds=30, reason="x", asked=True, now=NOW)
    assert [one.key for one in ask((pool, A), health=health).candidates if one.endpoint == pool] == [1]
    assert ask((pool, A), health=health).excluded == ()
    health.rest(Candidate(pool, 1), seconds=9.5, reason="x", asked=True, now=NOW)
    (left_out,) = ask((pool, A), health=health).excluded
    assert left_out.detail.endswith("for another 10 s")


def test_step_5_where_all_asked_to_be_left_alone_the_client_is_told_how_long() -> None:
    health = Health()
    for one, seconds in ((A, 30), (B, 20.5)):
        health.rest(Candidate(one), seconds=seconds, reason="x", asked=True, now=NOW)
    with pytest.raises(CoolingDown) as caught:
        ask((A, B), health=health)
    assert caught.value.retry_after == 21


def test_step_5_an_endpoint_is_asked_once_though_two_models_name_it() -> None:
    assert slugs(ask((A,), question(MODEL, "a/m"))) == ["a"]


# Rules.


def test_rules_replace_models_add_preferences_and_are_named() -> None:
    rules = Rulebook(
        [
            Rule(name="cheap", when=When(key="ci-*"), set=Set(models=("maker/other",))),
            Rule(name="private", set=Set(layer=layer('rule "private"', zdr=True), hedge=True)),
        ]
    )
    found = ask((*ALL, OTHER), question(key="me"), policy=Policy(rules=rules))
    assert (slugs(found), found.rules, found.hedge) == (["a", "c/turbo"], ("private",), True)
    with pytest.raises(NothingLeft, match='rule "private"'):
        ask((*ALL, OTHER), question(key="ci-1"), policy=Policy(rules=rules))


def test_a_denial_is_403_and_reaches_through_other_names() -> None:
    rules = Rulebook([Rule(name="no", when=When(model="maker/other"), deny="not approved")])
    where = book(*ALL, OTHER, virtual={"fast": ("maker/other", MODEL), "bad": ("maker/other",)})
    with pytest.raises(PermissionDenied, match=r'not approved \(rule "no"\)'):
        ask(where, question("maker/other"), policy=Policy(rules=rules))
    assert slugs(ask(where, question("fast"), policy=Policy(rules=rules))) == ["a", "b", "c/turbo"]
    for name in ("bad", "o/other", "other"):
        with pytest.raises(PermissionDenied):
            ask(where, question(name), policy=Policy(rules=rules))


# Virtual models, tiers, hedging.


def test_a_virtual_model_has_its_own_preferences() -> None:
    own = VirtualModel(layer=layer("[models.fast]", sort="latency"), hedge=True)
    policy = Policy(virtual={"fast": own})
    where = book(*ALL, virtual={"fast": ("a/m", "b/m", "c/m"), "slow": ("a/m", "b/m")})
    found = ask(where, question("fast"), policy=policy, health=measured())
    assert (slugs(found), found.hedge) == (["c/turbo", "b", "a"], True)
    found = ask(where, question("slow"), policy=policy, health=measured())
    assert (slugs(found), found.hedge) == (["a", "b"], False)


@pytest.mark.parametrize(
    ("everywhere", "model", "rule", "hedge"),
    [(True, None, None, True), (True, False, None, False), (False, True, False, False), (False, None, True, True)],
)
def test_a_rule_decides_over_hedging_then_the_model_then_the_configuration(
    everywhere: bool, model: bool | None, rule: bool | None, hedge: bool
) -> None:
    rules = Rulebook([Rule(name="r", set=Set(hedge=rule))])
    policy = Policy(hedge=everywhere, virtual={"fast": VirtualModel(hedge=model)}, rules=rules)
    assert ask(book(A, virtual={"fast": (MODEL,)}), question("fast"), policy=policy).hedge is hedge


def test_priority_endpoints_come_first_where_that_tier_is_asked_for() -> None:
    quick = endpoint("p", tag="p/priority", tier="priority", usd=9)
    asked = question(needs=Needs(service_tier="priority"))
    assert slugs(ask((A, quick), asked)) == ["p/priority", "a"]
    assert slugs(ask((A, quick))) == ["a"]


# Local models are a tier like any other.


GPU = Endpoint(provider="ollama", model="llama", id="ollama/llama", price=Price(prompt=0, completion=0), data=LOCAL,
               local=True)  # fmt: skip
CLOUD = Endpoint(provider="groq", model="llama", id="groq/llama", price=Price(prompt=10, completion=10))
OFFLINE = Failure(kind="connect", message="no route")
BUSY = Failure(status=503, message="busy")


@pytest.mark.parametrize(
    ("members", "failing", "first", "then"),
    [
        (("ollama/llama", "groq/llama"), (GPU, BUSY), "ollama", "groq"),
        (("groq/llama", "ollama/llama"), (CLOUD, OFFLINE), "groq", "ollama"),
    ],
    ids=["local first, cloud when busy", "cloud first, local when offline"],
)
def test_local_first_and_cloud_first(
    members: tuple[str, ...], failing: tuple[Endpoint, Failure], first: str, then: str
) -> None:
    where, health = book(GPU, CLOUD, virtual={"smart": members}), Health()
    assert slugs(ask(where, question("smart"), health=health)) == [first, then]
    health.missed(Candidate(failing[0]), failing[1], now=NOW, at=0.0)
    assert slugs(ask(where, question("smart"), health=health)) == [then, first]


def test_a_local_model_takes_part_in_every_preference() -> None:
    both = tuple(endpoint(one.provider, price=one.price, data=one.data, local=one.local) for one in (CLOUD, GPU))
    assert slugs(ask(both)) == ["ollama", "groq"]
    for wants in ({"zdr": True}, {"max_price": {"prompt": 0}}, {"data_collection": "deny"}):
        assert slugs(ask(both, question(provider=wants))) == ["ollama"]


# Laws.

preferences = st.fixed_dictionaries(
    {},
    optional={
        "order": st.lists(st.sampled_from(["a", "b", "c", "x"]), max_size=3),
        "only": st.lists(st.sampled_from(["a", "b", "c", "x"]), max_size=3),
        "ignore": st.lists(st.sampled_from(["a", "b", "x"]), max_size=2),
        "allow_fallbacks": st.booleans(),
        "zdr": st.booleans(),
        "require_parameters": st.booleans(),
        "sort": st.sampled_from(["price", "latency", "throughput", "exacto"]),
        "max_price": st.fixed_dictionaries({"prompt": st.integers(0, 4)}),
        "preferred_max_latency": st.integers(0, 4),
    },
)
wanted = st.lists(st.sampled_from([MODEL, "maker/other", f"{MODEL}:nitro", "fast"]), min_size=1, max_size=3)


@given(preferences, preferences, wanted, st.floats(0, 1, exclude_max=True), st.booleans())
def test_nobody_is_lost_repeated_or_asked_against_a_policy(
    own: dict[str, Any], below: dict[str, Any], models: list[str], draw: float, tools: bool
) -> None:
    where = book(*ALL, OTHER, virtual={"fast": ("maker/other", MODEL)})
    needs = Needs(prompt_tokens=10, tools=tools, parameters=frozenset({"tools"} if tools else ()))
    asked = Question(models=tuple(models), preferences=own, needs=lambda: needs)
    policy = Policy(defaults=layer("[defaults]", **below))
    try:
        found = ask(where, asked, policy=policy, health=measured(), draw=steady(draw))
    except RouterdError as error:
        refusal = error
        assert refusal.status == 404  # one or the other
        assert refusal.metadata["excluded_by"]
        return
    names = slugs(found)
    assert len(set(names)) == len(names)
    assert set(names).isdisjoint({*own.get("ignore", ()), *below.get("ignore", ())})
    if own.get("zdr") or below.get("zdr"):
        assert "b" not in names
