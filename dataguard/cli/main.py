"""The entry point: signals, errors and exit codes."""

import atexit
import contextlib
import gc
import os
import signal
import sys
from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

from dataguard.cli import frontpage, streams
from dataguard.errors import DataguardError, InterruptError

if TYPE_CHECKING:
    from types import FrameType

    import typer

__all__ = ["main"]

_USAGE = 2
_INTERRUPTED = 130
_HELP = "Usage:"

_COLLECT_AFTER = (100_000, 20, 20)
"""Objects made before Python looks for cycles: what is imported has none that ever end."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; errors go to stderr.

    With `--format json` or `jsonl` an error is one JSON object, in text a line and a hint.
    """
    if arguments is None:
        return _run_alone(sys.argv[1:])
    words = list(arguments)
    for number in (signal.SIGINT, signal.SIGTERM):
        if signal.getsignal(number) is not signal.SIG_IGN:  # so a shell starts background jobs
            signal.signal(number, _interrupt)
    streams.prepare()
    return streams.finish(_run(words))


def _run_alone(words: list[str]) -> int:
    """Run the one command of this process, which spends no time on garbage that ends with it."""
    gc.set_threshold(*_COLLECT_AFTER)
    codes: list[int] = []
    atexit.register(_leave, codes)  # what is registered first comes last
    codes.append(main(words))
    return codes[0]


def _leave(codes: list[int]) -> None:
    """End the process with a code, where there is one, without taking its modules apart.

    Python comes here when threads have ended and whatever others registered for the end is done.
    What is left, with Arrow and numpy loaded, is 10 ms of freeing memory that ends anyway.
    """
    if not codes:
        return
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):  # what could not be written was said
            stream.flush()
    os._exit(codes[0])


def _run(words: list[str]) -> int:
    try:
        return _answer(words)
    except DataguardError as err:
        return _complain(words, err.code, err.exit_code, err.message, err.hint)
    except streams.ReaderGoneError:
        return streams.BROKEN_PIPE
    except KeyboardInterrupt:
        return _complain_of_interrupt(words)
    except Exception as err:  # the entry point: nothing else may leave a trace
        if "DATAGUARD_TRACEBACK" in os.environ:
            raise
        return _complain_of_surprise(words, err)


def _complain_of_surprise(words: list[str], err: Exception) -> int:
    """Say that something failed which nobody foresaw, or that stdout takes no more of a help."""
    if isinstance(err, OSError) and streams.is_full(err):
        streams.give_up(sys.stdout)
        said = f"cannot write the output: {err.strerror}"
        return _complain(words, "internal", 1, said, "make room where stdout goes: df -h")
    hint = "this is a defect of dataguard; DATAGUARD_TRACEBACK=1 shows where"
    return _complain(words, "internal", 1, f"{type(err).__name__}: {err}", hint)


def _answer(words: list[str]) -> int:
    """Say what needs no parser, else let a command do its work; returns the exit code."""
    text = frontpage.answer(words)
    if text is not None:
        streams.write(text, sys.stdout)
        return 0
    from dataguard.cli.loading import lean_loading
    from dataguard.cli.plainwords import understood

    run = understood(words)
    with lean_loading():
        return _parsed(words) if run is None else run()


def _parsed(words: list[str]) -> int:
    """Run the command that the parser finds in the words."""
    import typer

    from dataguard.cli.application import app

    try:
        return int(app(words, standalone_mode=False, prog_name="dataguard") or 0)
    except typer.TyperException as err:
        return _complain_of_words(words, err)
    except typer.Abort:
        return _complain_of_interrupt(words)


def _interrupt(number: int, _frame: "FrameType | None") -> None:
    raise InterruptError(number)


def _complain_of_interrupt(words: list[str]) -> int:
    return _complain(words, "interrupted", _INTERRUPTED, "interrupted", None)


def _complain_of_words(words: list[str], err: "typer.TyperException") -> int:
    """Write what the parser says; of a group without a command it says the group's help."""
    message = err.format_message()
    is_help = message.startswith(_HELP)
    if is_help and not _wants_json(words):
        with contextlib.suppress(OSError):
            sys.stderr.write(message + "\n")
        return _USAGE
    said = "missing command" if is_help else _plain(message)
    return _complain(words, "usage", _USAGE, said, _help_hint(err))


def _complain(words: list[str], code: str, exit_code: int, message: str, hint: str | None) -> int:
    """Write an error to stderr and return its exit code."""
    fields = {"code": code, "exit_code": exit_code, "message": message, "hint": hint}
    with contextlib.suppress(OSError):  # nobody is left to tell
        if _wants_json(words):
            import json

            sys.stderr.write(json.dumps({"schema": "dataguard.error/1", **fields}) + "\n")
        else:
            sys.stderr.write(_lines(message, hint))
        sys.stderr.flush()
    return exit_code


def _lines(message: str, hint: str | None) -> str:
    from dataguard.core.paths import escape

    return f"error: {escape(message)}\n" + (f"hint: {escape(hint)}\n" if hint else "")


def _wants_json(words: list[str]) -> bool:
    """Whether errors are to be JSON; what follows `--` belongs to a job."""
    own = words[: words.index("--")] if "--" in words else words
    joined = [f"{a}={b}" for a, b in pairwise(own)]
    return any(w in ("--format=json", "--format=jsonl") for w in (*own, *joined))


def _plain(message: str) -> str:
    """Bring a message of the parser into the house's form."""
    text = message.strip().rstrip(".").replace("Value error, ", "")
    return text[:1].lower() + text[1:]


def _help_hint(err: "typer.TyperException") -> str:
    context = getattr(err, "ctx", None)
    return f"{context.command_path if context else 'dataguard'} --help"
