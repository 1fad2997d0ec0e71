"""Model servers of this machine: where each kind listens, how its answers are told from others', what it has loaded.

Something else may listen at such a port, and some of that (a gateway to a cloud) looks alike: only an answer that no
other kind of server gives makes one known. Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import msgspec

from routerd.config.schema import ProviderModel

Models = Mapping[str, ProviderModel]
Reader = Callable[[bytes], Models | None]
"""From a body to what it lists; None: it is not of that kind of server. msgspec.MsgspecError likewise."""

MOST = 1000
"""Models of one server."""


class Server(msgspec.Struct, frozen=True):
    """A kind of server. `lists` are the paths to ask, the best first, each with who reads its answer."""

    slug: str
    port: int
    lists: Mapping[str, Reader]


class _Details(msgspec.Struct):
    family: str | None = None
    quantization_level: str | None = None


class _Tag(msgspec.Struct):
    name: str
    details: _Details | None = None
    remote_host: str | None = None
    """Where a model of Ollama's cloud is served: it is listed like a local one."""


class _Tags(msgspec.Struct):
    models: list[_Tag]


def ollama(body: bytes) -> Models | None:
    """GET /api/tags (https://docs.ollama.com/api/tags): what is installed is loaded when it is asked for."""
    tags = msgspec.json.decode(body, type=_Tags).models[:MOST]
    return {tag.name: _installed(tag.details or _Details()) for tag in tags if not tag.remote_host}


def _installed(details: _Details) -> ProviderModel:
    embeds = "bert" in (details.family or "")  # bert, nomic-bert
    return ProviderModel(kind="embedding" if embeds else None, quantization=_quantization(details.quantization_level))


class _Downloaded(msgspec.Struct):
    id: str
    state: str
    type: str | None = None
    quantization: str | None = None
    max_context_length: int | None = None
    loaded_context_length: int | None = None


class _Downloads(msgspec.Struct):
    data: list[_Downloaded]


def lmstudio(body: bytes) -> Models | None:
    """GET /api/v0/models (https://lmstudio.ai/docs/developer/rest/endpoints): those of state `loaded`."""
    return {
        model.id: ProviderModel(
            kind="embedding" if model.type == "embeddings" else None,
            context_length=_limit(model.loaded_context_length or model.max_context_length),
            quantization=_quantization(model.quantization),
            input_modalities=("text", "image") if model.type == "vlm" else None,
        )
        for model in msgspec.json.decode(body, type=_Downloads).data[:MOST]
        if model.state == "loaded"
    }


class _Meta(msgspec.Struct):
    n_ctx: int | None = None


class _Status(msgspec.Struct):
    value: str = "loaded"


class _Listed(msgspec.Struct):
    id: str
    owned_by: str
    max_model_len: int | None = None
    """vLLM's."""
    meta: _Meta | None = None
    """llama.cpp's. Its `n_ctx_train` is the model's length, not the server's."""
    status: _Status | None = None
    """llama.cpp's, where it serves several models."""


class _List(msgspec.Struct):
    data: list[_Listed]


def owned_by(owner: str) -> Reader:
    """GET /v1/models, where every model says that it is that server's."""

    def read(body: bytes) -> Models | None:
        found = msgspec.json.decode(body, type=_List).data[:MOST]
        if any(model.owned_by != owner for model in found):
            return None
        return {
            model.id: ProviderModel(context_length=_limit(model.max_model_len or (model.meta or _Meta()).n_ctx))
            for model in found
            if model.status is None or model.status.value == "loaded"
        }

    return read


SERVERS = (
    Server("ollama", 11434, {"/api/tags": ollama}),
    Server("lmstudio", 1234, {"/api/v0/models": lmstudio, "/v1/models": owned_by("organization_owner")}),
    Server("llamacpp", 8080, {"/v1/models": owned_by("llamacpp")}),
    Server("vllm", 8000, {"/v1/models": owned_by("vllm")}),
)
"""The ports are those on which each listens unless it is told otherwise."""

QUANTIZATIONS = {
    "Q4": "int4", "IQ4": "int4", "4BIT": "int4", "Q8": "int8", "8BIT": "int8", "MXFP4": "mxfp4", "F16": "fp16",
    "FP16": "fp16", "BF16": "bf16", "F32": "fp32", "FP32": "fp32",
}  # fmt: skip
"""How GGUF and MLX call it, up to the first `_`, in OpenRouter's words; it has none for 2, 3, 5 or 6 bits."""


def _quantization(written: str | None) -> str | None:
    return QUANTIZATIONS.get((written or "").upper().partition("_")[0])


def _limit(tokens: int | None) -> int | None:
    return tokens if tokens is not None and tokens > 0 else None
