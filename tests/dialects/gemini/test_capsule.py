from __future__ import annotations

import base64

import pytest
from google.genai import types

from routerd.dialects.gemini.capsule import BEGINNING, is_standin, packed, unpacked

DETAILS = [
    {"type": "reasoning.text", "text": "héllo", "signature": "s"},
    {"type": "reasoning.encrypted", "data": "?>~"},
]


def test_what_is_packed_comes_out_again() -> None:
    assert packed(DETAILS).startswith(BEGINNING)
    assert unpacked(packed(DETAILS)) == DETAILS


def test_an_sdk_that_decodes_and_encodes_it_changes_nothing() -> None:
    part = types.Part.model_validate({"text": "", "thoughtSignature": packed(DETAILS)})
    again = part.model_dump(mode="json", by_alias=True, exclude_none=True)["thoughtSignature"]
    assert unpacked(again) == DETAILS
    assert unpacked(again.replace("+", "-").replace("/", "_").rstrip("=")) == DETAILS


@pytest.mark.parametrize("signature", ["", "Cv4BAdHtim8", "skip_thought_signature_validator"])
def test_other_signatures_are_googles(signature: str) -> None:
    assert unpacked(signature) is None


@pytest.mark.parametrize("rest", ["", "e30=", "!!!!", "W10", "bm90IGpzb24="])
def test_a_broken_capsule_holds_nothing(rest: str) -> None:
    assert unpacked(BEGINNING + rest) == []


def test_standins_are_known_as_such() -> None:
    assert is_standin("skip_thought_signature_validator")
    assert is_standin(base64.b64encode(b"skip_thought_signature_validator").decode())
    assert not is_standin("Cv4BAdHtim8")
    assert not is_standin("")
