"""The tables of the catalog: the event log, and its projection as records to look up.

Columns hold a record's JSON members (see `codec`), so a row is decoded like an event's payload.
Times are RFC 3339 text in UTC, which sorts. Nothing here depends on one database.
"""

from __future__ import annotations

from dataguard.catalog.columns import ANY_TEXT, BINARY, BOOLEAN, INTEGER, JSON, NAME, TEXT, Kind
from dataguard.catalog.description import Column, ForeignKey, Table

__all__ = [
    "AUDIT",
    "DATASET",
    "EVENT",
    "FINDING",
    "LOCATION",
    "META",
    "MOUNT",
    "PROJECTION",
    "REVISIONS",
    "RUN",
    "RUN_INPUT",
    "TABLES",
    "TAG",
    "TAG_HISTORY",
    "VERSION",
    "WORKSPACE",
]

REVISIONS = ("0001", "0002", "0003")
"""The migrations this dataguard knows, oldest first; the last one is the schema below."""


def _key(name: str, kind: Kind = NAME) -> Column:
    return Column(name, kind, key=True)


def _optional(name: str, kind: Kind = NAME) -> Column:
    return Column(name, kind, nullable=True)


_TO_VERSION = ForeignKey(("dataset", "version"), "version", ("dataset", "number"))

META = Table("meta", (_key("key"), Column("value", ANY_TEXT)))

EVENT = Table(
    "event",
    (
        _key("seq", INTEGER),
        Column("time"),
        Column("kind"),
        Column("actor", JSON),
        Column("payload", TEXT),  # the text that was hashed, not a parsed copy of it
        Column("previous"),
        Column("hash"),
    ),
)

DATASET = Table("dataset", (_key("name"), Column("created"), _optional("owner", ANY_TEXT)))

VERSION = Table(
    "version",
    (
        _key("dataset"),
        _key("number", INTEGER),
        Column("root"),
        Column("algorithm"),
        Column("entries", INTEGER),
        Column("files", INTEGER),
        Column("bytes", INTEGER),
        Column("state"),
        Column("created"),
        Column("actor", JSON),
        _optional("note", ANY_TEXT),
        _optional("state_reason", ANY_TEXT),
        _optional("state_since"),
        Column("exclude", JSON),
        _optional("digest_sheet", ANY_TEXT),
        Column("metadata", JSON),
    ),
    foreign_keys=(ForeignKey(("dataset",), "dataset", ("name",)),),
    unique=(("dataset", "root"),),
)

LOCATION = Table(
    "location",
    (
        _key("dataset"),
        _key("version", INTEGER),
        _key("place", ANY_TEXT),
        Column("state"),
        _optional("sheet", ANY_TEXT),
        _optional("filesystem", JSON),
        Column("created"),
        _optional("objects", JSON),
    ),
    foreign_keys=(_TO_VERSION,),
    indexes=(("place",),),
)

TAG = Table(
    "tag",
    (_key("dataset"), _key("name"), Column("version", INTEGER), Column("moved")),
    foreign_keys=(_TO_VERSION,),
)

TAG_HISTORY = Table(
    "tag_history",
    (
        _key("seq", INTEGER),
        Column("dataset"),
        Column("name"),
        Column("version", INTEGER),
        Column("moved"),
    ),
    foreign_keys=(_TO_VERSION,),
    indexes=(("dataset", "name"),),
)

AUDIT = Table(
    "audit",
    (
        _key("seq", INTEGER),
        Column("dataset"),
        Column("version", INTEGER),
        Column("location", ANY_TEXT),
        Column("level"),
        Column("started"),
        Column("finished"),
        Column("complete", BOOLEAN),
        Column("clean", BOOLEAN),
        Column("checked_files", INTEGER),
        Column("checked_bytes", INTEGER),
        Column("findings", INTEGER),
        Column("unreadable", INTEGER),
        Column("actor", JSON),
    ),
    foreign_keys=(_TO_VERSION,),
    indexes=(("dataset", "version"),),
)

# A finding, a mount or a run may name a version that this catalog does not have: no foreign key.
FINDING = Table(
    "finding",
    (
        _key("id"),
        Column("code"),
        Column("severity"),
        Column("path", BINARY),
        Column("message", ANY_TEXT),
        Column("first_seen"),
        Column("last_seen"),
        _optional("dataset"),
        _optional("version", INTEGER),
        Column("count", INTEGER),
        Column("state"),
        Column("evidence", JSON),
    ),
    indexes=(("dataset", "version", "path", "code"), ("state",)),
)

WORKSPACE = Table(
    "workspace",
    (
        _key("directory", ANY_TEXT),
        _key("host"),
        Column("outputs", ANY_TEXT),
        Column("created"),
        Column("actor", JSON),
    ),
)

MOUNT = Table(
    "mount",
    (
        _key("host"),
        _key("target", ANY_TEXT),
        Column("workspace", ANY_TEXT),
        Column("name"),
        Column("dataset"),
        Column("version", INTEGER),
        Column("source", ANY_TEXT),
        Column("backend"),
        Column("guarantee"),
        Column("state"),
        Column("created"),
        Column("actor", JSON),
        _optional("probe", JSON),
        _optional("mount_id", JSON),
        _optional("root_device", JSON),
        _optional("root_inode", JSON),
        _optional("boot_id"),
    ),
    indexes=(("workspace",),),
)

RUN = Table(
    "run",
    (
        _key("id"),
        Column("state"),
        Column("command", JSON),
        Column("directory", ANY_TEXT),
        _optional("workspace", ANY_TEXT),
        Column("outputs", ANY_TEXT),
        Column("inputs", JSON),
        Column("actor", JSON),
        Column("process", JSON),
        Column("started"),
        _optional("finished"),
        _optional("exit_code", INTEGER),
        _optional("code_revision"),
        _optional("environment_digest"),
        _optional("output_root"),
        _optional("output_files", INTEGER),
        _optional("output_bytes", INTEGER),
        Column("metadata", JSON),
    ),
    indexes=(("state",),),
)

RUN_INPUT = Table(
    "run_input",
    (
        _key("run"),
        _key("position", INTEGER),
        Column("dataset"),
        Column("version", INTEGER),
    ),
    foreign_keys=(ForeignKey(("run",), "run", ("id",)),),
    indexes=(("dataset", "version"),),
)

PROJECTION = (
    META,
    DATASET,
    FINDING,
    WORKSPACE,
    MOUNT,
    RUN,
    VERSION,
    RUN_INPUT,
    LOCATION,
    TAG,
    TAG_HISTORY,
    AUDIT,
)
"""What a replay of the events makes, in an order that foreign keys allow."""

TABLES = (EVENT, *PROJECTION)
