"""Turns a function into a command: shared options, examples and exit codes in its help."""

import inspect
from collections.abc import Callable, Mapping
from typing import Annotated, Any

import typer

from dataguard.cli.invocation import Invocation
from dataguard.cli.options import Color, Format
from dataguard.cli.values import PlainCommand
from dataguard.errors import UsageError

__all__ = ["command"]

_SHARED: tuple[tuple[str, Any, Any], ...] = (
    (
        "output_format",
        Annotated[Format, typer.Option("--format", help="How to write the result.")],
        Format.TEXT,
    ),
    ("quiet", Annotated[bool, typer.Option("--quiet", "-q", help="Write errors only.")], False),
    (
        "verbose",
        Annotated[
            int,
            typer.Option("--verbose", "-v", count=True, show_default=False, help="Write more."),
        ],
        0,
    ),
    (
        "color",
        Annotated[Color | None, typer.Option("--color", help="When to colour text.")],
        None,
    ),
    (
        "no_progress",
        Annotated[bool, typer.Option("--no-progress", help="Show no progress.")],
        False,
    ),
    (
        "catalog",
        Annotated[
            str | None,
            typer.Option("--catalog", metavar="URL", help="The catalog's database URL."),
        ],
        None,
    ),
    (
        "policy",
        Annotated[
            str | None,
            typer.Option("--policy", metavar="FILE", help="A policy that tightens the rules."),
        ],
        None,
    ),
)

_ALWAYS = (0, 1, 130, 143)
_EXIT_CODES = {
    0: "all checked and fine",
    1: "dataguard failed",
    2: "wrong command line, configuration or policy",
    3: "findings of severity error or worse",
    4: "something could not be checked",
    10: "not found",
    11: "conflict or lock",
    12: "store unreachable",
    13: "catalog damaged or newer",
    125: "the job was not started",
    126: "the job's command cannot be executed",
    127: "the job's command was not found",
    130: "interrupted",
    143: "terminated",
}


def command(
    app: typer.Typer,
    name: str,
    *,
    examples: tuple[str, ...],
    exit_codes: tuple[int, ...],
    meanings: Mapping[int, str] | None = None,
    group: str = "",
    table: bool = False,
    pass_through: bool = False,
) -> Callable[[Callable[..., int]], Callable[..., int]]:
    """Add a function `(invocation, **options) -> exit code` to an app.

    Its docstring becomes the help, followed by the examples and exit codes; `meanings` says what
    a code means here where the usual words are not enough. Every command can also fail, be
    interrupted and be terminated. `group` is the noun that stands before the command's name.
    `table` tells that its result is a list, which can be CSV. With `pass_through` everything
    after the first argument belongs to that argument.
    """

    def decorate(function: Callable[..., int]) -> Callable[..., int]:
        signature = inspect.signature(function, eval_str=True)
        own = list(signature.parameters.values())[1:]

        def run(**values: Any) -> None:
            options = {key: values.pop(key) for key, _, _ in _SHARED}
            _check_format(options["output_format"], table=table)
            with Invocation(f"{group} {name}".strip(), **options) as invocation:
                code = function(invocation, **values)
            raise typer.Exit(code)

        shared = [
            inspect.Parameter(key, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=kind)
            for key, kind, default in _SHARED
        ]
        parameters = [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in own] + shared
        run.__signature__ = signature.replace(  # type: ignore[attr-defined]
            parameters=parameters, return_annotation=None
        )
        run.__annotations__ = {p.name: p.annotation for p in parameters}
        run.__name__ = function.__name__
        settings = {"ignore_unknown_options": True, "allow_interspersed_args": False}
        app.command(
            name,
            cls=PlainCommand,
            help=_help(
                function.__doc__ or "", examples, {**_words(exit_codes), **(meanings or {})}
            ),
            context_settings=settings if pass_through else {},
        )(run)
        return function

    return decorate


def _check_format(wanted: Format, *, table: bool) -> None:
    """Refuse a format that the result cannot have, before anything is done."""
    if wanted is Format.CSV and not table:
        raise UsageError("this command has no CSV output", hint="use --format json")


def _words(exit_codes: tuple[int, ...]) -> dict[int, str]:
    return {code: _EXIT_CODES[code] for code in sorted({*exit_codes, *_ALWAYS})}


def _help(text: str, examples: tuple[str, ...], exit_codes: Mapping[int, str]) -> str:
    lines = "\n".join(f"  {example}" for example in examples)
    codes = "\n".join(f"  {code:<4} {words}" for code, words in exit_codes.items())
    body = inspect.cleandoc(text)
    return f"{body}\n\n\b\nExamples:\n{lines}\n\n\b\nExit codes:\n{codes}"
