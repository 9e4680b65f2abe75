"""The systemd unit of a watcher, hardened: it reads everything and writes its home."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dataguard.core.paths import is_inside

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["watch_unit"]

_CAPABILITIES = (
    "CAP_SYS_ADMIN",
    "CAP_DAC_READ_SEARCH",
    "CAP_SYS_PTRACE",
)
"""fanotify; files of all users; who wrote."""

_AUDIT_CAPABILITIES = ("CAP_AUDIT_CONTROL", "CAP_AUDIT_READ")
_AUDIT = """\
RuntimeDirectory=dataguard
RuntimeDirectoryMode=0700
RuntimeDirectoryPreserve=yes
"""
"""Where those who switch the host's auditing agree: it is for others too, and stays."""

_PUBLIC_TEMPORARY = ("/tmp", "/var/tmp")  # noqa: S108  names of places, nothing is made there

_UNIT = """\
[Unit]
Description=dataguard: watch gold
Documentation=man:systemd.exec(5)
After=local-fs.target remote-fs.target

[Service]
Type=notify
ExecStart={command}
Environment=DATAGUARD_HOME={home}
Restart=always
RestartSec=5s
WatchdogSec=60s
SuccessExitStatus=143
UMask=0077
Nice=5
IOSchedulingClass=best-effort
IOSchedulingPriority=6
CapabilityBoundingSet={capabilities}
NoNewPrivileges=yes
ProtectSystem=strict
ProtectHome=read-only
ReadWritePaths={writable}
PrivateTmp={private}
ProtectClock=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
ProtectControlGroups=yes
{audit}RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6{families}
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
LockPersonality=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service fanotify_init fanotify_mark name_to_handle_at open_by_handle_at
SystemCallFilter=~@mount @swap @reboot @module @obsolete @raw-io @cpu-emulation
SystemCallErrorNumber=EPERM

[Install]
WantedBy=multi-user.target
"""


def watch_unit(
    command: Iterable[str],
    home: str,
    *,
    writable: Iterable[str],
    watched: Iterable[str],
    with_audit: bool = False,
) -> str:
    """Return a unit file that runs a command, which may write its home and what else is named.

    With `with_audit` it may also change the rules of the kernel's audit. It has a private /tmp,
    unless something that it needs lies in the public one.
    """
    others = tuple(writable)
    needed = (home, *others, *watched)
    public = [t for t in _PUBLIC_TEMPORARY if any(is_inside(one, t) for one in needed)]
    places = dict.fromkeys((home, *(f"-{one}" for one in (*others, *public))))
    return _UNIT.format(
        command=" ".join(_quoted(word, is_command=True) for word in command),
        home=_quoted(home),
        capabilities=" ".join(_CAPABILITIES + (_AUDIT_CAPABILITIES if with_audit else ())),
        audit=_AUDIT if with_audit else "",
        families=" AF_NETLINK" if with_audit else "",
        private="no" if public else "yes",
        writable=" ".join(_quoted(one) for one in places),
    )


def _quoted(word: str, *, is_command: bool = False) -> str:
    """Return a word as systemd reads it back: see systemd.syntax(7) and systemd.service(5)."""
    text = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    if is_command:
        text = text.replace("$", "$$")
    plain = text == word and text and not any(c.isspace() or c in "'\";#" for c in text)
    return text if plain else f'"{text}"'
