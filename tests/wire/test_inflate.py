"""A body that is inflated while it arrives: whatever its pieces, the same bytes; whatever it hides, no bomb."""

from __future__ import annotations

import gzip
import itertools
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from routerd.wire.inflate import CODINGS, MOST, Inflater

TEXT = b'{"choices": [{"message": {"content": "Hello there, hello there"}}]}' * 20
FORMS = {"gzip": gzip.compress(TEXT), "deflate": zlib.compress(TEXT)}


def inflated(*pieces: bytes) -> bytes:
    inflater = Inflater()
    return b"".join(inflater.feed(piece) for piece in pieces)


@pytest.mark.parametrize("form", FORMS)
def test_a_body_is_inflated_whole_and_byte_by_byte(form: str) -> None:
    packed = FORMS[form]
    assert form.encode() in CODINGS
    assert inflated(packed) == TEXT
    assert inflated(*(packed[i : i + 1] for i in range(len(packed)))) == TEXT


@given(st.binary(max_size=5000), st.lists(st.integers(0, 5000), max_size=8), st.sampled_from([31, 15]))
def test_where_a_body_is_cut_does_not_matter(data: bytes, cuts: list[int], form: int) -> None:
    packer = zlib.compressobj(wbits=form)
    packed = packer.compress(data) + packer.flush()
    edges = [0, *sorted(min(cut, len(packed)) for cut in cuts), len(packed)]
    assert inflated(*(packed[a:b] for a, b in itertools.pairwise(edges))) == data


def test_what_was_flushed_is_there_before_the_rest_has_come() -> None:
    packer = zlib.compressobj(wbits=31)
    inflater = Inflater()
    assert inflater.feed(packer.compress(b"data: 1\n\n") + packer.flush(zlib.Z_SYNC_FLUSH)) == b"data: 1\n\n"
    assert inflater.feed(packer.compress(b"data: 2\n\n") + packer.flush()) == b"data: 2\n\n"


@pytest.mark.parametrize("size", [1, 3, 1000])
def test_gzip_may_have_several_members(size: int) -> None:
    packed = gzip.compress(b"one, ") + gzip.compress(b"") + gzip.compress(b"two")
    assert inflated(*(packed[i : i + size] for i in range(0, len(packed), size))) == b"one, two"


@pytest.mark.parametrize(
    "packed",
    [b"plain text", FORMS["gzip"][:10] + b"\xff" * 30, FORMS["gzip"][:-8] + b"\0" * 8, FORMS["gzip"] + b"garbage"],
    ids=["not compressed", "overwritten", "wrong checksum", "garbage after it"],
)
def test_a_damaged_body_is_a_fault(packed: bytes) -> None:
    with pytest.raises(ValueError, match="the compressed answer is damaged"):
        inflated(packed)


@given(st.binary(max_size=300))
def test_garbage_is_inflated_or_refused_and_nothing_else(data: bytes) -> None:
    try:
        inflated(data)
    except ValueError as error:
        assert str(error) == "the compressed answer is damaged"  # noqa: PT017  # no error is a good end as well


def test_a_body_that_breaks_off_gives_what_there_was() -> None:
    packer = zlib.compressobj(wbits=31)
    assert inflated(packer.compress(TEXT) + packer.flush(zlib.Z_SYNC_FLUSH)) == TEXT


@pytest.mark.parametrize("members", [1, 4])
def test_a_bomb_does_not_go_off(members: int) -> None:
    bomb = gzip.compress(b"\0" * (MOST // members + 1)) * members
    assert len(bomb) < 100_000
    with pytest.raises(ValueError, match="inflates beyond 16 MiB at once"):
        inflated(bomb)


def test_a_large_body_passes_in_pieces() -> None:
    packed = gzip.compress(b"\0" * (3 * MOST))
    size = len(packed) // 6
    assert len(inflated(*(packed[i : i + size] for i in range(0, len(packed), size)))) == 3 * MOST
