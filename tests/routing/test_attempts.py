"""What follows a failure: the next candidate, or the answer that tells the client everything."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from routerd.errors import envelope
from routerd.routing.attempts import STATUS_OF, Attempts, Failure, Reply, Try
from routerd.routing.candidates import Candidate, Endpoint

ONE = Endpoint(provider="one", model="m", id="one/m", keys=2)
TWO = Endpoint(provider="two", model="m", id="two/m")
FIRST, OTHER_KEY, ELSEWHERE, OTHER_MODEL = (
    Candidate(ONE, 0, 0),
    Candidate(ONE, 1, 0),
    Candidate(TWO, 0, 0),
    Candidate(TWO, 0, 1),
)

failures = st.builds(
    Failure,
    kind=st.sampled_from(["status", *STATUS_OF]),
    status=st.sampled_from([0, 200, 302, 400, 401, 402, 403, 404, 408, 409, 413, 422, 429, 500, 502, 503, 529, 999]),
    message=st.text(max_size=5),
    retry_after=st.none() | st.floats(0, 100),
)
candidates = st.lists(
    st.builds(Candidate, st.sampled_from([ONE, TWO]), st.integers(0, 2), st.integers(0, 2)), min_size=1, max_size=12
)


def after(failure: Failure, *others: Candidate) -> Candidate | None:
    """The candidate that follows a failure of `FIRST`."""
    decision = Attempts([FIRST, *others], most=10).failed(failure, ms=1)
    return decision.candidate if isinstance(decision, Try) else None


def status(code: int) -> Failure:
    return Failure(status=code, message="no")


@pytest.mark.parametrize("code", [401, 402, 403, 429])
def test_a_refused_or_used_up_key_leaves_the_other_keys_of_its_pool(code: int) -> None:
    assert after(status(code), OTHER_KEY, ELSEWHERE) == OTHER_KEY


@pytest.mark.parametrize("code", [404, 408, 500, 502, 503, 529])
def test_a_fault_of_the_endpoint_leaves_the_other_endpoints(code: int) -> None:
    assert after(status(code), OTHER_KEY, ELSEWHERE) == ELSEWHERE
    assert after(status(code), OTHER_KEY) is None


@pytest.mark.parametrize("kind", STATUS_OF)
def test_a_failed_connection_leaves_the_other_endpoints(kind: str) -> None:
    failure = Failure(kind=kind, message="no")
    assert after(failure, OTHER_KEY, ELSEWHERE) == ELSEWHERE
    assert failure.shown_status in {502, 504}
    assert failure.resting


@pytest.mark.parametrize("code", [400, 413, 422, 409, 418])
def test_a_fault_of_the_request_leaves_its_other_models_only(code: int) -> None:
    assert after(status(code), OTHER_KEY, ELSEWHERE, OTHER_MODEL) == OTHER_MODEL
    assert after(status(code), OTHER_KEY, ELSEWHERE) is None
    assert not status(code).resting


def test_a_missing_model_moves_on_and_says_nothing_about_the_endpoints_health() -> None:
    assert after(status(404), ELSEWHERE) == ELSEWHERE
    assert not status(404).resting


def test_after_the_first_output_nothing_is_tried_again() -> None:
    attempts = Attempts([FIRST, ELSEWHERE], most=10)
    attempts.committed = True
    assert isinstance(attempts.failed(status(500), ms=1), Reply)


@given(candidates, st.lists(failures, min_size=12, max_size=12), st.integers(1, 15))
def test_whatever_fails_no_candidate_is_tried_twice_and_it_comes_to_an_end(
    order: list[Candidate], failed: list[Failure], most: int
) -> None:
    attempts = Attempts(order, most=most)
    for failure in failed:
        decision = attempts.failed(failure, ms=1)
        if isinstance(decision, Reply):
            break
        assert decision.candidate is attempts.candidate
    assert isinstance(decision, Reply)
    tried = [tried.candidate for tried in attempts.tried]
    assert len(tried) <= min(most, len(order))
    rest = iter(order)
    assert all(candidate in rest for candidate in tried), "in their order, each place in it once"


@given(st.lists(failures, min_size=1, max_size=4))
def test_the_clients_error_is_the_last_failure_with_every_earlier_one(failed: list[Failure]) -> None:
    attempts = Attempts([Candidate(Endpoint(provider=f"p{i}", model="m", id="m"), 0, i) for i in range(9)], most=9)
    for failure in failed:
        attempts.failed(failure, ms=1)
    error = attempts.error()
    assert 400 <= error.status <= 599
    assert error.status == failed[-1].shown_status
    assert error.retry_after == failed[-1].retry_after
    told = envelope(error)["error"]
    assert told["metadata"]["provider_name"] == f"p{len(failed) - 1}"
    previous = told["metadata"].get("previous_errors", [])
    assert [one["code"] for one in previous] == [failure.shown_status for failure in failed[:-1]]


@pytest.mark.parametrize(
    ("failure", "says"),
    [
        (Failure(status=401, message="bad key"), "provider one refused routerd's key: bad key"),
        (Failure(status=403, message="not you"), "provider one refused routerd's key: not you"),
        (Failure(status=402, message="top up"), "provider one wants payment: top up"),
        (Failure(status=400, message="too long"), "too long"),
        (Failure(kind="connect", message="refused"), "provider one: refused"),
    ],
)
def test_the_message_says_who_refused_what(failure: Failure, says: str) -> None:
    attempts = Attempts([FIRST], most=1)
    decision = attempts.failed(failure, ms=1)
    assert isinstance(decision, Reply)
    assert decision.error.message == says


def test_the_providers_own_words_are_in_the_metadata() -> None:
    attempts = Attempts([FIRST], most=1)
    attempts.failed(Failure(status=429, message="slow", code="rpm", raw='{"a":1}', retry_after=3.0), ms=1)
    error = attempts.error()
    assert error.metadata == {"provider_name": "one", "raw": '{"a":1}', "provider_code": "rpm"}
    assert (error.retry_after, error.error_type) == (3.0, "rate_limit_exceeded")
