"""One call of the command line: its shared options, its context, and where results go."""

import os
import sys
from collections.abc import Iterable
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TextIO

from dataguard.cli import streams
from dataguard.cli.options import Color, Format
from dataguard.errors import UsageError

if TYPE_CHECKING:
    from dataguard.actions.context import Context
    from dataguard.model.finding import Finding
    from dataguard.model.ports import Progress
    from dataguard.model.settings import LoadedPolicy, Settings

__all__ = ["Invocation"]


class Invocation:
    """The shared options of one command and what they lead to."""

    def __init__(
        self,
        command: str,
        *,
        output_format: Format,
        quiet: bool,
        verbose: int,
        color: Color | None,
        no_progress: bool,
        catalog: str | None,
        policy: str | None,
    ) -> None:
        self.command = command
        self.format = output_format
        self.quiet = quiet
        self.verbose = verbose
        self._flags = {
            "catalog": catalog,
            "policy": policy,
            "color": None if color is None else str(color),
            "progress": "never" if no_progress else None,
        }
        self._settings: Settings | None = None
        self._context: Context | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._context is not None:
            self._context.close()

    def flag(self, name: str, value: str | None) -> None:
        """Let a command's own option set a setting."""
        self._flags[name] = value

    def settings(self, workspace: str | None = None) -> "Settings":
        """Return the settings, with those of a workspace if there is one."""
        from dataguard.actions.settings import load

        if self._settings is None:
            self._settings = load(self._flags, os.environ, workspace=workspace)
        return self._settings

    def policy(self, workspace: str | None = None) -> "LoadedPolicy":
        """Return the policy of all layers."""
        from dataguard.actions.settings import load_policy

        return load_policy(self.settings(workspace))

    def context(self, workspace: str | None = None, *, reads: bool = False) -> "Context":
        """Open the catalog and everything an action needs; with `reads` workers start at once."""
        from dataguard.cli.opening import open_context

        if self._context is None:
            settings = self.settings(workspace)
            policy = self.policy(workspace).policy
            self._context = open_context(settings, policy, self.progress(), reads=reads)
        return self._context

    def progress(self) -> "Progress":
        """Return where progress is shown."""
        from dataguard.cli.progress import choose

        return choose(self.settings().progress.value, quiet=self.quiet)

    def show(self, result: Any, *, stream: TextIO | None = None) -> None:
        """Write a result in the format that was asked for, to stdout unless said otherwise."""
        from dataguard.report.render import parts

        if self.quiet and self.format is Format.TEXT:
            return
        out = sys.stdout if stream is None else stream
        color = self.colored(out)
        for text in parts(
            self.command, result, str(self.format), color=color, verbose=self.verbose
        ):
            streams.write(text, out)

    def show_lines(self, values: "Iterable[Any]") -> None:
        """Write values as lines of JSON, with one flush: they are there for whoever reads along."""
        import json

        from dataguard.report.encode import encode

        streams.write("".join(json.dumps(encode(one)) + "\n" for one in values), sys.stdout)

    def check_report(self, path: str | None) -> None:
        """Make sure that a report can be written, before a long job and not after it.

        Raises:
            PolicyError: it would lie in gold.
            UsageError: it cannot.
        """
        if path is None:
            return
        self._refuse_gold(path)
        directory = os.path.dirname(os.path.abspath(path))
        there = path if os.path.exists(path) else directory
        if os.path.isdir(path) or not os.access(there, os.W_OK):
            raise UsageError(f"cannot write the report {path}", hint=f"ls -ld {directory}")

    def write_report(self, result: Any, path: str) -> None:
        """Write a result as JSON to a file.

        Raises:
            PolicyError: the file came to lie in gold meanwhile.
            UsageError: the file cannot be written.
        """
        from dataguard.report.render import parts

        self._refuse_gold(path)
        try:
            with open(path, "w", encoding="utf-8") as file:
                file.writelines(parts(self.command, result, "json", color=False))
        except OSError as err:
            raise UsageError(f"cannot write the report {path}: {err.strerror}") from err

    def say(self, text: str) -> None:
        """Write a remark to stderr."""
        if not self.quiet:
            sys.stderr.write(text + "\n")

    def outcome(self, findings: "Iterable[Finding]", *, unchecked: bool) -> int:
        """Return the exit code for findings and gaps."""
        from dataguard.core.outcome import exit_code

        return exit_code(findings, unchecked=unchecked)

    def confirm(self, question: str, *, yes: bool) -> None:
        """Ask before something destructive.

        Raises:
            UsageError: nobody is there to answer, or the answer is no.
        """
        if yes:
            return
        if not (sys.stdin.isatty() and sys.stderr.isatty()):
            raise UsageError(f"not confirmed: {question}", hint="add --yes to go ahead")
        sys.stderr.write(f"{question} [y/N] ")
        sys.stderr.flush()
        if sys.stdin.readline().strip().lower() not in ("y", "yes"):
            raise UsageError("not confirmed", hint="nothing was changed")

    def _refuse_gold(self, path: str) -> None:
        from dataguard.actions.footprint import refuse_written

        refuse_written(self.context(), "the report", path)

    def colored(self, stream: Any) -> bool:
        """Whether text for a stream has colours: by the setting, else on a terminal."""
        wanted = self.settings().color.value
        if wanted != "auto":
            return wanted == "always"
        return bool(stream.isatty()) and "NO_COLOR" not in os.environ
