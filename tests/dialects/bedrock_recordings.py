"""Recorded exchanges with Bedrock, and botocore's own reading of them."""

from __future__ import annotations

import base64
import functools
import json
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from botocore.eventstream import EventStream  # type: ignore[import-untyped]
from botocore.loaders import Loader  # type: ignore[import-untyped]
from botocore.model import OperationModel, ServiceModel  # type: ignore[import-untyped]
from botocore.parsers import EventStreamJSONParser, RestJSONParser  # type: ignore[import-untyped]
from botocore.serialize import create_serializer  # type: ignore[import-untyped]
from botocore.validate import ParamValidator  # type: ignore[import-untyped]

from tests.dialects.corpus import FOLDER

Json = dict[str, Any]


class Case(msgspec.Struct, frozen=True):
    name: str
    path: str
    request: Json | None
    status: int
    body: bytes


def cases(dialect: str) -> list[Case]:
    """Every recorded exchange of a dialect; skips the test where there are none."""
    if not FOLDER.is_dir():
        pytest.skip("the recorded traffic is not beside the project")
    return [case for found, case in _read() if found == dialect]


@functools.cache
def _read() -> list[tuple[str, Case]]:
    found = []
    for path in sorted(FOLDER.glob("bedrock/*.json")):
        data: Json = json.loads(path.read_bytes())
        request, response = data["request"], data["response"]
        text = response.get("body")
        body = text if isinstance(text, str) else json.dumps(text)
        raw = base64.b64decode(response["body_base64"]) if "body_base64" in response else body.encode()
        found.append(
            (
                data["dialect"],
                Case(path.stem, request.get("url_path") or "", request.get("body"), response["status"], raw),
            )
        )
    return found


@functools.cache
def operation(name: str) -> OperationModel:
    return ServiceModel(Loader().load_service_model("bedrock-runtime", "service-2")).operation_model(name)


def whole(body: bytes) -> Json:
    """An answer of Converse as botocore parses it."""
    parsed: Json = _Answers().parse(
        {"status_code": 200, "headers": {}, "body": body}, operation("Converse").output_shape
    )
    return parsed


class _Lenient:
    """Bedrock itself sends blocks with no member, or with `type` beside the one that botocore insists on."""

    def _has_unknown_tagged_union_member(self, shape: object, value: object) -> bool:
        return False


class _Answers(_Lenient, RestJSONParser):  # type: ignore[misc]
    pass


class _Events(_Lenient, EventStreamJSONParser):  # type: ignore[misc]
    pass


class _Raw:
    def __init__(self, body: bytes) -> None:
        self._body = body

    def stream(self) -> Iterator[bytes]:
        yield self._body

    def close(self) -> None:
        """Nothing is open."""


def events(body: bytes, *, of: str = "ConverseStream") -> list[Json]:
    """The events of a stream as botocore parses them. Raises botocore's EventStreamError for an exception frame."""
    shape = operation(of).get_event_stream_output()
    return list(EventStream(_Raw(body), shape, _Events(), of))


def complaints(body: Json) -> str:
    """What botocore's validator has to say against a request of Converse; empty for a good one."""
    params = {"modelId": "anthropic.claude", **_with_bytes(body)}
    report: str = ParamValidator().validate(params, operation("Converse").input_shape).generate_report()
    return report


def url_path(model: str) -> str:
    """The path that botocore sends a request to."""
    request = create_serializer("rest-json").serialize_to_request({"modelId": model}, operation("Converse"))
    return str(request["url_path"])


def _with_bytes(value: Any) -> Any:
    """The value with what stands in base64 as bytes, as botocore's callers give it."""
    if isinstance(value, list):
        return [_with_bytes(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {
        key: base64.b64decode(inner, validate=True)
        if key in ("bytes", "redactedContent") and isinstance(inner, str)
        else _with_bytes(inner)
        for key, inner in value.items()
    }
