"""Parameters that keep a value which has its type already.

typer converts every value with pydantic, text that stays text included. To load that takes longer
than all else in the help of a command or the completion of a word. What needs no conversion passes
by it here; everything else, and everything that is wrong, goes typer's way, with its messages.
"""

from collections.abc import Callable
from enum import Enum
from typing import TYPE_CHECKING, Any

from typer.core import TyperArgument, TyperCommand, TyperOption

if TYPE_CHECKING:
    from typer._click import Context, Parameter

__all__ = ["PlainCommand", "keep_settled_values"]


class PlainCommand(TyperCommand):
    """A command with such parameters."""

    def get_params(self, ctx: "Context") -> "list[Parameter]":
        """Return the command's options and arguments."""
        return keep_settled_values(super().get_params(ctx))


def keep_settled_values(parameters: "list[Parameter]") -> "list[Parameter]":
    """Let these parameters keep values that have their type; returns them."""
    for parameter in parameters:
        # typer makes them and takes no class for it; these classes add no state, only a way past.
        if type(parameter) is TyperOption:
            parameter.__class__ = _Option
        elif type(parameter) is TyperArgument:
            parameter.__class__ = _Argument
    return parameters


class _Option(TyperOption):
    def process_value(self, ctx: "Context", value: Any) -> Any:
        return _process(self, ctx, value, super().process_value)


class _Argument(TyperArgument):
    def process_value(self, ctx: "Context", value: Any) -> Any:
        return _process(self, ctx, value, super().process_value)


_UNSETTLED = object()


def _process(
    parameter: TyperOption | TyperArgument,
    ctx: "Context",
    value: Any,
    convert: "Callable[[Context, Any], Any]",
) -> Any:
    """Return what the command gets for a value, by `convert` where it is not settled."""
    settled = _settled(parameter, value)
    if settled is _UNSETTLED or (parameter.required and parameter.value_is_missing(settled)):
        return convert(ctx, value)
    return settled if parameter.callback is None else parameter.callback(ctx, parameter, settled)


def _settled(parameter: TyperOption | TyperArgument, value: Any) -> Any:
    several = parameter.multiple or parameter.nargs == -1
    if value is None:
        return () if several else None
    # A future typer may describe types otherwise: then all goes its way.
    kind = getattr(getattr(parameter, "type_descriptor", None), "annotation", None)
    if several:
        are_texts = kind == list[str] and all(isinstance(item, str) for item in value)
        return [*value] if are_texts and not isinstance(value, str) else _UNSETTLED
    if not isinstance(kind, type):
        return _UNSETTLED
    if issubclass(kind, Enum) and value in [member.value for member in kind]:
        return kind(value)
    return value if isinstance(value, kind) else _UNSETTLED
