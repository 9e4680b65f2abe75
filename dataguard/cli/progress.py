"""Progress on stderr: a bar on a terminal, elsewhere a plain line a minute."""

import sys
import time

from dataguard.model.ports import NoProgress, Progress

__all__ = ["choose"]

_BAR_AFTER_S = 0.5
_LINE_EVERY_S = 60.0
_BAR_EVERY_S = 0.1


def choose(setting: str, *, quiet: bool) -> Progress:
    """Return how progress is shown: `auto`, `always` or `never`."""
    if quiet or setting == "never":
        return NoProgress()
    if sys.stderr.isatty():
        return _Bar()
    return _Lines()


class _Counting:
    """Counts, and decides when it is time to show."""

    def __init__(self) -> None:
        self._what = ""
        self._files = 0
        self._bytes = 0
        self._begun = 0.0
        self._next = float("inf")  # nothing to show before a phase has begun

    def start(self, what: str, total_bytes: int | None = None) -> None:
        """Begin a phase."""
        del total_bytes
        self._what, self._files, self._bytes = what, 0, 0
        self._begun = time.monotonic()
        self._next = self._begun + self._first_s

    _first_s = _LINE_EVERY_S
    _every_s = _LINE_EVERY_S

    def advance(self, files: int, size: int) -> None:
        """Count, and show when it is time."""
        self._files += files
        self._bytes += size
        now = time.monotonic()
        if now >= self._next:
            self._next = now + self._every_s
            self._show(now - self._begun)

    def finish(self) -> None:
        """End the phase."""

    def _words(self, elapsed_s: float) -> str:
        rate = self._bytes / elapsed_s / 1e6 if elapsed_s else 0.0
        size = self._bytes / 1e9
        return f"{self._what}: {self._files:,} entries, {size:.2f} GB read, {rate:,.0f} MB/s"

    def _show(self, elapsed_s: float) -> None:
        raise NotImplementedError  # a line or a bar: each kind shows it in its own way


class _Lines(_Counting):
    """One line a minute."""

    def _show(self, elapsed_s: float) -> None:
        sys.stderr.write(self._words(elapsed_s) + "\n")
        sys.stderr.flush()


class _Bar(_Counting):
    """A live line, after half a second."""

    _first_s = _BAR_AFTER_S
    _every_s = _BAR_EVERY_S
    _live = None

    def _show(self, elapsed_s: float) -> None:
        from rich.console import Console
        from rich.status import Status

        if self._live is None:
            self._live = Status("", console=Console(stderr=True, highlight=False, markup=False))
            self._live.start()
        self._live.update(self._words(elapsed_s))

    def finish(self) -> None:
        """Take the live line away."""
        if self._live is not None:
            self._live.stop()
            self._live = None
