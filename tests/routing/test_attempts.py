"""What follows a failure: the next candidate, or the answer that tells the client everything."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from routerd.errors import envelope
from routerd.routing.attempts import LONGEST_WAIT, STATUS_OF, Attempts, Carry, Failure, Reply, Try, Wait
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
        if not isinstance(decision, Try):
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


@pytest.mark.parametrize(
    ("failure", "counts", "of_the_key"),
    [
        (status(401), "failed", True),
        (status(403), "ignored", True),
        (status(404), "failed", False),
        (status(429), "limited", True),
        (status(503), "failed", False),
        (status(400), "ignored", False),
        (Failure(kind="connect", message=""), "failed", False),
    ],
)
def test_what_a_failure_is_in_the_record_of_its_endpoint(failure: Failure, counts: str, of_the_key: bool) -> None:
    assert (failure.counts_as, failure.of_the_key) == (counts, of_the_key)


def test_moderation_is_about_what_the_client_wrote_whatever_its_status() -> None:
    refused = Failure(status=403, message="flagged", code="content_policy_violation")
    assert refused.clients_fault
    assert not refused.resting
    assert after(refused, OTHER_KEY, ELSEWHERE, OTHER_MODEL) == OTHER_MODEL


# The deadline, and the last resort.


def test_after_the_deadline_nothing_is_tried() -> None:
    attempts = Attempts([FIRST, ELSEWHERE], most=9, deadline=60.0)
    assert isinstance(attempts.failed(status(500), ms=1, now=59.9), Try)
    attempts = Attempts([FIRST, ELSEWHERE], most=9, deadline=60.0, retries=5)
    assert isinstance(attempts.failed(status(500), ms=1, now=60.0), Reply)


def waiting(*failed: Failure, retries: int = 1, deadline: float = 60.0, draw: float = 0.5) -> Wait | Reply:
    attempts = Attempts([FIRST, ELSEWHERE], most=9, deadline=deadline, retries=retries, draw=lambda: draw)
    for failure in failed:
        decision = attempts.failed(failure, ms=1, now=1.0)
    assert isinstance(decision, (Wait, Reply))
    return decision


def test_only_when_nobody_else_is_left_somebody_is_asked_again() -> None:
    decision = waiting(status(500), status(503))
    assert decision == Wait(FIRST, 1.0)


def test_it_is_the_one_that_wants_the_shortest_wait_and_it_is_obeyed() -> None:
    slow = Failure(status=429, message="", retry_after=4.0)
    slower = Failure(status=429, message="", retry_after=9.0)
    assert waiting(slower, slow) == Wait(ELSEWHERE, 4.0)


@pytest.mark.parametrize(
    "failed",
    [
        (status(500), status(400)),
        (status(401), status(403)),
        (status(404), status(404)),
        (Failure(status=429, message="", retry_after=LONGEST_WAIT + 1),) * 2,
    ],
)
def test_what_will_not_pass_in_a_moment_is_not_waited_for(failed: tuple[Failure, ...]) -> None:
    attempts = Attempts([FIRST, ELSEWHERE], most=9, retries=3)
    decisions = [attempts.failed(failure, ms=1) for failure in failed]
    able = any(failure.status >= 500 for failure in failed)
    assert isinstance(decisions[-1], Wait if able else Reply)


def test_waits_grow_are_spread_and_are_few() -> None:
    for draw, expected in ((0.0, [0.25, 0.5, 1.0]), (0.999, [0.7495, 1.499, 2.998])):
        attempts = Attempts([FIRST], most=9, retries=3, draw=lambda: draw)  # noqa: B023  # used at once
        decisions = [attempts.failed(status(500), ms=1) for _ in range(4)]
        assert [one.seconds for one in decisions if isinstance(one, Wait)] == pytest.approx(expected)
        assert isinstance(decisions[-1], Reply)


def test_a_wait_that_would_end_after_the_deadline_is_not_begun() -> None:
    assert isinstance(waiting(status(500), status(500), deadline=1.5), Reply)
    assert isinstance(waiting(status(500), status(500), retries=0), Reply)


# Hedging.


def test_a_hedge_is_another_endpoint_of_the_same_model() -> None:
    attempts = Attempts([FIRST, OTHER_KEY, OTHER_MODEL, ELSEWHERE], most=9)
    assert attempts.hedge() == Try(ELSEWHERE)
    assert attempts.second == ELSEWHERE
    assert attempts.hedge() is None, "one at a time"
    assert Attempts([FIRST, OTHER_KEY], most=9).hedge() is None
    assert Attempts([FIRST, ELSEWHERE], most=1).hedge() is None


def test_the_first_token_wins_and_the_other_is_cancelled() -> None:
    for winner, loser in ((FIRST, ELSEWHERE), (ELSEWHERE, FIRST)):
        attempts = Attempts([FIRST, ELSEWHERE], most=9)
        attempts.hedge()
        assert attempts.won(winner) == loser
        assert (attempts.candidate, attempts.committed, attempts.second) == (winner, True, None)
        assert attempts.hedge() is None
    assert Attempts([FIRST], most=1).won(FIRST) is None


@pytest.mark.parametrize(("failing", "left"), [(FIRST, ELSEWHERE), (ELSEWHERE, FIRST)])
def test_where_one_of_two_fails_the_other_goes_on(failing: Candidate, left: Candidate) -> None:
    third = Candidate(Endpoint(provider="three", model="m", id="three/m"))
    attempts = Attempts([FIRST, ELSEWHERE, third], most=9)
    attempts.hedge()
    assert attempts.failed(status(500), ms=1, candidate=failing) == Carry(left)
    assert attempts.failed(status(500), ms=1, candidate=left) == Try(third)
    assert [tried.candidate for tried in attempts.tried] == [failing, left]


# Continuation.


def test_a_broken_answer_is_continued_at_another_endpoint_or_honestly_ended() -> None:
    attempts = Attempts([FIRST, OTHER_KEY, ELSEWHERE], most=9)
    attempts.won(FIRST)
    broken = Failure(kind="disconnected", message="cut")
    assert attempts.resume(broken, ms=5) == Try(ELSEWHERE)
    assert attempts.committed
    assert isinstance(attempts.resume(broken, ms=5), Reply)
