"""Turns a function into a command: shared options, examples and exit codes in its help."""

import inspect
from collections.abc import Callable
from typing import Annotated, Any

import typer

from dataguard.cli.invocation import Invocation
from dataguard.cli.options import Color, Format

__all__ = ["command", "exit_code_words"]

_SHARED: tuple[tuple[str, Any, Any], ...] = (
    (
        "output_format",
        Annotated[Format, typer.Option("--format", help="How to write the result.")],
        Format.TEXT,
    ),
    ("quiet", Annotated[bool, typer.Option("--quiet", "-q", help="Write errors only.")], False),
    (
        "verbose",
        Annotated[int, typer.Option("--verbose", "-v", count=True, help="Write more.")],
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


def exit_code_words(code: int) -> str:
    """Return what an exit code means."""
    return _EXIT_CODES[code]


def command(
    app: typer.Typer,
    name: str,
    *,
    examples: tuple[str, ...],
    exit_codes: tuple[int, ...],
    group: str = "",
    pass_through: bool = False,
) -> Callable[[Callable[..., int]], Callable[..., int]]:
    """Add a function `(invocation, **options) -> exit code` to an app.

    Its docstring becomes the help, followed by the examples and exit codes. `group` is the noun
    that stands before the command's name. With `pass_through` everything after the first argument
    belongs to that argument.
    """

    def decorate(function: Callable[..., int]) -> Callable[..., int]:
        signature = inspect.signature(function, eval_str=True)
        own = list(signature.parameters.values())[1:]

        def run(**values: Any) -> None:
            options = {key: values.pop(key) for key, _, _ in _SHARED}
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
            help=_help(function.__doc__ or "", examples, exit_codes),
            context_settings=settings if pass_through else {},
        )(run)
        return function

    return decorate


def _help(text: str, examples: tuple[str, ...], exit_codes: tuple[int, ...]) -> str:
    lines = "\n".join(f"  {example}" for example in examples)
    codes = "\n".join(f"  {code:<4} {_EXIT_CODES[code]}" for code in exit_codes)
    body = inspect.cleandoc(text)
    return f"{body}\n\n\b\nExamples:\n{lines}\n\n\b\nExit codes:\n{codes}"
