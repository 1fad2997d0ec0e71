"""What a reload says that it changed."""

from __future__ import annotations

from routerd.config.differences import differences, issued
from routerd.config.load import parse

BEFORE = """
[providers.one]
base_url = "http://127.0.0.1:1/v1"
[providers.two]
base_url = "http://127.0.0.1:2/v1"
[models.fast]
models = ["one/m"]
[providers.one.models.m]
"""


def changed(before: str, after: str) -> list[str]:
    return differences(parse(before).config, parse(after).config)


def test_the_same_file_is_no_change() -> None:
    assert changed(BEFORE, BEFORE + "# a comment\n") == []


def test_what_is_new_gone_and_different_is_named() -> None:
    after = BEFORE.replace("127.0.0.1:1", "127.0.0.1:9").replace("providers.two", "providers.three")
    assert changed(BEFORE, after) == ["providers.three: added", "providers.two: removed", "providers.one: changed"]


def test_sections_are_named_whole_and_first() -> None:
    after = '[server]\nmax_body = "1MiB"\n[auth]\nmode = "open"\n'
    after += '[spend_log]\nfsync = "always"\n[routing]\ncooldown = "1s"\n'
    after += BEFORE.replace('models = ["one/m"]', 'models = ["m"]')
    assert changed(BEFORE, after) == [
        "server: changed",
        "auth: changed",
        "spend_log: changed",
        "routing: changed",
        "models.fast: changed",
    ]


def test_a_default_that_is_written_out_is_no_change() -> None:
    assert changed("", '[auth]\nmode = "key"\n') == []


def test_keys_are_named_wherever_they_were_made() -> None:
    before = {"laptop": None, "ci": "dev", "old": None}
    assert issued(before, {"laptop": None, "ci": "prod", "new": None}) == [
        "keys.new: added",
        "keys.old: removed",
        "keys.ci: changed",
    ]
    assert issued(before, before) == []
