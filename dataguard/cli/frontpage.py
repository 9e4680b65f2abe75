"""What the program says of itself: its help and its version, without the parser.

The parser alone takes longer to load than an impatient user waits. The help is what typer would
print on a terminal of at least 80 columns; `scripts/docs` writes it to `help.txt`, and a test
compares the two.
"""

import os

from dataguard import __version__

__all__ = ["HELP_FILE", "answer"]

HELP_FILE = os.path.join(os.path.dirname(__file__), "help.txt")

_COLUMNS = 80
"""Help is wrapped for narrower terminals; it is never wider."""


def answer(words: list[str]) -> str | None:
    """Return what is to be printed for these words, or None where the parser has to look."""
    if words == ["--version"]:
        return f"dataguard {__version__}\n"
    if words == ["--help"] and _columns() >= _COLUMNS:
        with open(HELP_FILE, encoding="utf-8") as help_text:
            return help_text.read()
    return None


def _columns() -> int:
    """Return the width of the terminal as `shutil.get_terminal_size` tells it, which is slow."""
    given = os.environ.get("COLUMNS", "")
    if given.isdecimal() and int(given):
        return int(given)
    try:
        return os.get_terminal_size(1).columns or _COLUMNS
    except OSError:  # stdout is no terminal
        return _COLUMNS
