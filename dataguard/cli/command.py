"""Turns a function into a command: shared options, examples and exit codes in its help."""

import inspect
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Annotated, Any, get_args

from dataguard.cli.declared import Declared, option
from dataguard.cli.invocation import Invocation
from dataguard.cli.options import Color, Format
from dataguard.cli.plainwords import PlainApp
from dataguard.errors import UsageError

if TYPE_CHECKING:
    import typer

__all__ = ["command"]

_SHARED: tuple[tuple[str, Any, Any], ...] = (
    (
        "output_format",
        Annotated[Format, option("--format", help="How to write the result.")],
        Format.TEXT,
    ),
    ("quiet", Annotated[bool, option("--quiet", "-q", help="Write errors only.")], False),
    (
        "verbose",
        Annotated[
            int,
            option("--verbose", "-v", count=True, show_default=False, help="Write more."),
        ],
        0,
    ),
    (
        "color",
        Annotated[Color | None, option("--color", help="When to colour text.")],
        None,
    ),
    (
        "no_progress",
        Annotated[bool, option("--no-progress", help="Show no progress.")],
        False,
    ),
    (
        "catalog",
        Annotated[
            str | None,
            option("--catalog", metavar="URL", help="The catalog's database URL."),
        ],
        None,
    ),
    (
        "policy",
        Annotated[
            str | None,
            option("--policy", metavar="FILE", help="A policy that tightens the rules."),
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
    app: "typer.Typer | PlainApp",
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

        def run(**values: Any) -> int:
            options = {key: values.pop(key) for key, _, _ in _SHARED}
            _check_format(options["output_format"], table=table)
            with Invocation(f"{group} {name}".strip(), **options) as invocation:
                return function(invocation, **values)

        shared = [
            inspect.Parameter(key, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=kind)
            for key, kind, default in _SHARED
        ]
        parameters = [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in own] + shared
        if isinstance(app, PlainApp):
            app.run, app.parameters = run, parameters
            return function
        words = {**_words(exit_codes), **(meanings or {})}
        text = _help(function.__doc__ or "", examples, words)
        taken = _for_typer(run, parameters, function.__name__)
        _add(app, name, taken, text, pass_through=pass_through)
        return function

    return decorate


def _for_typer(
    run: Callable[..., int], parameters: list[inspect.Parameter], name: str
) -> Callable[..., None]:
    """Return what typer can call: it reads the options from the signature."""
    import typer

    def ended(**values: Any) -> None:
        raise typer.Exit(run(**values))

    own = [one.replace(annotation=_annotation(one.annotation)) for one in parameters]
    ended.__signature__ = inspect.Signature(own)  # type: ignore[attr-defined]
    ended.__annotations__ = {one.name: one.annotation for one in own}
    ended.__name__ = name
    return ended


def _annotation(hint: Any) -> Any:
    kind, *rest = get_args(hint)
    declared = rest[0] if rest else None
    return Annotated[kind, declared.for_typer()] if isinstance(declared, Declared) else hint


def _add(
    app: "typer.Typer", name: str, run: Callable[..., None], text: str, *, pass_through: bool
) -> None:
    from dataguard.cli.values import PlainCommand

    settings = {"ignore_unknown_options": True, "allow_interspersed_args": False}
    app.command(
        name, cls=PlainCommand, help=text, context_settings=settings if pass_through else {}
    )(run)


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
