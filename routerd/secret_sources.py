"""The places a provider's key may come from, as the configuration names them. Text in, values out; nothing is read.

    keyring:SERVICE/NAME    the operating system's keyring
    credential:NAME         a systemd credential ($CREDENTIALS_DIRECTORY/NAME)
    env:NAME                an environment variable
    file:PATH               a file that only its owner may read
    command:PROG ARG ARG    what a program prints; also `{ command = ["op", "read", "..."], timeout = "10s" }`
    none                    the provider wants no key

No message of this module repeats what it was given: a key that was pasted in place of a source must not reach a log.
"""

from __future__ import annotations

import difflib
import re
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

SERVICE = "routerd"
"""The keyring service under which `routerd secret set` stores a provider's key."""

COMMAND_TIMEOUT = 10.0
"""Seconds that a command has, unless it says otherwise."""

FORMS = "keyring:SERVICE/NAME, credential:NAME, env:NAME, file:PATH, command:PROG ARG, or none"

_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m)")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0}
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class FromKeyring(msgspec.Struct, frozen=True, tag="keyring"):
    """An entry of the operating system's keyring."""

    service: str
    name: str

    def __str__(self) -> str:
        """As the configuration writes it."""
        return f"keyring:{self.service}/{self.name}"


class FromCredential(msgspec.Struct, frozen=True, tag="credential"):
    """A systemd credential; https://systemd.io/CREDENTIALS/ allows any plain file name."""

    name: str

    def __str__(self) -> str:
        """As the configuration writes it."""
        return f"credential:{self.name}"


class FromEnvironment(msgspec.Struct, frozen=True, tag="env"):
    """An environment variable."""

    name: str

    def __str__(self) -> str:
        """As the configuration writes it."""
        return f"env:{self.name}"


class FromFile(msgspec.Struct, frozen=True, tag="file"):
    """A file of one line, readable by its owner alone."""

    path: str

    def __str__(self) -> str:
        """As the configuration writes it."""
        return f"file:{self.path}"


class FromCommand(msgspec.Struct, frozen=True, tag="command"):
    """The first line that a program prints. It runs without a shell and has `timeout` seconds."""

    argv: tuple[str, ...]
    timeout: float = COMMAND_TIMEOUT

    def __str__(self) -> str:
        """The program alone: arguments may hold a token of the vault's own."""
        return f"command:{self.argv[0]}"


class NoKey(msgspec.Struct, frozen=True, tag="none"):
    """The provider wants no key."""

    def __str__(self) -> str:
        """As the configuration writes it."""
        return "none"


Source = FromKeyring | FromCredential | FromEnvironment | FromFile | FromCommand | NoKey


class DefaultChain(msgspec.Struct, frozen=True, tag="default"):
    """Where a key is looked for when the configuration does not say: the first source that answers wins."""

    provider: str
    sources: tuple[Source, ...]

    def __str__(self) -> str:
        """All of them, in order."""
        return " or ".join(str(source) for source in self.sources)


def default_sources(provider_name: str, env_names: Sequence[str] = ()) -> DefaultChain:
    """The chain of a provider without `key`: keyring:routerd/NAME, credential:NAME, then each usual variable."""
    chain: list[Source] = [FromKeyring(SERVICE, provider_name), FromCredential(provider_name)]
    chain += [FromEnvironment(name) for name in env_names]
    return DefaultChain(provider_name, tuple(chain))


def parse(value: object) -> tuple[Source, ...]:
    """The sources that a `key` of the configuration names: text, a command's table, or a list of those (a key pool).

    A `file:` path stays as it was written. ValueError says what is wrong, in words for the user.
    """
    items = value if isinstance(value, list | tuple) else [value]
    if not items:
        raise ValueError('the list is empty; write "none" for a provider that wants no key')
    sources = tuple(_one(item) for item in items)
    if len(sources) > 1 and NoKey() in sources:
        raise ValueError('"none" cannot stand beside other sources')
    twice = next((source for place, source in enumerate(sources) if source in sources[:place]), None)
    if twice is not None:
        raise ValueError(f"{twice} is listed twice")
    return sources


def _one(item: object) -> Source:
    """One source from its text or table."""
    if isinstance(item, Mapping):
        return _command_table(item)
    if not isinstance(item, str):
        raise ValueError(f"expected text such as {FORMS}")  # noqa: TRY004  # the caller reports ValueError alone
    if item == "none":
        return NoKey()
    scheme, colon, rest = item.partition(":")
    if not colon or scheme not in _SCHEMES:
        raise ValueError(_not_a_source(scheme if colon else ""))
    if not rest.strip():
        raise ValueError(f'"{scheme}:" names nothing; write {FORMS}')
    return _SCHEMES[scheme](rest)


def _not_a_source(scheme: str) -> str:
    """Why a text is no source, without repeating the text: it may be a key."""
    close = difflib.get_close_matches(scheme.strip().lower(), _SCHEMES, n=1)
    if close:
        return f'not a source of a key; did you mean "{close[0]}:"?'
    return (
        f"not a source of a key; write {FORMS}. A key itself does not belong in this file: "
        "`routerd secret set PROVIDER` puts it into the keyring"
    )


def _keyring(rest: str) -> Source:
    service, slash, name = rest.partition("/")
    if not slash or not service or not name:
        raise ValueError(f'a keyring entry is SERVICE/NAME, for example "keyring:{SERVICE}/openai"')
    return FromKeyring(service, name)


def _credential(rest: str) -> Source:
    if "/" in rest or rest in {".", ".."} or "\0" in rest:
        raise ValueError("a credential has a plain file name, without a slash")
    return FromCredential(rest)


def _environment(rest: str) -> Source:
    if not _VARIABLE.fullmatch(rest):
        raise ValueError('"env:" wants the name of a variable, for example "env:OPENAI_API_KEY"')
    return FromEnvironment(rest)


def _file(rest: str) -> Source:
    if "\0" in rest:
        raise ValueError("a path holds no NUL character")
    return FromFile(rest)


def _command(rest: str) -> Source:
    if rest.lstrip().startswith("["):
        try:
            return _argv(msgspec.json.decode(rest), COMMAND_TIMEOUT)
        except msgspec.DecodeError:
            raise ValueError('the list after "command:" is not closed or not quoted like ["op", "read"]') from None
    return _argv(_words(rest), COMMAND_TIMEOUT)


_SCHEMES = {
    "keyring": _keyring,
    "credential": _credential,
    "env": _environment,
    "file": _file,
    "command": _command,
}


def _command_table(table: Mapping[Any, Any]) -> Source:
    """A command from `{ command = [...], timeout = "10s" }`."""
    unknown = sorted(str(key) for key in table if key not in {"command", "timeout"})
    if unknown:
        raise ValueError(f'unknown key "{unknown[0]}" beside command; only timeout may stand there')
    if "command" not in table:
        raise ValueError('a table wants command, for example { command = ["op", "read", "op://vault/openai/key"] }')
    command = table["command"]
    argv = _words(command) if isinstance(command, str) else command
    return _argv(argv, _timeout(table.get("timeout", COMMAND_TIMEOUT)))


def _words(text: str) -> list[str]:
    """The words of a command line, as a shell would split it."""
    try:
        return shlex.split(text)
    except ValueError as error:
        raise ValueError(f"the command cannot be split into words: {error}") from None


def _argv(words: object, timeout: float) -> Source:
    """A command from its words."""
    if not isinstance(words, list | tuple) or not words or not all(isinstance(word, str) for word in words):
        raise ValueError('a command is a list of texts, the program first, for example ["op", "read", "..."]')
    if not words[0] or any("\0" in word for word in words):
        raise ValueError("a command's program has a name, and its words hold no NUL character")
    return FromCommand(tuple(words), timeout)


def _timeout(value: object) -> float:
    """Seconds from "10s", "500ms", "1m"."""
    match = _DURATION.fullmatch(value) if isinstance(value, str) else None
    if match is not None:
        seconds = float(match[1]) * _SECONDS[match[2]]
    elif isinstance(value, int | float) and not isinstance(value, bool):
        seconds = float(value)
    else:
        raise ValueError('a timeout is a duration such as "10s"')
    if not 0 < seconds <= 600:
        raise ValueError("a command's timeout is more than 0 and at most 10 minutes")
    return seconds
