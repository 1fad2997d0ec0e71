"""Inputs that are nearly right: words of a language in any order, then a few bytes of them changed."""

from __future__ import annotations

import random
import zlib
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise

from hypothesis import strategies as st

ODD = (b"\x00", b"\xff", b"\xed\xa0\x80", b"\xef\xbb\xbf", b"\r", b"\n", b'"', b"\\", b"{", b"[" * 2000, b"9" * 5000)
"""What breaks parsers: half characters, ends of lines, quotes, depth, length."""


def soup(words: Sequence[bytes], *, most: int = 24) -> st.SearchStrategy[bytes]:
    """Words one after the other, now and then something else between them."""
    word = st.one_of(st.sampled_from(words), st.sampled_from(words), st.sampled_from(ODD), st.binary(max_size=8))
    return st.lists(word, max_size=most).map(b"".join)


@st.composite
def damaged(draw: st.DrawFn, whole: st.SearchStrategy[bytes], *, most: int = 3) -> bytes:
    """The input with up to `most` of its stretches cut out, doubled or replaced; often as it is."""
    data = draw(whole)
    for _ in range(draw(st.integers(0, most))):
        start = draw(st.integers(0, len(data)))
        end = min(len(data), start + draw(st.integers(0, 12)))
        middle = draw(
            st.one_of(st.just(b""), st.just(data[start:end] * 2), st.sampled_from(ODD), st.binary(max_size=4))
        )
        data = data[:start] + middle + data[end:]
    return data


def pieces(data: bytes, cuts: Sequence[int]) -> list[bytes]:
    """The data cut at these places, as reads of a socket would bring it."""
    places = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    return [data[start:end] for start, end in pairwise(places)]


VARIANTS = 40
"""Cheap changes tried of each example: hypothesis knows where to look, and takes milliseconds to say so."""


def variants(data: bytes, words: Sequence[bytes]) -> Iterator[bytes]:
    """The input and what a few changes make of it; the same ones whenever it comes again."""
    chance = random.Random(zlib.crc32(data))
    yield data
    for _ in range(VARIANTS):
        changed = bytearray(data)
        for _ in range(chance.randint(1, 4)):
            start = chance.randint(0, len(changed))
            end = min(len(changed), start + chance.choice((0, 0, 1, 1, 4, 30)))
            kind = chance.randrange(4)
            if kind == 0:
                changed[start:end] = chance.choice(words)
            elif kind == 1:
                changed[start:end] = chance.choice(ODD)
            elif kind == 2:
                changed[start:start] = changed[start:end] * chance.randint(1, 3)
            else:
                changed[start:end] = chance.randbytes(chance.randint(0, 3))
        yield bytes(changed)


def each(data: bytes, words: Sequence[bytes], law: Callable[[bytes], None]) -> int:
    """Hold a law against the input and its variants; how many there were. A failure notes the input that made it."""
    count = 0
    for variant in variants(data, words):
        count += 1
        try:
            law(variant)
        except Exception as error:
            error.add_note(f"the input was {variant!r}")
            raise
    return count
