"""The service files: values in, commented text out. contrib/ holds the same text with the usual paths."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from xml.sax.saxutils import escape

LABEL = "dev.routerd"
"""launchd's name for the service, and the stem of its file."""

_LIFE = """\
# routerd tells systemd when it serves, reads its configuration again, stops, and how it is (sd_notify(3)). From systemd
# 253 on, a drop-in with Type=notify-reload makes `systemctl reload` wait until the reload is done.
Type=notify
{environment}ExecStart={command}
# SIGHUP: read the configuration and the keys again. A faulty file changes nothing, `systemctl status` says so.
ExecReload=/bin/kill -HUP $MAINPID
# The event loop says twice in this time that it turns. One that is blocked is ended with SIGABRT, and the log shows
# where it hung.
WatchdogSec=30s
# After a crash, a hang, or a start that failed because the network or the keyring was not there yet; not after a stop.
Restart=on-failure
RestartSec=5s
# SIGTERM goes to routerd alone, which lets requests in flight end. It asks for more time itself where
# server.drain_timeout is longer than this.
KillMode=mixed
TimeoutStopSec=45s
# Each stream needs two descriptors.
LimitNOFILE=65536
# A core dump would hold the providers' keys.
LimitCORE=0
"""

_USER = """\
# routerd for one user: ~/.config/systemd/user/routerd.service. It runs in the user's own service manager, where the
# user's keyring can be reached. `routerd service install` writes this file with the paths of its own installation.

[Unit]
Description=routerd, a local gateway to LLM providers
# The keyring is asked over the session bus.
After=dbus.socket

[Service]
{life}
# What a user's manager can enforce without privileges, and what no source of keys stands in need of.
NoNewPrivileges=yes
LockPersonality=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
SystemCallArchitectures=native
# State and spend log are for this user alone.
UMask=0077

[Install]
WantedBy=default.target
"""

_SYSTEM = """\
# routerd for a server: /etc/systemd/system/routerd.service. It runs as a user that exists only while it runs, with no
# way to the rest of the system. No keyring is there: the providers' keys are systemd credentials.
# `routerd service install --system` writes this file with the paths of its own installation.

[Unit]
Description=routerd, a local gateway to LLM providers
# An address of the network may be listened on, and providers are asked for their lists at once.
Wants=network-online.target
After=network-online.target nss-lookup.target

[Service]
{life}
# An unprivileged user that systemd makes up at the start; nothing else runs as it or owns files of it.
DynamicUser=yes
User=routerd
# /var/lib/routerd: spend log, issued keys, management key. The only place that can be written.
StateDirectory=routerd
StateDirectoryMode=0700
UMask=0077
# One line for each provider: the key is read from /etc/credstore/NAME (mode 0600, owner root), or from where
# LoadCredential=NAME:/path says; LoadCredentialEncrypted= takes what `systemd-creds encrypt` wrote. A key of this name
# is found without a word in the configuration. A credential that is not there is passed over.
{credentials}
# No program that it starts can gain privileges, setuid or not.
NoNewPrivileges=yes
# No capability at all: it needs none above port 1023. For a port below, use routerd.socket.
CapabilityBoundingSet=
AmbientCapabilities=
# Users of the system but itself and root do not exist for it.
PrivateUsers=yes
# The whole file system is read-only, but for the state directory.
ProtectSystem=strict
# /home, /root and /run/user are empty: install it in /opt or /usr/local.
ProtectHome=yes
# What it mounts, were it able to, nobody else sees.
PrivateMounts=yes
# A /tmp of its own, and no devices but the likes of /dev/null.
PrivateTmp=yes
PrivateDevices=yes
DevicePolicy=closed
# The kernel's settings, modules, log, clock, host name and control groups are out of reach.
ProtectKernelTunables=yes
ProtectKernelModules=yes
ProtectKernelLogs=yes
ProtectClock=yes
ProtectHostname=yes
ProtectControlGroups=yes
# Of /proc it sees its own processes and nothing else.
ProtectProc=invisible
ProcSubset=pid
# The network (and Unix sockets, for the journal and the service manager); no raw, packet or netlink sockets.
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX
# No namespaces, no realtime scheduling, no setuid files, no other execution domain.
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
LockPersonality=yes
# No memory that is both writable and executable: what is written cannot be run.
MemoryDenyWriteExecute=yes
# System calls that a service needs, without those that need privileges or change limits; others fail with EPERM.
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallFilter=~@privileged @resources
SystemCallErrorNumber=EPERM
# Shared memory and queues go when it stops; kernel keyrings are its own.
RemoveIPC=yes
KeyringMode=private

[Install]
WantedBy=multi-user.target
"""

SOCKET = """\
# The socket of routerd.service, opened by systemd: for a user in ~/.config/systemd/user/routerd.socket, for a server in
# /etc/systemd/system/routerd.socket. While it is open a restart or an upgrade refuses no connection: clients wait until
# the next daemon takes them. It also lets an unprivileged routerd have a port below 1024.

[Unit]
Description=The socket of routerd, a local gateway to LLM providers

[Socket]
# Takes the place of the same address in server.listen; another address is served beside it.
ListenStream=127.0.0.1:8484
# Connections that wait while a restart drains; the kernel's own limit is net.core.somaxconn.
Backlog=4096
# Small pieces of a stream go out at once.
NoDelay=yes

[Install]
WantedBy=sockets.target
"""

_PLIST = """\
<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<!-- routerd for one user: ~/Library/LaunchAgents/{label}.plist; `routerd service install` writes this file. It runs in
     the user's session, where the Keychain can be reached. Not tried on a Mac yet: written from launchd.plist(5). -->
<plist version="1.0">
<dict>
  <key>Label</key>
  <string>{label}</string>
  <key>ProgramArguments</key>
  <array>
{arguments}
  </array>
{environment}  <!-- At login, and again after a crash; not after it was told to stop. -->
  <key>RunAtLoad</key>
  <true/>
  <key>KeepAlive</key>
  <dict>
    <key>SuccessfulExit</key>
    <false/>
  </dict>
  <!-- Agents wait for it: not throttled as background work is. (Adaptive stays in the background without XPC.) -->
  <key>ProcessType</key>
  <string>Interactive</string>
  <!-- Seconds between SIGTERM and SIGKILL: longer than server.drain_timeout. -->
  <key>ExitTimeOut</key>
  <integer>45</integer>
  <!-- Each stream needs two descriptors; a core dump would hold the providers' keys. -->
  <key>SoftResourceLimits</key>
  <dict>
    <key>NumberOfFiles</key>
    <integer>10240</integer>
    <key>Core</key>
    <integer>0</integer>
  </dict>
  <!-- 0077: what it writes is for this user alone. -->
  <key>Umask</key>
  <integer>63</integer>
  <key>StandardErrorPath</key>
  <string>{log}</string>
</dict>
</plist>
"""


def user(command: str, environment: Mapping[str, str] | None = None) -> str:
    """The systemd unit of one user. `command` is quoted already; see `command_line`."""
    return _USER.format(life=_life(command, environment or {}))


def system(command: str, credentials: Sequence[str], environment: Mapping[str, str] | None = None) -> str:
    """The systemd unit of a server, with the names of the credentials that it may read."""
    lines = [f"LoadCredential={name}" for name in credentials] or ["#LoadCredential=openai"]
    return _SYSTEM.format(life=_life(command, environment or {}), credentials="\n".join(lines))


def plist(command: Sequence[str], *, log: str, environment: Mapping[str, str] | None = None) -> str:
    """The launchd property list; `log` is the path of the file that gets the log."""
    arguments = "\n".join(f"    <string>{escape(word)}</string>" for word in command)
    pairs = "".join(
        f"    <key>{escape(name)}</key>\n    <string>{escape(value)}</string>\n"
        for name, value in (environment or {}).items()
    )
    told = f"  <key>EnvironmentVariables</key>\n  <dict>\n{pairs}  </dict>\n" if pairs else ""
    return _PLIST.format(label=LABEL, arguments=arguments, environment=told, log=escape(log))


def command_line(words: Sequence[str]) -> str:
    """The words as systemd.service(5) reads them under COMMAND LINES. ValueError for a path that it cannot express."""
    if re.search(r"""[$"'\\]""", words[0]):
        raise ValueError(f"systemd cannot start a program of this name: {words[0]}")
    return " ".join(_word(word.replace("$", "$$")) if place else _word(word) for place, word in enumerate(words))


def _word(text: str) -> str:
    """One word: `%` begins a specifier, and blanks and quotes stand in quotes."""
    if not text.isprintable():
        raise ValueError(f"a unit file cannot hold this text: {text!r}")
    text = text.replace("%", "%%")
    if re.fullmatch(r"[A-Za-z0-9_@%+=:,./~$-]+", text):
        return text
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _life(command: str, environment: Mapping[str, str]) -> str:
    lines = "".join(f"Environment={_word(f'{name}={value}')}\n" for name, value in environment.items())
    return _LIFE.format(environment=lines, command=command).rstrip("\n")
