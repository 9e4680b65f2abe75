"""Capabilities that could undo a read-only mount or reach past it, given up for good."""

from __future__ import annotations

from dataguard.sandbox.shim import kernel

TYPE_CHECKING = False
if TYPE_CHECKING:
    from dataguard.sandbox.shim.orders import Reports

__all__ = ["REACHING", "give_up"]

REACHING = {
    2: "DAC_READ_SEARCH",
    9: "LINUX_IMMUTABLE",
    16: "SYS_MODULE",
    17: "SYS_RAWIO",
    19: "SYS_PTRACE",
    21: "SYS_ADMIN",
    22: "SYS_BOOT",
    27: "MKNOD",
    38: "PERFMON",
    39: "BPF",
}
"""Remounting, opening files by handle, tracing others, new device nodes, the kernel itself."""

_NO_NEW_PRIVILEGES = 38


def give_up(reports: Reports) -> None:
    """Give them up and never get any by executing a program; say what of this was possible."""
    try:
        had = kernel.drop_capabilities(tuple(REACHING))
        kernel.prctl(_NO_NEW_PRIVILEGES, 1)
    except OSError as err:
        reports.layer("capabilities", holds=False, detail=f"they cannot be dropped: {err.strerror}")
        return
    if had:
        said = "dropped for good: " + ", ".join(REACHING[number] for number in had)
    else:
        said = "this user has none that could undo a mount, and setuid programs give none"
    reports.layer("capabilities", holds=True, detail=said)
