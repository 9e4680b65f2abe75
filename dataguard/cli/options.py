"""Options that several commands share, under one name each."""

from enum import StrEnum
from typing import Annotated

from dataguard.cli.declared import argument, option

__all__ = [
    "Color",
    "DryRun",
    "Format",
    "LocationOption",
    "Reason",
    "Reference",
    "Scheduler",
    "WorkspaceOption",
    "Yes",
]


class Format(StrEnum):
    """How results are written."""

    TEXT = "text"
    JSON = "json"
    JSONL = "jsonl"
    CSV = "csv"


class Color(StrEnum):
    """When text is coloured."""

    AUTO = "auto"
    ALWAYS = "always"
    NEVER = "never"


DryRun = Annotated[bool, option("--dry-run", "-n", help="Show what would be done; change nothing.")]
Yes = Annotated[bool, option("--yes", "-y", help="Do not ask.")]
Reason = Annotated[str, option("--reason", metavar="TEXT", help="Why; recorded with the change.")]
LocationOption = Annotated[
    str | None,
    option("--location", metavar="DIR", help="Which place, where it lies at several."),
]
Reference = Annotated[str, argument(metavar="REF", help="NAME, NAME@3, NAME@TAG or NAME@dg1:HEX.")]
Scheduler = Annotated[
    str | None,
    option(
        "--scheduler",
        metavar="ADDRESS",
        help="Of a Dask cluster, or its scheduler file (.json); default: processes here.",
    ),
]
WorkspaceOption = Annotated[
    str | None,
    option(
        "--workspace",
        "-w",
        metavar="DIR",
        help="The workspace; default: the nearest parent with a dataguard.toml.",
    ),
]
