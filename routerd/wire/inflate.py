"""Undo a body's gzip or deflate while it arrives, without letting a compression bomb grow. Pure."""

from __future__ import annotations

import zlib

CODINGS = frozenset({b"gzip", b"x-gzip", b"deflate"})
"""The content codings (RFC 9110 8.4.1) that `Inflater` undoes. br and zstd are never asked for."""
MOST = 16 * 1024 * 1024
"""Bytes that one piece may inflate to: deflate's limit is about 1,000 to 1, and a read is at most 64 KiB or so."""

EITHER = 32 + zlib.MAX_WBITS
"""zlib's word for gzip or zlib, whichever the header says."""


class Inflater:
    """One compressed body; feed it in order."""

    __slots__ = ("_inflate",)

    def __init__(self) -> None:
        self._inflate = zlib.decompressobj(EITHER)

    def feed(self, data: bytes) -> bytes:
        """Return what `data` inflates to. Raises ValueError when it is damaged or beyond `MOST`."""
        out: list[bytes] = []
        room = MOST
        while data:
            try:
                out.append(self._inflate.decompress(data, room))
            except zlib.error as error:
                raise ValueError("the compressed answer is damaged") from error
            room -= len(out[-1])
            if self._inflate.unconsumed_tail or room <= 0:
                raise ValueError(f"the compressed answer inflates beyond {MOST >> 20} MiB at once")
            data = self._inflate.unused_data
            if self._inflate.eof:
                self._inflate = zlib.decompressobj(EITHER)  # gzip may go on with another member (RFC 1952 2.2)
        return b"".join(out)
