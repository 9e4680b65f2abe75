"""The shim's steps, in the order in which none can undo another."""

from __future__ import annotations

import errno
import os

from dataguard.sandbox.shim import (
    capabilities,
    descriptors,
    kernel,
    landlock,
    namespaces,
    supervision,
)
from dataguard.sandbox.shim.orders import READY, REFUSED, UNAVAILABLE, Orders, Reports

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeVar

    _T = TypeVar("_T")

__all__ = ["main"]

_NOT_STARTED = 125
_OWN_PROCESSES = "a process namespace of its own, which ends with the run and shows nobody else"
_LED_AWAY = "what is written into the inputs is led into the run's outputs"
_ADOPTED = "no process namespace: what the job leaves behind is found and killed at its end"


class _Stop(Exception):  # noqa: N818  an answer, not a fault
    """The job is not started."""

    def __init__(self, kind: str, layer: str, reason: str) -> None:
        super().__init__(reason)
        self.kind = kind
        self.layer = layer


def main(descriptor: int) -> None:
    """Confine this process as the orders say, then start the job; never returns."""
    orders = Orders(_content(descriptor))
    reports = Reports(orders.number("reports"))
    ignored = supervision.hold_signals()
    try:
        supervision.die_with(orders.number("parent"))
        code = _run(orders, reports, ignored)
    except _Stop as err:
        reports.tell(err.kind, err.layer, str(err))
        code = _NOT_STARTED
    os._exit(code)


def _run(orders: Orders, reports: Reports, ignored: dict[int, bool]) -> int:
    kinds = orders.firsts("namespace")
    inside = b"pid" in kinds
    _mounts(orders, reports, kinds)
    if inside:
        supervision.step_aside(reports)
        _attempt("processes", namespaces.show_processes)
    frozen = orders.firsts("freeze")
    if kinds and frozen:
        _attempt("mounts", lambda: namespaces.freeze(frozen))
    _attempt("descriptors", lambda: descriptors.replace(orders), kind=REFUSED)
    _route(orders, reports, kinds)
    _attempt("directory", lambda: os.chdir(orders.firsts("directory")[0]), kind=REFUSED)
    reports.layer("processes", holds=True, detail=_OWN_PROCESSES if inside else _ADOPTED)
    capabilities.give_up(reports)
    _landlock(orders, reports)
    for layer, why in reports.failing.items():
        if orders.has("require", layer):
            raise _Stop(REFUSED, layer, why)
    reports.tell(READY, "job", "")
    if orders.each("rehearse"):
        return 0
    return supervision.start(orders, reports, ignored, first=inside)


def _mounts(orders: Orders, reports: Reports, kinds: list[bytes]) -> None:
    marks = orders.each("mark")
    if not kinds:
        gold = [path for kind, path, _ in marks if kind == b"gold"]
        held = bool(gold) and namespaces.are_read_only(gold)
        said = "gold is mounted read-only already" if held else "no namespaces can be had here"
        reports.layer("mounts", holds=held, detail=said)
        return
    _attempt("namespaces", lambda: namespaces.enter(kinds))
    made = _attempt("mounts", lambda: namespaces.protect(marks, orders.each("show")))
    noun = "mount" if made == 1 else "mounts"
    reports.layer(
        "mounts", holds=True, detail=f"gold is read-only wherever it can be seen ({made} {noun})"
    )


def _route(orders: Orders, reports: Reports, kinds: list[bytes]) -> None:
    """Lead what is written into gold elsewhere; descriptors into gold are no more by then."""
    routes = orders.each("route")
    if not routes:
        return
    if not kinds:
        reports.layer("routing", holds=False, detail="it needs mounts of the job's own")
        return
    from dataguard.sandbox.shim import overlay  # noqa: PLC0415  few jobs need it

    over, hidden = orders.each("over"), orders.firsts("hide")
    alone = b"user" in kinds
    made = _attempt("routing", lambda: overlay.lay(routes, over, hidden, alone=alone), kind=REFUSED)
    noun = "overlay" if made == 1 else "overlays"
    reports.layer("routing", holds=True, detail=f"{_LED_AWAY} ({made} {noun})")


def _landlock(orders: Orders, reports: Reports) -> None:
    mode = orders.firsts("mode")[0]
    routed = orders.firsts("route") if orders.each("namespace") else []
    try:
        said = landlock.restrict(mode, orders.each("mark"), orders.firsts("write"), routed)
    except OSError as err:
        reports.layer("landlock", holds=False, detail=landlock.explain(err))
        return
    reports.layer("landlock", holds=True, detail=said)
    if orders.each("listen"):
        kernel.be_refused()


def _attempt(layer: str, act: Callable[[], _T], *, kind: str = UNAVAILABLE) -> _T:
    try:
        return act()
    except OSError as err:
        # What was replaced meanwhile is no reason to try a weaker way.
        what = REFUSED if err.errno == errno.ESTALE else kind
        where = "" if err.filename is None else f" ({os.fsdecode(err.filename)})"
        raise _Stop(what, layer, f"{err.strerror}{where}") from err


def _content(descriptor: int) -> bytes:
    with open(descriptor, "rb") as file:
        return file.read()
