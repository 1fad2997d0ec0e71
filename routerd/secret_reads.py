"""Keys from the environment, files and programs. Every read answers with an `Outcome` and raises nothing."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import stat

from routerd.keys import PREFIX
from routerd.secret_sources import FromCommand, FromCredential, FromEnvironment, FromFile
from routerd.secret_values import MAX_BYTES, Outcome, Unanswered, clean

CLIENT_VARIABLES = frozenset({"OPENAI_API_KEY", "ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", "OPENROUTER_API_KEY"})
"""Variables that clients of routerd read: in their shell they hold a key of routerd, not the provider's."""


def from_environment(source: FromEnvironment) -> Outcome:
    """An environment variable; an empty one counts as not set."""
    value = os.environb.get(os.fsencode(source.name), b"")
    if not value.strip():
        return Unanswered("is not set", absent=True)
    if source.name in CLIENT_VARIABLES and value.strip().startswith(PREFIX.encode()):
        return Unanswered("holds a key of routerd for its clients here, not the provider's", absent=True)
    return clean(value, str(source))


def from_file(source: FromFile) -> Outcome:
    """The one line of a file that belongs to this user and that nobody else can read."""
    return _from_path(source.path, str(source), private=True)


def from_credential(source: FromCredential) -> Outcome:
    """A systemd credential. systemd owns its directory and sets the modes: https://systemd.io/CREDENTIALS/."""
    directory = os.environ.get("CREDENTIALS_DIRECTORY")
    if not directory:
        return Unanswered("is not there ($CREDENTIALS_DIRECTORY is not set)", absent=True)
    return _from_path(f"{directory}/{source.name}", str(source), private=False)


async def from_command(source: FromCommand) -> Outcome:
    """What a program prints. It has no terminal and no shell; it and its children are killed when its time is over."""
    pipe = asyncio.subprocess.PIPE
    try:
        process = await asyncio.create_subprocess_exec(
            *source.argv, stdin=asyncio.subprocess.DEVNULL, stdout=pipe, stderr=pipe, start_new_session=True
        )
    except OSError as error:
        return Unanswered(f"cannot be run: {error.strerror}")
    assert process.stdout is not None  # noqa: S101  # both are pipes, see above
    assert process.stderr is not None  # noqa: S101
    try:
        async with asyncio.timeout(source.timeout):
            out, err = await asyncio.gather(_read_some(process.stdout), _read_some(process.stderr))
            code = await process.wait()
    except TimeoutError:
        return Unanswered(f"did not answer within {source.timeout:g} s")
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()
    if code != 0:
        lines = err.decode("utf-8", "replace").strip().splitlines()
        said = "".join(c for c in lines[-1] if c.isprintable())[:200] if lines else "and said nothing"
        return Unanswered(f"ended with status {code}: {said}")
    return clean(out, str(source))


async def _read_some(stream: asyncio.StreamReader) -> bytes:
    """What a program writes, to its end; what is longer than any key is read but not kept."""
    data = bytearray()
    while chunk := await stream.read(MAX_BYTES):
        data += chunk[: MAX_BYTES + 1 - len(data)]
    return bytes(data)


def _from_path(path: str, label: str, *, private: bool) -> Outcome:
    """The one line of a file; if `private`, only of a file that nobody else can read."""
    try:
        # Not blocking: a FIFO must not hold the start; what was opened is what is judged.
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError:
        return Unanswered("does not exist", absent=True)
    except OSError as error:
        return Unanswered(f"cannot be opened: {error.strerror}")
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            return Unanswered("is not a regular file")
        if private and status.st_uid != os.geteuid():
            return Unanswered(f"belongs to another user; run: chown {os.geteuid()} {path} && chmod 600 {path}")
        if private and stat.S_IMODE(status.st_mode) & 0o077:
            return Unanswered(f"can be read by others; run: chmod 600 {path}")
        return clean(os.read(descriptor, MAX_BYTES + 1), label)
    except OSError as error:
        return Unanswered(f"cannot be read: {error.strerror}")
    finally:
        os.close(descriptor)
