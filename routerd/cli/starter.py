"""The configuration that `routerd init` writes: values in, commented TOML out."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from routerd.config import known
from routerd.config.schema import Provider

LISTEN = "127.0.0.1:8484"

_HEAD = f"""\
# routerd's configuration, begun by `routerd init`. docs/config.md describes every key, `routerd check` names every
# fault, `routerd reload` makes a running daemon read it again. It holds no secret.

[server]
listen = ["{LISTEN}"]          # host:port, "[::1]:8484" or "unix:/path"; several are allowed
"""

_SIMULATOR = """
# A provider that is made up inside routerd: it costs nothing, wants no key and no network. Clients ask for "demo".
[providers.simulator]
dialect = "simulator"

[models.demo]
models = ["simulator/demo"]
"""

_FIRST = """
# A provider that routerd knows needs no more than its name; `routerd secret set openai` stores its key.
# [providers.openai]
"""

_LAB = """
# Any other server that speaks OpenAI's API:
# [providers.lab]
# base_url = "http://127.0.0.1:8000/v1"
# key = "none"                      # or keyring:SERVICE/NAME, credential:NAME, env:NAME, file:PATH, command:PROG ARG
# any_model = true                  # pass on every model name that is asked for as lab/NAME
"""

_FAST = """
# A name of your own for one model, with others to fall back on. Clients ask for "fast":
# [models.fast]
# models = ["{first}/MODEL", "{second}/MODEL"]
"""


class Chosen(msgspec.Struct, frozen=True, kw_only=True):
    """A provider that goes into the file: its catalogue slug, where its key is, and a comment that says what it is."""

    slug: str
    source: str
    comment: str


def text(chosen: Sequence[Chosen], *, simulator: bool) -> str:
    """The file. With `simulator` it has the built-in provider too."""
    tables = [_table(provider) for provider in chosen]
    slugs = [provider.slug for provider in chosen if not _places(provider)]
    first, second = (*slugs, *(name for name in ("openai", "groq") if name not in slugs))[:2]
    builtin = _SIMULATOR if simulator else ""
    return "".join([_HEAD, *(tables or [_FIRST]), builtin, _LAB, _FAST.format(first=first, second=second)])


def _table(provider: Chosen) -> str:
    """The provider's table; commented out where its address wants something that only the user knows."""
    lines = [f"[providers.{provider.slug}]", f'key = "{provider.source}"']
    if places := _places(provider):
        lines = [f"# {line}" for line in (*lines, *(f'{place} = "..."' for place in places))]
        lines.insert(0, "# It is reached at an address of your own:")
    return "\n".join(["", f"# {provider.comment}", *lines, ""])


def _places(provider: Chosen) -> tuple[str, ...]:
    return known.unfilled(provider.slug, Provider())
