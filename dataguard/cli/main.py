"""The entry point: signals, errors and exit codes."""

import json
import os
import signal
import sys
from collections.abc import Sequence
from itertools import pairwise
from types import FrameType

import typer

from dataguard.cli.application import app
from dataguard.errors import DataguardError, InterruptError

__all__ = ["main"]

_USAGE = 2
_BROKEN_PIPE = 141


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; errors go to stderr.

    With `--format json` or `jsonl` an error is one JSON object, in text a line and a hint.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    signal.signal(signal.SIGTERM, _terminate)
    try:
        return int(app(words, standalone_mode=False, prog_name="dataguard") or 0)
    except DataguardError as err:
        _complain(words, err.code, err.exit_code, err.message, err.hint)
        return err.exit_code
    except typer.TyperException as err:
        _complain(words, "usage", _USAGE, _plain(err.format_message()), _help_hint(err))
        return _USAGE
    except (KeyboardInterrupt, typer.Abort):
        _complain(words, "interrupted", 130, "interrupted", None)
        return 130
    except BrokenPipeError:
        # The reader of our output has gone; what was to be recorded is recorded.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _BROKEN_PIPE
    except Exception as err:  # the entry point: nothing else may leave a trace
        if "DATAGUARD_TRACEBACK" in os.environ:
            raise
        hint = "this is a defect of dataguard; DATAGUARD_TRACEBACK=1 shows where"
        _complain(words, "internal", 1, f"{type(err).__name__}: {err}", hint)
        return 1


def _terminate(number: int, _frame: FrameType | None) -> None:
    raise InterruptError(number)


def _complain(words: list[str], code: str, exit_code: int, message: str, hint: str | None) -> None:
    if _wants_json(words):
        schema = "dataguard.error/1"
        fields = {"code": code, "exit_code": exit_code, "message": message, "hint": hint}
        sys.stderr.write(json.dumps({"schema": schema, **fields}) + "\n")
        return
    from dataguard.core.paths import escape

    sys.stderr.write(f"error: {escape(message)}\n")
    if hint:
        sys.stderr.write(f"hint: {escape(hint)}\n")


def _wants_json(words: list[str]) -> bool:
    """Whether errors are to be JSON; what follows `--` belongs to a job."""
    own = words[: words.index("--")] if "--" in words else words
    joined = [f"{a}={b}" for a, b in pairwise(own)]
    return any(w in ("--format=json", "--format=jsonl") for w in (*own, *joined))


def _plain(message: str) -> str:
    """Bring a message of the parser into the house's form."""
    text = message.strip().rstrip(".")
    return text[:1].lower() + text[1:]


def _help_hint(err: typer.TyperException) -> str:
    context = getattr(err, "ctx", None)
    return f"{context.command_path if context else 'dataguard'} --help"
