from __future__ import annotations

import json

from routerd.dialects.openai.error import ProviderError
from routerd.dialects.responses import face as responses

SEALED = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gAA"}
RESPONSE = {"id": "resp_1", "model": "m", "status": "completed", "output": [SEALED]}


def test_sealed_reasoning_is_named_after_its_vendor_in_a_stream_and_in_a_body() -> None:
    body = json.dumps(RESPONSE).encode()
    event = json.dumps({"type": "response.output_item.done", "output_index": 0, "item": SEALED}).encode()
    for data in (body, b"data: %b\n\n" % event):
        decoder = responses.decoder(format="xai-responses-v1")
        chunks = [*decoder.feed(data), *decoder.close()]
        details = [detail for chunk in chunks for detail in chunk["choices"][0]["delta"].get("reasoning_details", ())]
        assert [(detail["data"], detail["format"]) for detail in details] == [("gAA", "xai-responses-v1")]


def test_a_body_that_is_an_error_is_one() -> None:
    decoder = responses.decoder()
    assert [*decoder.feed(b'{"error":{"message":"no","code":"rate_limit_exceeded"}}'), *decoder.close()] == []
    assert isinstance(decoder.error, ProviderError)
    assert decoder.error.message == "no"
