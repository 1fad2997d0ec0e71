"""Servers of this machine, by their answers: who is who, what is loaded, and nothing is believed blindly."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from routerd.catalogue.load import providers as catalogue
from routerd.config.known import FOUND
from routerd.server.local_servers import MOST, SERVERS, Models, lmstudio, ollama, owned_by

TAGS = {
    "models": [
        {
            "name": "llama3.2:1b",
            "model": "llama3.2:1b",
            "modified_at": "2026-11-01T10:00:00Z",
            "size": 1321098329,
            "digest": "baf6a787",
            "details": {"format": "gguf", "family": "llama", "parameter_size": "1.2B", "quantization_level": "Q8_0"},
        },
        {"name": "nomic-embed-text:latest", "details": {"family": "nomic-bert", "quantization_level": "F16"}},
        {"name": "gpt-oss:120b-cloud", "remote_host": "https://ollama.com:443", "details": {"family": "gptoss"}},
        {"name": "bare", "details": None},
    ]
}
DOWNLOADS = {
    "object": "list",
    "data": [
        {
            "id": "qwen3-8b",
            "object": "model",
            "type": "llm",
            "publisher": "qwen",
            "quantization": "Q4_K_M",
            "state": "loaded",
            "max_context_length": 40960,
            "loaded_context_length": 8192,
        },
        {"id": "qwen2-vl-7b", "type": "vlm", "quantization": "4bit", "state": "loaded", "max_context_length": 32768},
        {"id": "nomic", "type": "embeddings", "quantization": "Q5_K_M", "state": "loaded", "max_context_length": -1},
        {"id": "unloaded", "type": "llm", "state": "not-loaded", "max_context_length": 4096},
    ],
}
LLAMACPP = {
    "object": "list",
    "models": [{"name": "gemma-3-4b", "capabilities": ["completion"]}],
    "data": [
        {"id": "gemma-3-4b", "owned_by": "llamacpp", "created": 1, "meta": {"n_ctx": 4096, "n_ctx_train": 131072}},
        {"id": "asleep", "owned_by": "llamacpp", "status": {"value": "unloaded"}},
        {"id": "awake", "owned_by": "llamacpp", "status": {"value": "loaded"}, "meta": None},
    ],
}
VLLM = {
    "object": "list",
    "data": [{"id": "Qwen/Qwen3-8B", "owned_by": "vllm", "root": "Qwen/Qwen3-8B", "max_model_len": 16384}],
}


def read(reader: Any, answer: object) -> Models | None:
    found: Models | None = reader(json.dumps(answer).encode())
    return found


def test_ollama_lists_what_is_installed_here_and_not_what_its_cloud_serves() -> None:
    found = read(ollama, TAGS)
    assert found is not None
    assert list(found) == ["llama3.2:1b", "nomic-embed-text:latest", "bare"]
    assert (found["llama3.2:1b"].quantization, found["llama3.2:1b"].kind) == ("int8", None)
    assert (found["nomic-embed-text:latest"].quantization, found["nomic-embed-text:latest"].kind) == (
        "fp16",
        "embedding",
    )
    assert found["bare"].quantization is None


def test_lm_studio_lists_what_is_loaded_with_the_context_it_was_loaded_with() -> None:
    found = read(lmstudio, DOWNLOADS)
    assert found is not None
    assert {name: (m.kind, m.context_length, m.quantization, m.input_modalities) for name, m in found.items()} == {
        "qwen3-8b": (None, 8192, "int4", None),
        "qwen2-vl-7b": (None, 32768, "int4", ("text", "image")),
        "nomic": ("embedding", None, None, None),
    }


def test_llama_cpp_and_vllm_say_that_their_models_are_theirs() -> None:
    found = read(owned_by("llamacpp"), LLAMACPP)
    assert found is not None
    assert {name: model.context_length for name, model in found.items()} == {"gemma-3-4b": 4096, "awake": None}
    found = read(owned_by("vllm"), VLLM)
    assert found is not None
    assert found["Qwen/Qwen3-8B"].context_length == 16384


@pytest.mark.parametrize("owner", ["openai", "library", "sglang", ""])
def test_a_list_of_somebody_else_is_not_theirs(owner: str) -> None:
    mixed = {"data": [*VLLM["data"], {"id": "gpt-5", "owned_by": owner}]}
    assert read(owned_by("vllm"), mixed) is None
    assert read(owned_by("llamacpp"), VLLM) is None


def test_a_list_without_end_is_cut() -> None:
    endless = {"data": [{"id": str(number), "owned_by": "vllm"} for number in range(2 * MOST)]}
    found = read(owned_by("vllm"), endless)
    assert found is not None
    assert len(found) == MOST


def test_every_kind_is_a_local_provider_of_the_catalogue_at_its_own_port() -> None:
    assert {server.slug for server in SERVERS} == FOUND
    for server in SERVERS:
        facts = catalogue()[server.slug]
        assert facts.local
        assert not facts.key
        assert facts.base_url == f"http://127.0.0.1:{server.port}/v1"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["models", "data", "id", "name", "owned_by", "details", "state", "meta", "n_ctx"]), inner
        )
    ),
    max_leaves=12,
)


@given(JSON)
def test_whatever_is_answered_is_a_list_or_none_or_refused(answer: Any) -> None:
    body = json.dumps(answer).encode()
    for server in SERVERS:
        for reader in server.lists.values():
            try:
                found = reader(body)
            except msgspec.MsgspecError:
                continue
            assert found is None or all(
                model.context_length is None or model.context_length > 0 for model in found.values()
            )
