"""The same model at different providers is one model, and different models stay apart."""

from __future__ import annotations

import collections
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from routerd.catalogue.identity import VARIANTS, Names, Tables, choose, words
from routerd.catalogue.load import models, names, providers

MOST_USED = """
anthropic/claude-3.5-haiku anthropic/claude-3.5-sonnet anthropic/claude-3.7-sonnet anthropic/claude-fable-5
anthropic/claude-fable-5.1 anthropic/claude-haiku-4.5 anthropic/claude-haiku-5.5 anthropic/claude-opus-4.1
anthropic/claude-opus-4.5 anthropic/claude-opus-4.6 anthropic/claude-opus-4.7 anthropic/claude-opus-4.8
anthropic/claude-opus-5 anthropic/claude-opus-5.5 anthropic/claude-sonnet-4 anthropic/claude-sonnet-4.5
anthropic/claude-sonnet-4.6 anthropic/claude-sonnet-5 anthropic/claude-sonnet-5.5 amazon/nova-2-lite-v1
amazon/nova-lite-v1 amazon/nova-pro-v1 cohere/command-a cohere/command-r-08-2024 deepseek/deepseek-chat
deepseek/deepseek-chat-v3-0324 deepseek/deepseek-chat-v3.1 deepseek/deepseek-r1 deepseek/deepseek-r1-0528
deepseek/deepseek-v3.1-terminus deepseek/deepseek-v3.2 deepseek/deepseek-v4-flash deepseek/deepseek-v4-pro
deepseek/deepseek-v4.1-flash google/gemini-2.5-flash google/gemini-2.5-flash-lite google/gemini-2.5-pro
google/gemini-3-flash-preview google/gemini-3.1-flash-lite google/gemini-3.1-pro-preview google/gemini-3.5-flash
google/gemini-3.6-flash google/gemini-3.7-flash google/gemini-3.8-flash google/gemini-4-argon google/gemma-3-27b-it
google/gemma-4-31b-it meta-llama/llama-3.1-70b-instruct meta-llama/llama-3.1-8b-instruct
meta-llama/llama-3.3-70b-instruct meta-llama/llama-4-maverick meta-llama/llama-4-scout microsoft/phi-4
minimax/minimax-m2 minimax/minimax-m2.1 minimax/minimax-m2.5 minimax/minimax-m2.7 minimax/minimax-m3
mistralai/codestral-2508 mistralai/devstral-2512 mistralai/mistral-large-2512 mistralai/mistral-medium-3-5
mistralai/mistral-nemo mistralai/mistral-small-2603 mistralai/mistral-small-3.2-24b-instruct moonshotai/kimi-k2
moonshotai/kimi-k2-0905 moonshotai/kimi-k2-thinking moonshotai/kimi-k2.5 moonshotai/kimi-k2.6
moonshotai/kimi-k2.7-code moonshotai/kimi-k3 openai/gpt-4.1 openai/gpt-4.1-mini openai/gpt-4o openai/gpt-4o-mini
openai/gpt-5 openai/gpt-5-mini openai/gpt-5-nano openai/gpt-5.1 openai/gpt-5.2 openai/gpt-5.4 openai/gpt-5.4-mini
openai/gpt-5.5 openai/gpt-5.6-sol openai/gpt-6-sol openai/gpt-6.1-sol openai/gpt-oss-120b openai/gpt-oss-20b openai/o3
openai/o4-mini openai/text-embedding-3-small perplexity/sonar-pro qwen/qwen3-235b-a22b-2507 qwen/qwen3-32b
qwen/qwen3-coder x-ai/grok-4.3 x-ai/grok-4.7 z-ai/glm-4.6 z-ai/glm-5.3
""".split()  # noqa: SIM905  # a hundred quotes and commas would be harder to read

SAME = [
    ("anthropic", "claude-sonnet-4-5-20250929", "anthropic/claude-sonnet-4.5"),
    ("amazon-bedrock", "us.anthropic.claude-sonnet-4-5-20250929-v1:0", "anthropic/claude-sonnet-4.5"),
    ("amazon-bedrock", "global.anthropic.claude-opus-4-6-v1", "anthropic/claude-opus-4.6"),
    ("google-vertex", "claude-sonnet-4-5@20250929", "anthropic/claude-sonnet-4.5"),
    ("google-vertex", "claude-opus-4-6@default", "anthropic/claude-opus-4.6"),
    ("databricks", "databricks-claude-haiku-4-5", "anthropic/claude-haiku-4.5"),
    ("digitalocean", "anthropic-claude-4.5-haiku", "anthropic/claude-haiku-4.5"),
    ("openai", "gpt-5.4-mini-2026-03-17", "openai/gpt-5.4-mini"),
    ("venice", "openai-gpt-54", "openai/gpt-5.4"),
    ("azure", "gpt-35-turbo", "openai/gpt-3.5-turbo"),
    ("amazon-bedrock", "openai.gpt-oss-120b-1:0", "openai/gpt-oss-120b"),
    ("ollama-cloud", "gpt-oss:120b", "openai/gpt-oss-120b"),
    ("groq", "llama-3.3-70b-versatile", "meta-llama/llama-3.3-70b-instruct"),
    ("together", "meta-llama/Llama-3.3-70B-Instruct-Turbo", "meta-llama/llama-3.3-70b-instruct"),
    ("cloudflare", "@cf/meta/llama-3.3-70b-instruct-fp8-fast", "meta-llama/llama-3.3-70b-instruct"),
    ("amazon-bedrock", "us.meta.llama3-3-70b-instruct-v1:0", "meta-llama/llama-3.3-70b-instruct"),
    ("google-vertex", "meta/llama-3.3-70b-instruct-maas", "meta-llama/llama-3.3-70b-instruct"),
    ("lambda", "llama3.3-70b-instruct-fp8", "meta-llama/llama-3.3-70b-instruct"),
    ("cerebras", "llama3.1-8b", "meta-llama/llama-3.1-8b-instruct"),
    ("groq", "meta-llama/llama-4-maverick-17b-128e-instruct", "meta-llama/llama-4-maverick"),
    ("fireworks", "accounts/fireworks/models/deepseek-v3p2", "deepseek/deepseek-v3.2"),
    ("deepinfra", "deepseek-ai/DeepSeek-V3.2", "deepseek/deepseek-v3.2"),
    ("amazon-bedrock", "deepseek.r1-v1:0", "deepseek/deepseek-r1"),
    ("together", "deepseek-ai/DeepSeek-V3", "deepseek/deepseek-chat"),
    ("alibaba", "qwen3-coder-480b-a35b-instruct", "qwen/qwen3-coder"),
    ("gmicloud", "Qwen/Qwen3-Coder-480B-A35B-Instruct-FP8", "qwen/qwen3-coder"),
    ("novita", "qwen/qwen3-235b-a22b-instruct-2507", "qwen/qwen3-235b-a22b-2507"),
    ("moonshotai", "kimi-k2-0905-preview", "moonshotai/kimi-k2-0905"),
    ("synthetic", "hf:nvidia/Kimi-K2.5-NVFP4", "moonshotai/kimi-k2.5"),
    ("cerebras", "zai-glm-4.7", "z-ai/glm-4.7"),
    ("azure", "FW-GLM-5.3", "z-ai/glm-5.3"),
    ("xai", "grok-4-0709", "x-ai/grok-4"),
    ("mistral", "mistral-large-latest", "mistralai/mistral-large-2512"),
    ("ovhcloud", "mistral-small-3.2-24b-instruct-2506", "mistralai/mistral-small-3.2-24b-instruct"),
    ("clarifai", "openai/chat-completion/models/gpt-oss-20b", "openai/gpt-oss-20b"),
    ("openrouter", "deepseek/deepseek-r1:free", "deepseek/deepseek-r1:free"),
]
"""A provider, its name for a model, and the id."""

APART = [
    ("openai/gpt-5", "openai/gpt-5-chat", "openai/gpt-5-codex", "openai/gpt-5-pro"),
    ("openai/gpt-4o", "openai/gpt-4o-2024-05-13", "openai/gpt-4o-mini", "openai/gpt-4o-audio-preview"),
    ("openai/o3", "openai/o3-mini", "openai/o3-pro", "openai/o3-deep-research"),
    ("anthropic/claude-3.5-sonnet", "anthropic/claude-3.5-sonnet-20240620"),
    ("anthropic/claude-sonnet-4", "anthropic/claude-sonnet-4.5", "anthropic/claude-sonnet-4.6"),
    ("anthropic/claude-opus-4.6", "anthropic/claude-opus-4.6-fast"),
    ("deepseek/deepseek-r1", "deepseek/deepseek-r1-0528", "deepseek/deepseek-r1-distill-llama-70b"),
    ("deepseek/deepseek-chat", "deepseek/deepseek-chat-v3-0324", "deepseek/deepseek-chat-v3.1"),
    ("deepseek/deepseek-v3.1-terminus", "deepseek/deepseek-v3.2", "deepseek/deepseek-v3.2-exp"),
    ("deepseek/deepseek-v4-flash", "deepseek/deepseek-v4-pro", "deepseek/deepseek-v4.1-flash"),
    ("google/gemini-2.5-flash", "google/gemini-2.5-flash-lite", "google/gemini-2.5-flash-image"),
    ("google/gemini-pro-latest", "google/gemini-pro"),
    ("meta-llama/llama-3.1-8b-instruct", "meta-llama/llama-3.1-8b", "meta-llama/llama-3-8b-instruct"),
    ("meta-llama/llama-3.1-70b-instruct", "meta-llama/llama-3.3-70b-instruct"),
    ("moonshotai/kimi-k2", "moonshotai/kimi-k2-0905", "moonshotai/kimi-k2-thinking", "moonshotai/kimi-k2.5"),
    ("qwen/qwen3-235b-a22b", "qwen/qwen3-235b-a22b-2507", "qwen/qwen3-235b-a22b-thinking-2507"),
    ("qwen/qwen3-30b-a3b", "qwen/qwen3-30b-a3b-instruct-2507", "qwen/qwen3-30b-a3b-thinking-2507"),
    ("qwen/qwen3-next-80b-a3b-instruct", "qwen/qwen3-next-80b-a3b-thinking"),
    ("qwen/qwen3-14b", "openpipe/qwen3-14b-instruct"),
    ("z-ai/glm-4.5", "z-ai/glm-4.5-air", "z-ai/glm-4.5v"),
    ("z-ai/glm-5", "z-ai/glm-5-turbo", "z-ai/glm-5.1"),
    ("x-ai/grok-4", "x-ai/grok-4-fast", "x-ai/grok-4.1-fast", "x-ai/grok-4.20"),
    ("x-ai/grok-4.20", "x-ai/grok-4.20-multi-agent", "x-ai/grok-4.20-non-reasoning"),
    ("mistralai/ministral-3b-2512", "mistralai/ministral-8b-2512", "mistralai/ministral-14b-2512"),
    ("amazon/titan-embed-text-v1", "amazon/titan-embed-text-v2"),
    ("cohere/rerank-v3.5", "voyageai/rerank-3"),
]
"""Models whose names are close."""

IDS = {row.id.partition(":")[0] for provider in providers() for row in models(provider)}
UNIMPORTANT = frozenset({"instruct", "it", "hf", "fp", "maas", "latest"})


def essence(canonical: str) -> tuple[str, ...]:
    """What two ids of one model would share, told by another way than the one under test."""
    slug = re.sub(r"-?20\d\d-?[01]\d-?[0-3]\d", "", canonical.partition("/")[2])
    return tuple(sorted(word for word in re.findall(r"[a-z]+|\d+", slug) if word not in UNIMPORTANT))


def test_a_hundred_models_are_named() -> None:
    assert len(MOST_USED) == len(set(MOST_USED)) == 100
    assert set(MOST_USED) <= IDS


def test_none_of_the_most_used_has_a_second_id() -> None:
    told_apart = {canonical for group in APART for canonical in group}
    sharing = collections.defaultdict(set)
    for canonical in IDS:
        sharing[essence(canonical)].add(canonical)
    snapshots = re.compile(r"20\d\d-\d\d-\d\d$")  # OpenRouter lists some of OpenAI's under their own ids
    seconds = {
        other
        for canonical in MOST_USED
        for other in sharing[essence(canonical)] - {canonical} - told_apart
        if not snapshots.search(other)
    }
    assert seconds == set()


@pytest.mark.parametrize(("provider", "native", "canonical"), SAME)
def test_one_model_under_many_names(provider: str, native: str, canonical: str) -> None:
    assert names().name(provider, native).id == canonical


@pytest.mark.parametrize("group", APART, ids=lambda group: group[0])
def test_close_names_are_different_models(group: tuple[str, ...]) -> None:
    openrouter = [names().name("openrouter", canonical).id for canonical in group]
    assert openrouter == list(group)
    assert set(group) & IDS


def test_the_names_of_two_models_never_lead_to_one_endpoint() -> None:
    """What close names mean at one provider stays apart in its list, aliases included."""
    for provider in providers():
        natives = [name for row in models(provider) for name in (row.native, *row.aliases)]
        tagged = {(row.native, row.tag) for row in models(provider)}
        assert len(tagged) == len(models(provider))
        repeated = {name for name, count in collections.Counter(natives).items() if count > 1}
        assert {row.native for row in models(provider) if row.native in repeated} == {
            row.native for row in models(provider) if row.tag == f"{provider}/regional"
        }


def test_a_quantization_a_region_and_a_faster_endpoint_are_told() -> None:
    assert names().name("gmicloud", "zai-org/GLM-5-FP8").quantization == "fp8"
    assert names().name("amazon-bedrock", "eu.anthropic.claude-haiku-4-5-20251001-v1:0").tag == "eu"
    assert names().name("nebius", "Qwen/Qwen3.5-397B-A17B-fast").tag == "fast"
    assert names().name("openai", "gpt-5.4").tag == ""
    assert names().name("openai", "gpt-3.5-turbo").tag == ""


def test_a_model_that_nobody_knows_keeps_its_name() -> None:
    named = names().name("ollama", "someones-finetune:7b")
    assert (named.id, named.known) == ("ollama/someones-finetune:7b", False)
    assert names().name("anthropic", "claude-saga-9-1-20270101").id == "anthropic/claude-saga-9.1"
    assert names().name("x", "Some Org/Model (v2)").id == "some org/model--v2-"


def test_a_users_own_server_serves_known_models() -> None:
    assert names().name("ollama", "llama3.2:1b").id == "meta-llama/llama-3.2-1b-instruct"
    assert names().name("vllm", "Qwen/Qwen3-32B").id == "qwen/qwen3-32b"
    assert names().name("lmstudio", "google/gemma-3-27b").id == "google/gemma-3-27b-it"


@given(st.text(max_size=60), st.sampled_from(["ollama", "fireworks", "amazon-bedrock", "x"]))
def test_any_name_is_named(native: str, provider: str) -> None:
    named = names().name(provider, native)
    assert "/" in named.id
    assert names().name(provider, native) == named


@given(st.sampled_from(sorted(IDS)), st.sampled_from(VARIANTS))
def test_an_id_is_its_own_name_with_any_variant(canonical: str, variant: str) -> None:
    assert (
        names().name("openrouter", f"{canonical}:{variant}").id
        == f"{names().name('openrouter', canonical).id}:{variant}"
    )


def test_names_are_compared_by_words_and_numbers() -> None:
    assert words("Qwen2.5-VL-72B") == words("qwen-2.5-vl 72b") == ("qwen", "2", "5", "vl", "72", "b")


def test_the_commonest_spelling_is_kept() -> None:
    assert choose({"a/b-1": 1, "a/b1": 2}) == "a/b1"
    assert choose({"a/b-1": 1, "a/b1": 1}) == "a/b1"


def test_without_known_ids_the_tables_alone_decide() -> None:
    tables = Tables(
        authors={"org": "author"},
        families={"m-": "maker"},
        prefixes=("host",),
        suffixes={"fp8": "fp8"},
        terse=(),
        aliases={},
    )
    bare = Names(tables)
    assert bare.name("p", "Org/Thing").id == "author/thing"
    assert bare.name("p", "host-m-1-fp8").id == "maker/m-1"
