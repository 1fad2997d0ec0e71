"""The service managers: where each keeps a service's file, the commands it takes, and what it says of a service."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from routerd.cli import units
from routerd.errors import RouterdError

PATIENCE = 150.0
"""Seconds for one command. Starting waits until the daemon is ready, which systemd allows 90 s."""
UNIT = "routerd.service"


class Unreachable(RouterdError):
    """There is no service manager here that would take a command."""


class NoUserManager(Unreachable):
    """systemd runs, but this user has no manager of its own to talk to."""

    hint = (
        "log in as the user itself, not through su or sudo; `loginctl enable-linger USER` starts the manager without a "
        "login; for a server there is `routerd service install --system`"
    )


class Refused(RouterdError):
    """The service manager did not do what it was told."""


class Standing(NamedTuple):
    """How a service stands with its manager."""

    file: str | None
    enabled: bool
    running: bool
    pid: int | None
    detail: str


class Systemd:
    """systemd: a user's own manager, or with `system` the machine's."""

    leftovers: tuple[Path, ...] = ()
    """Files beside the service's own that go with it."""

    def __init__(self, *, system: bool) -> None:
        self.system = system
        folder = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "systemd" / "user"
        self.path = (Path("/etc/systemd/system") if system else folder) / UNIT
        self._systemctl = ["systemctl"] if system else ["systemctl", "--user"]
        self._journal = ["journalctl", "--unit" if system else "--user-unit", "routerd"]
        self.log_command = " ".join([*self._journal, "-f"])

    def text(self, command: Sequence[str], environment: Mapping[str, str], credentials: Sequence[str]) -> str:
        """The service's file. ValueError for a path that cannot be written into it."""
        line = units.command_line(command)
        return units.system(line, credentials, environment) if self.system else units.user(line, environment)

    def steps(self) -> list[list[str]]:
        """The commands that put a new or changed file in force, and start the service now and from now on."""
        return [
            [*self._systemctl, "daemon-reload"],
            [*self._systemctl, "enable", UNIT],
            [*self._systemctl, "restart", UNIT],
        ]

    def reach(self) -> None:
        """Raise Unreachable where commands cannot be given."""
        done = call([*self._systemctl, "show", "--property=Version"])
        if done.returncode == 0:
            return
        why = done.stderr.strip().splitlines()
        reason = f" ({why[0]})" if why else ""
        if self.system:
            raise Unreachable(f"systemd cannot be reached{reason}")
        raise NoUserManager(f"systemd's manager for this user cannot be reached{reason}")

    def standing(self) -> Standing:
        """How the service stands."""
        names = ("LoadState", "ActiveState", "UnitFileState", "MainPID", "FragmentPath", "StatusText")
        done = call([*self._systemctl, "show", UNIT, *(f"--property={name}" for name in names)])
        told = dict(line.split("=", 1) for line in done.stdout.splitlines() if "=" in line)
        state = told.get("ActiveState", "unknown")
        text = told.get("StatusText", "")
        return Standing(
            file=told.get("FragmentPath") or None,
            enabled=told.get("UnitFileState") == "enabled",
            running=state in {"active", "reloading"},
            pid=int(told.get("MainPID") or 0) or None,
            detail=f"{state}: {text}" if text else state,
        )

    def why_not(self) -> str:
        """The last lines of the log, for after a start that failed."""
        return call([*self._journal, "-n", "8", "--no-pager", "-o", "cat"]).stdout.strip()

    def remove(self) -> None:
        """Stop the service, take back what `steps` did, delete the file."""
        # What is not loaded any more cannot be stopped or disabled, which is what was wanted.
        call([*self._systemctl, "disable", "--now", UNIT])
        self.path.unlink(missing_ok=True)
        check([*self._systemctl, "daemon-reload"])
        call([*self._systemctl, "reset-failed", UNIT])


class Launchd:
    """launchd: an agent in the user's session, or with `system` a daemon. From launchctl(1); not tried on a Mac yet."""

    def __init__(self, *, system: bool) -> None:
        self.system = system
        home = Path("/Library") if system else Path.home() / "Library"
        self.path = home / ("LaunchDaemons" if system else "LaunchAgents") / f"{units.LABEL}.plist"
        self._log = home / "Logs" / "routerd.log"
        self.leftovers = (self._log,)
        self._domain = "system" if system else f"gui/{os.getuid()}"
        self._service = f"{self._domain}/{units.LABEL}"
        self.log_command = f"tail -f {self._log}"

    def text(self, command: Sequence[str], environment: Mapping[str, str], credentials: Sequence[str]) -> str:  # noqa: ARG002  # systemd's alone
        """The service's file. ValueError for a path that cannot be written into it."""
        return units.plist(command, log=str(self._log), environment=environment)

    def steps(self) -> list[list[str]]:
        """The commands that put a new or changed file in force, and start the service now and from now on."""
        loaded = call(["launchctl", "print", self._service]).returncode == 0
        leave = [["launchctl", "bootout", self._service]] if loaded else []
        return [
            *leave,
            ["launchctl", "enable", self._service],
            ["launchctl", "bootstrap", self._domain, str(self.path)],
        ]

    def reach(self) -> None:
        """Raise Unreachable where commands cannot be given."""
        if call(["launchctl", "print", self._domain]).returncode != 0:
            raise Unreachable(f"launchd's domain {self._domain} cannot be reached: log in at the screen as this user")

    def standing(self) -> Standing:
        """How the service stands."""
        done = call(["launchctl", "print", self._service])
        told = {
            name.strip(): value.strip() for name, _, value in (line.partition("=") for line in done.stdout.splitlines())
        }
        pid = told.get("pid", "")
        return Standing(
            file=str(self.path) if self.path.exists() else None,
            enabled=done.returncode == 0,
            running=told.get("state") == "running",
            pid=int(pid) if pid.isdigit() else None,
            detail=told.get("state", "not loaded"),
        )

    def why_not(self) -> str:
        """The last lines of the log, for after a start that failed."""
        try:
            return "\n".join(self._log.read_text(errors="replace").splitlines()[-8:])
        except OSError:
            return ""

    def remove(self) -> None:
        """Stop the service, take back what `steps` did, delete the file."""
        call(["launchctl", "bootout", self._service])
        self.path.unlink(missing_ok=True)


Manager = Systemd | Launchd
"""Both have the same members."""


def here(*, system: bool) -> Manager:
    """This platform's service manager; Unreachable where routerd knows none."""
    if sys.platform == "darwin":
        return Launchd(system=system)
    if sys.platform == "linux":
        return Systemd(system=system)
    raise Unreachable(f"routerd knows no service manager on {sys.platform}: let yours start `routerd run`")


def check(command: Sequence[str]) -> None:
    """Run a command; Refused with what it printed where it fails."""
    done = call(command)
    if done.returncode != 0:
        said = (done.stderr.strip() or done.stdout.strip() or f"exit code {done.returncode}").splitlines()[0]
        raise Refused(f"`{' '.join(command)}` failed: {said}")


def call(command: Sequence[str]) -> subprocess.CompletedProcess[str]:
    """Run a command of the service manager's; Unreachable where there is no such command."""
    try:
        return subprocess.run(  # noqa: S603  # fixed words and paths of our own
            command, capture_output=True, text=True, check=False, timeout=PATIENCE, stdin=subprocess.DEVNULL
        )
    except FileNotFoundError as error:
        raise Unreachable(f"there is no `{command[0]}` here; `routerd run` needs no service manager") from error
    except subprocess.TimeoutExpired as error:
        raise Refused(f"`{' '.join(command)}` did not end within {PATIENCE:g} s") from error
