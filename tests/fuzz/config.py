"""The loader of the configuration: any file is a configuration, or a ConfigError whose faults name file and line."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from hypothesis import strategies as st

from routerd.config import runtime
from routerd.config.load import load
from routerd.errors import ConfigError
from routerd.server import destinations
from tests.fuzz.soup import damaged, each, soup

ROOT = Path(__file__).resolve().parents[2]
SAMPLE = (ROOT / "routerd.example.toml").read_text()
LINES = tuple(line.partition("  #")[0].strip("# ") for line in SAMPLE.splitlines() if "=" in line or "[" in line)
KEYS = tuple(sorted(set(re.findall(r"^#? ?([a-z_]+) =", SAMPLE, re.MULTILINE))))
VALUES = (
    *('""', '"x"', "''", '"""\n"""', '"\\u0000"', '"\\n"', '"none"', '"5s"', '"-1h"', '"64MiB"', '"9e9TiB"', "true"),
    *("0", "-1", "1e400", "-nan", "inf", "1_0", "0x1F", "9" * 400, "0.1", "1979-05-27", "07:32:00", "[]", "[[]]", "{}"),
    *('["a", 1]', '["lab/m", "lab/m"]', '{ prompt = 1, completion = "2" }', "{ a = { b = 1 } }", '{ "" = "" }'),
    *(
        '"http://"',
        '"http://[::1"',
        '"http://u:p@h:99999/v1"',
        '"https://h/v1?q#f"',
        '"http://\\u2603/v1"',
        '"[::1]:0"',
    ),
    *('"unix:"', '"unix:/x"', '"127.0.0.1:"', '"keyring:a/b"', '"env:"', '"command:\\""', '{ command = ["a"] }'),
    *('["none", "env:X"]', '"file:\\u0000"', '"sha256:00"', f'"sha256:{"0" * 64}"', '"a/b/c"', '"always"', '"50 %"'),
)
TABLES: tuple[str, ...] = (
    "server",
    "auth",
    "providers.lab",
    "providers.openai",
    "providers.lab.timeout",
    "providers.lab.models.m",
)
TABLES += ("providers.lab.models.m.price", "models.fast", "keys.k", "spend_log", "routing", "nonsense", "providers.''")

_LINE = st.one_of(
    st.sampled_from(LINES),
    st.builds("{} = {}".format, st.sampled_from((*KEYS, "wieght", '"a.b"', "a.b", "")), st.sampled_from(VALUES)),
    st.sampled_from(TABLES).map("[{}]".format),
    st.sampled_from(TABLES).map("[[{}]]".format),
)
_TEXT = st.lists(_LINE, max_size=16).map(lambda lines: "\n".join(lines).encode())
WORDS = tuple(word.encode() for word in (*(f"\n{line}\n" for line in LINES), *VALUES, *KEYS, " = ", "[", "]", "#", "."))
EXAMPLES = st.one_of(damaged(_TEXT), damaged(_TEXT, most=0), soup(WORDS))


def told(error: ConfigError, path: Path) -> None:
    """Each fault is one line that begins with its place."""
    assert error.faults
    for fault in error.faults:
        assert re.match(re.escape(str(path)) + r"(:\d+)?(:\d+)?: \S", fault), fault
        assert fault.isprintable(), fault


@contextmanager
def opened() -> Iterator[Callable[[bytes], int]]:
    """A file to write the examples to."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "routerd.toml"

        def law(example: bytes) -> None:
            path.write_bytes(example)
            try:
                config = load(path).config
            except ConfigError as error:
                told(error, path)
                return
            try:
                destinations.build(runtime.offline(config), simulator="http://127.0.0.1:1", environ={})
            except ConfigError as error:
                raise AssertionError("a file that loads cannot be served") from error

        yield lambda example: each(example, WORDS, law)
