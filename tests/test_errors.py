from __future__ import annotations

import inspect
import json

import pytest

from routerd import errors
from routerd.errors import ConfigError, NothingLeft, ProviderFailed, RouterdError, Unauthenticated, UnknownModel

EVERY = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, RouterdError)]


def test_the_envelope_is_openrouters_with_openais_members_beside_it() -> None:
    error = UnknownModel("no such model", metadata={"nearest": ["m"]})
    error.generation_id = "gen-1"
    assert json.loads(errors.encode(error)) == {
        "error": {
            "message": "no such model",
            "code": 400,
            "type": "invalid_request_error",
            "param": None,
            "metadata": {
                "error_type": "not_found",
                "nearest": ["m"],
                "source": "routerd",
                "hint": "`routerd models` lists what can be asked for",
                "generation_id": "gen-1",
            },
        }
    }


def test_a_provider_that_failed_keeps_its_status_and_is_named_as_the_source() -> None:
    error = ProviderFailed("overloaded", status=529, error_type="provider_overloaded", retry_after=2)
    told = errors.envelope(error)["error"]
    assert (told["code"], told["type"], told["metadata"]["source"]) == (529, "server_error", "provider")
    assert error.retry_after == 2


@pytest.mark.parametrize("kind", [kind for kind in EVERY if kind not in {ConfigError, ProviderFailed}])
def test_the_code_is_always_a_number_and_the_status(kind: type[RouterdError]) -> None:
    """Both of OpenRouter's SDKs throw on a code that is text."""
    told = errors.envelope(kind("x"))["error"]
    assert told["code"] == kind.status
    assert isinstance(told["metadata"]["error_type"], str)


@pytest.mark.parametrize(
    "kind", [errors.InvalidRequest, Unauthenticated, NothingLeft, errors.Forbidden, errors.NotFound]
)
def test_a_permanent_fault_is_no_5xx(kind: type[RouterdError]) -> None:
    """Some SDKs retry a 5xx for an hour."""
    assert 400 <= kind.status < 500


@pytest.mark.parametrize(
    ("status", "word"), [(429, "rate_limit_exceeded"), (418, "unmapped"), (599, "server"), (529, "provider_overloaded")]
)
def test_every_status_has_a_word(status: int, word: str) -> None:
    assert errors.error_type(status) == word


def test_the_tree_in_the_docstring_has_the_status_and_type_of_every_error() -> None:
    lines = {line.split()[1]: line.split()[2:4] for line in (inspect.getdoc(errors) or "").splitlines() if "──" in line}
    lines |= {
        line.split()[2]: line.split()[3:5] for line in (inspect.getdoc(errors) or "").splitlines() if "│   └──" in line
    }
    for kind in EVERY:
        if kind not in {RouterdError, ConfigError, ProviderFailed}:
            assert lines[kind.__name__] == [str(kind.status), kind.error_type]


def test_all_faults_of_a_configuration_are_kept_apart() -> None:
    assert ConfigError(["a", "b"]).faults == ("a", "b")
    assert str(ConfigError(["a", "b"])) == "a\nb"


def test_what_a_message_quotes_can_be_written_and_holds_no_key() -> None:
    quoted = b"\xff\xc3\xa9".decode(errors="surrogateescape")
    error = RouterdError(f"no such path: /{quoted} sk-routerd-{'x' * 43}")
    assert error.message == str(error) == "no such path: /?\u00e9 [masked]"
    assert json.loads(errors.encode(error))["error"]["message"] == error.message
