"""Every dialect's stream: no bytes make a decoder, a tap or a translation raise, and no cut changes what is read."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import msgspec
from hypothesis import strategies as st

from bench.translate import DOORS, ORIGIN, STRAIGHT, STREAMS, face, nothing
from routerd.dialects.shape import Decoder
from routerd.dialects.translation import Translation
from tests.fuzz.soup import damaged, each, pieces, soup

LOOSE = (
    *(
        b"\n",
        b"\n\n",
        b"\r\n\r\n",
        b"data: ",
        b"data: [DONE]\n\n",
        b"event: error\n",
        b": ping\n\n",
        b"{",
        b"}",
        b"[",
        b"]",
    ),
    *(b"null", b"NaN", b"1e999", b'""', b'"\\ud83d"', b"-1", b'{"error":{"code":429,"message":"x"}}', b'{"error":"x"}'),
    b'data: {"type":"error","error":{"type":"overloaded_error","message":"x"}}\n\n',
)
WORDS = {
    name: tuple(dict.fromkeys([*begin, event, *LOOSE, *event.replace(b",", b",\0").split(b"\0")]))
    for name, (begin, event) in STREAMS.items()
}
"""By dialect: its own events whole and in their members, and what fits nowhere."""
BOM = b"\xef\xbb\xbf"
Example = tuple[str, bytes, list[int]]


@st.composite
def examples(draw: st.DrawFn) -> Example:
    """A dialect, a stream of it that is more or less whole, and the places where it is cut."""
    name = draw(st.sampled_from(sorted(STREAMS)))
    start = b"".join(STREAMS[name][0]) if draw(st.booleans()) else b""
    return name, start + draw(damaged(soup(WORDS[name]))), draw(st.lists(st.integers(0, 1 << 16), max_size=8))


EXAMPLES = examples()


def read(decoder: Decoder, stream: list[bytes]) -> tuple[Any, ...]:
    """What a decoder makes of a stream, as JSON: chunks are mended in place by whoever has them next."""
    chunks = [chunk for piece in stream for chunk in decoder.feed(piece)] + decoder.close()
    error = decoder.error and (decoder.error.status, decoder.error.message, decoder.error.code)
    return msgspec.json.encode(chunks), error, decoder.done


def law(name: str, data: bytes, cuts: list[int]) -> None:
    """One stream, cut once in these places and once not at all."""
    if BOM in data[1:]:
        return  # it can only stand at the start of a stream; elsewhere it is read or not, as the cuts fall
    dialect, cut = face(name), pieces(data, cuts)
    whole = read(dialect.decoder(), [data])
    parted = read(dialect.decoder(), cut)
    assert parted == whole, f"{name} read {parted} of {cut}, and {whole} of it whole"
    taps = [Translation(dialect.decoder(), face(door).encoder(ORIGIN), amend=nothing) for door in DOORS]
    for tap in (*taps, *(STRAIGHT[key]() for key in STRAIGHT if key == name.partition(" ")[0])):
        for piece in cut:
            tap.feed(piece)
        tap.close()


def check(example: Example) -> int:
    """A stream and its variants, all cut in the same places."""
    name, data, cuts = example
    return each(data, WORDS[name], lambda variant: law(name, variant, cuts))


@contextmanager
def opened() -> Iterator[Callable[[Example], int]]:
    """Needs nothing."""
    yield check
