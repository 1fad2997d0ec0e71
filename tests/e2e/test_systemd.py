"""A real systemd: start, reload, hang, restart, drain, and the hardened unit as it is shipped."""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
import shutil
import sys
import sysconfig
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.e2e.client import MESSAGES, Answer, answered, asked
from tests.e2e.daemon import KEY, provider
from tests.e2e.process import ROOT, fetch, free_port
from tests.e2e.test_reload import EVENTS, STREAMS, Load, script, tables
from tests.upstream import Upstream, completion, json_answer

RECIPE = ROOT.parent / "shared" / "recipes" / "systemd.sh"
UNITS = ROOT / "contrib" / "systemd"
MOST_EXPOSED = 2.0
"""`systemd-analyze security` counts from 0, locked in, to 10."""
STREAMED = {"model": "m", "messages": MESSAGES, "stream": True}

pytestmark = [
    pytest.mark.timeout(180),
    pytest.mark.skipif(not RECIPE.exists(), reason="needs shared/ beside the project: the recipe is not part of it"),
    pytest.mark.skipif(sys.platform != "linux" or os.geteuid() != 0, reason="needs root: systemd runs as process 1"),
    pytest.mark.skipif(shutil.which("systemctl") is None, reason="needs Debian's systemd"),
]


def unit(folder: Path, port: int, tables: str, *, server: str = "", service: str = "") -> Path:
    """A folder with routerd.service for this checkout; `server` and `service` are more lines of those sections."""
    units = folder / "units"
    units.mkdir()
    config = folder / "routerd.toml"
    digest = hashlib.sha256(KEY.encode()).hexdigest()
    config.write_text(
        f'[server]\nlisten = ["127.0.0.1:{port}"]\n{server}\n[keys.test]\nhash = "sha256:{digest}"\n{tables}'
    )
    text = (UNITS / "routerd.service").read_text()
    command = f"ExecStart={sys.executable} -m routerd run --config {config}"
    text = re.sub(r"^ExecStart=.*$", command, text, flags=re.MULTILINE)
    more = f"Environment=PYTHONPATH={ROOT}\nEnvironment=STATE_DIRECTORY=/run/routerd-state\n{service}\n"
    (units / "routerd.service").write_text(text.replace("[Install]", f"{more}\n[Install]"))
    return units


class Machine:
    """systemd with a shell script running in it. What the script prints is read line by line."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.lines: list[str] = []

    async def line(self, wanted: str) -> str:
        """The next line that begins so; AssertionError with all that was printed if the script ends before."""
        assert self._process.stdout is not None
        async for raw in self._process.stdout:
            self.lines.append(raw.decode(errors="replace").rstrip())
            if self.lines[-1].startswith(wanted):
                return self.lines[-1].removeprefix(wanted).strip()
        raise AssertionError(f"the script ended without {wanted!r}:\n" + "\n".join(self.lines))

    async def end(self) -> str:
        """Wait for the script's end: everything it printed."""
        assert self._process.stdout is not None
        rest = await self._process.stdout.read()
        assert await self._process.wait() == 0, "\n".join(self.lines) + rest.decode(errors="replace")
        return "\n".join([*self.lines, rest.decode(errors="replace")])


@asynccontextmanager
async def machine(units: Path, script: str) -> AsyncIterator[Machine]:
    """Boot systemd with these units and run the script in it. The network is the tests' own."""
    process = await asyncio.create_subprocess_exec(
        "bash",
        str(RECIPE),
        str(units),
        "bash",
        "-euc",
        script,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        yield Machine(process)
    finally:
        if process.returncode is None:
            # Not killed: the recipe takes the whole machine down when its command ends.
            await asyncio.wait_for(process.communicate(), 60)


async def test_the_watchdog_restarts_a_daemon_that_hangs_and_its_log_says_where(tmp_path: Path) -> None:
    port = free_port()
    units = unit(tmp_path, port, provider("lab", "http://127.0.0.1:9/v1", "m"), service="WatchdogSec=2s")
    hang = f"""
        systemctl start routerd
        before=$(systemctl show routerd -P MainPID)
        kill -STOP $before
        until curl -fs -m 1 -o /dev/null http://127.0.0.1:{port}/readyz; do sleep 0.1; done
        test $(systemctl show routerd -P MainPID) != $before
        echo restarts: $(systemctl show routerd -P NRestarts)
        journalctl -u routerd -o cat --no-pager
    """
    async with machine(units, hang) as booted:
        assert await booted.line("restarts:") == "1"
        log = await booted.end()
    assert "Fatal Python error: Aborted" in log
    assert "routerd/daemon.py" in log


async def test_a_hundred_reloads_under_load_fail_no_request(tmp_path: Path, figure: Callable[[str], None]) -> None:
    port = free_port()
    async with Upstream(script) as upstream:
        units = unit(tmp_path, port, tables(upstream, 0))
        reloads = """
            systemctl start routerd
            echo started:
            sleep 2
            for _ in $(seq 100); do systemctl reload routerd; sleep 0.05; done
            echo reloaded:
            sleep 1
            echo state: $(systemctl show routerd -P ActiveState) $(systemctl show routerd -P NRestarts)
            systemctl stop routerd
            journalctl -u routerd -o cat --no-pager
        """
        async with machine(units, reloads) as booted:
            await booted.line("started:")
            load = Load(port)
            async with asyncio.TaskGroup() as group:
                group.create_task(load.requests_at_a_rate())
                for _ in range(STREAMS):
                    group.create_task(load.streams_one_after_the_other())
                began = asyncio.get_running_loop().time()
                await booted.line("reloaded:")
                took = asyncio.get_running_loop().time() - began
                rate = load.requests / took
                load.stopping = True
                state = await booted.line("state:")
            log = await booted.end()
    assert load.failed == []
    assert state == "active 0"
    assert log.count('"config.reloaded"') == 100
    figure(f"100 systemctl reloads in {took:.0f} s under {rate:.0f} requests/s and {STREAMS} streams: 0 failed")


async def test_a_drain_turns_readyz_red_and_lets_streams_end_however_short_the_units_limit(tmp_path: Path) -> None:
    port = free_port()
    async with Upstream(script) as upstream:
        units = unit(tmp_path, port, tables(upstream, 0), server='drain_timeout = "20s"', service="TimeoutStopSec=1s")
        stop = """
            systemctl start routerd
            echo started:
            sleep 1
            systemctl stop routerd
            echo result: $(systemctl show routerd -P Result)
        """
        async with machine(units, stop) as booted:
            await booted.line("started:")
            async with asked(port, STREAMED) as answer:
                await answer.head()
                readyz = await red(port)
                body = await answer.body()
            result = await booted.line("result:")
            await booted.end()
    assert readyz == 503
    assert_whole(answer, body)
    assert result == "success"


async def test_a_restart_with_a_socket_of_systemds_refuses_nobody(
    tmp_path: Path, figure: Callable[[str], None]
) -> None:
    port = free_port()
    async with Upstream(script) as upstream:
        units = unit(tmp_path, port, tables(upstream, 0))
        socket = (UNITS / "routerd.socket").read_text()
        (units / "routerd.socket").write_text(socket.replace("127.0.0.1:8484", f"127.0.0.1:{port}"))
        restarts = """
            systemctl start routerd.socket
            echo started:
            sleep 2
            for _ in 1 2 3; do systemctl restart routerd; sleep 1; done
            echo restarted:
            sleep 1
            systemctl stop routerd
            journalctl -u routerd -o cat --no-pager
        """
        async with machine(units, restarts) as booted:
            await booted.line("started:")
            load = Load(port)
            async with asyncio.TaskGroup() as group:
                group.create_task(load.requests_at_a_rate())
                for _ in range(5):
                    group.create_task(load.streams_one_after_the_other())
                await booted.line("restarted:")
                load.stopping = True
            log = await booted.end()
    assert load.failed == []
    assert log.count('"daemon.ready"') == 4
    figure(f"3 restarts under socket activation: none of {load.requests} requests, {load.streams} streams failed")


async def test_it_serves_with_a_credential_and_a_state_directory(tmp_path: Path) -> None:
    port = free_port()
    units = tmp_path / "units"
    units.mkdir()
    shutil.copy(UNITS / "routerd-system.service", units / "routerd.service")
    digest = hashlib.sha256(KEY.encode()).hexdigest()
    async with Upstream(json_answer(completion())) as upstream:
        config = (
            f'[server]\nlisten = ["127.0.0.1:{port}"]\n[keys.test]\nhash = "sha256:{digest}"\n'
            f'[providers.openai]\nbase_url = "{upstream.url}/v1"\nany_model = true\n'
            '[providers.sim]\ndialect = "simulator"\n'
        )
        async with machine(units, f"{installation()}\n{serving(config)}") as booted:
            await booted.line("started:")
            _, body = await answered(port, {"model": "sim/demo-fast", "messages": MESSAGES})
            theirs, _ = await answered(port, {"model": "openai/gpt", "messages": MESSAGES})
            exposure = await booted.line("exposure:")
            owner = await booted.line("owner:")
            await booted.end()
        keys = {request.headers.get("authorization") for request in upstream.requests}
    assert b'"choices"' in body
    assert theirs.status == 200
    assert keys == {"Bearer sk-from-a-credential"}
    assert float(exposure) <= MOST_EXPOSED
    assert owner == "routerd 600"


def installation() -> str:
    """Shell lines that install this interpreter and this checkout in /opt/routerd, where the unit looks for it."""
    packages = sysconfig.get_path("purelib")
    base = Path(sys.base_prefix)
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    return f"""
        mkdir -p /opt/python /opt/routerd/bin /opt/routerd/lib
        tar -C {packages} --exclude=mypy --exclude='*mypyc*' --exclude=hypothesis -cf - . |
            tar -C /opt/routerd/lib -xf -
        cp -r {ROOT}/routerd /opt/routerd/lib/
        tar -C {base} --exclude=test --exclude=site-packages -cf - bin/{version} lib/{version} \
            $(cd {base} && ls lib/libpython*.so* 2>/dev/null || true) | tar -C /opt/python -xf -
        printf '#!/bin/sh\\nexport LD_LIBRARY_PATH=/opt/python/lib PYTHONPATH=/opt/routerd/lib\\n%s\\n' \
            'exec /opt/python/bin/{version} -m routerd "$@"' > /opt/routerd/bin/routerd
        chmod 755 /opt/routerd/bin/routerd
    """


def serving(config: str) -> str:
    """Shell lines that configure the machine's service, start it, and report."""
    return f"""
        # The recipe's machine is a chroot: the kernel makes no user namespace there, and mounts must be shared by hand.
        mount --make-rshared /
        mkdir -p /run/systemd/system/routerd.service.d /etc/routerd /etc/credstore
        printf '[Service]\\nPrivateUsers=no\\n' > /run/systemd/system/routerd.service.d/recipe.conf
        systemctl daemon-reload
        printf 'sk-from-a-credential\\n' > /etc/credstore/openai
        chmod 600 /etc/credstore/openai
        printf '%s' '{config}' > /etc/routerd/routerd.toml
        chmod 644 /etc/routerd/routerd.toml
        systemctl start routerd || {{ journalctl -u routerd -o cat --no-pager; exit 1; }}
        echo started:
        sleep 1
        echo exposure: $(systemd-analyze security --no-pager routerd | grep Overall | grep -o '[0-9][0-9]*[.][0-9]')
        echo owner: $(stat -c '%U %a' /var/lib/routerd/admin.key)
        sleep 1
    """


async def red(port: int) -> int:
    """The first status of /readyz that is no 200."""
    while True:
        status, _ = await asyncio.to_thread(fetch, port, "/readyz")
        if status != 200:
            return status
        await asyncio.sleep(0.01)


def assert_whole(answer: Answer, body: bytes) -> None:
    assert answer.status == 200
    assert sum(f'"{number} "'.encode() in body for number in range(EVENTS)) == EVENTS
    assert body.endswith(b"data: [DONE]\n\n")
