"""Providers with a model that calls tools: Anthropic, OpenAI and Gemini on one loopback port, each under its own path.

The model is told by a test which tools it wants. Where a request offers them, it calls them; where a request brings
their results, it repeats those; else it has nothing to do. What a vendor would refuse is refused, and kept.
"""

from __future__ import annotations

import json
import threading
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple, Self

from tests.e2e.agents_answers import VENDORS, Call, Said, Vendor
from tests.e2e.agents_laws import Json

LOOK = "Let me look."
SLOWER = "Slower, please."
IDLE = "There is nothing to do."
MOST = 20
"""Requests that no test comes near: an agent that asks on and on is told that it is wrong."""
DONE = "The tools said: "


class Seen(NamedTuple):
    """One request that a vendor got."""

    vendor: str
    path: str
    headers: dict[str, str]
    body: Json
    tools: list[str]
    results: list[str]
    faults: list[str]


class Vendors:
    """The three of them; `wanted` is what the model calls, `seen` what it was sent.

    So many of the next requests as `refusals` says come too soon.
    """

    def __init__(self) -> None:
        self.wanted: list[Call] = []
        self.times = 1
        self.refusals = 0
        self.seen: list[Seen] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Served, self))
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def url(self) -> str:
        """Where they are, without a path."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def asked(self, *calls: Call, times: int = 1) -> None:
        """Forget what was seen; want these calls, so many times one after another."""
        self.wanted, self.times, self.seen, self.refusals = list(calls), times, [], 0

    def said(self, seen: Seen) -> Said:
        """What the model says to it."""
        turn = VENDORS[seen.vendor].turns(seen.body)
        if self.wanted and turn < self.times and {call.tool for call in self.wanted} <= set(seen.tools):
            return Said(LOOK, self.wanted, turn)
        return Said(DONE + " | ".join(seen.results) if seen.results else IDLE, [])


class _Served(BaseHTTPRequestHandler):
    """One connection to them."""

    protocol_version = "HTTP/1.1"

    def __init__(self, vendors: Vendors, *connection: Any) -> None:
        self.vendors = vendors
        super().__init__(*connection)

    def log_message(self, *_: object) -> None:
        """Nothing is printed."""

    def do_GET(self) -> None:
        """Their models are those of the catalogue: none is listed."""
        self._whole(404, {"error": {"type": "not_found_error", "message": "not here"}})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        name = self.path.split("/")[1]
        vendor = VENDORS[name]
        seen = Seen(
            name,
            self.path,
            {key.lower(): value for key, value in self.headers.items()},
            body,
            vendor.tools(body),
            vendor.results(body),
            list(vendor.faults(body)),
        )
        self.vendors.seen.append(seen)
        if len(self.vendors.seen) > MOST:
            seen.faults.append("asked without end")
        self._answer(vendor, seen)

    def _answer(self, vendor: Vendor, seen: Seen) -> None:
        body = seen.body
        if self.vendors.refusals:
            self.vendors.refusals -= 1
            self._whole(429, {"error": {"type": "rate_limit_error", "message": SLOWER}}, retry_after=1)
        elif seen.faults:
            self._whole(400, {"error": {"type": "invalid_request_error", "message": "; ".join(seen.faults)}})
        elif body.get("stream") or "streamGenerateContent" in seen.path:
            self._stream(vendor, body, self.vendors.said(seen))
        else:
            self._whole(200, vendor.whole(body, self.vendors.said(seen)))

    def _whole(self, status: int, answer: Any, *, retry_after: int | None = None) -> None:
        data = json.dumps(answer).encode()
        self.send_response(status)
        if retry_after is not None:
            self.send_header("Retry-After", str(retry_after))
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _stream(self, vendor: Vendor, body: Json, said: Said) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for event in vendor.stream(body, said):
            self.wfile.write(b"%x\r\n%b\r\n" % (len(event), event))
        self.wfile.write(b"0\r\n\r\n")
