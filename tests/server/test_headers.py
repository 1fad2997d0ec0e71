"""What is read of headers, in both directions."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import formatdate

import pytest

from routerd.server.headers import bearer, host_name, read, retry_after

NOW = 1_795_000_000.0


@pytest.mark.parametrize(
    ("host", "name"),
    [
        ("localhost", "localhost"),
        ("LocalHost:8484", "localhost"),
        ("localhost.:80", "localhost"),
        ("127.0.0.1:1", "127.0.0.1"),
        ("[::1]", "::1"),
        ("[2001:DB8::1]:443", "2001:db8::1"),
        ("[::1", ""),
        ("[]", ""),
        ("", ""),
        (":80", ""),
    ],
)
def test_the_name_in_a_host_header(host: str, name: str) -> None:
    assert host_name(host) == name


@pytest.mark.parametrize(
    ("given", "token"),
    [
        (("Bearer abc",), "abc"),
        (("bearer  abc ",), "abc"),
        (("Basic abc",), None),
        (("Bearer",), ""),
        ((None, None, "second"), "second"),
        ((None, "", "second"), "second"),
        (("Bearer first", "second"), "first"),
        (("Basic abc", "second"), None),
        ((None,), None),
    ],
)
def test_the_callers_key(given: tuple[str | None, ...], token: str | None) -> None:
    assert bearer(*given) == token


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("7", 7.0),
        (" 0.5 ", 0.5),
        ("0", 0.0),
        (formatdate(NOW + 30, usegmt=True), 30.0),
        (formatdate(NOW - 30, usegmt=True), None),
        ("-1", None),
        ("inf", None),
        ("nan", None),
        ("soon", None),
        ("", None),
        ("Fri, 99 Foo 2026 00:00:00 GMT", None),
    ],
)
def test_retry_after_is_a_number_or_a_date(value: str, seconds: float | None) -> None:
    assert retry_after(value.encode(), NOW) == seconds


def test_only_what_clients_act_on_is_passed_on() -> None:
    head = read(
        [
            (b"content-type", b"Text/Event-Stream"),
            (b"content-encoding", b" GZIP "),
            (b"retry-after", b"3"),
            (b"x-request-id", b"req-1"),
            (b"x-ratelimit-remaining-tokens", b"12"),
            (b"anthropic-ratelimit-requests-limit", b"50"),
            (b"openai-organization", b"acme"),
            (b"set-cookie", b"session=1"),
            (b"server", b"cloud"),
            (b"authorization", b"Bearer x"),
        ],
        NOW,
    )
    assert (head.content_type, head.content_encoding, head.retry_after) == (b"text/event-stream", b"gzip", 3.0)
    assert head.passed_on == [
        ("x-request-id", "req-1"),
        ("x-ratelimit-remaining-tokens", "12"),
        ("anthropic-ratelimit-requests-limit", "50"),
    ]


@pytest.mark.parametrize(
    ("fields", "seconds"),
    [
        ({"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "6m0s"}, 360),
        ({"x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "17ms"}, 0.017),
        ({"x-ratelimit-remaining": "0", "x-ratelimit-reset": "12.5"}, 12.5),
        (
            {
                "anthropic-ratelimit-requests-remaining": "0",
                "anthropic-ratelimit-requests-reset": "2026-11-21T00:00:30Z",
            },
            30,
        ),
        ({"x-ratelimit-remaining-requests": "1", "x-ratelimit-reset-requests": "6m0s"}, None),
        ({"x-ratelimit-remaining-requests": "0"}, None),
        ({"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "soon"}, None),
        ({"x-ratelimit-remaining-req-minute": "0"}, None),
    ],
)
def test_a_limit_of_which_nothing_remains_tells_when_it_begins_anew(
    fields: dict[str, str], seconds: float | None
) -> None:
    now = datetime(2026, 11, 21, tzinfo=UTC).timestamp()
    found = read([(name.encode(), value.encode()) for name, value in fields.items()], now).exhausted
    assert found == (None if seconds is None else pytest.approx(seconds))
