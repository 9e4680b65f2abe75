"""The tables of the catalog: the event log, and its projection as records to look up.

Columns hold a record's JSON members (see `codec`), so a row is decoded like an event's payload.
Times are RFC 3339 text in UTC, which sorts. Nothing here depends on one database.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    MetaData,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
    UniqueConstraint,
)

from dataguard.catalog.columns import AnyText, Binary, Json

__all__ = [
    "AUDIT",
    "DATASET",
    "EVENT",
    "FINDING",
    "LOCATION",
    "META",
    "METADATA",
    "MOUNT",
    "PROJECTION",
    "REVISION",
    "REVISIONS",
    "RUN",
    "RUN_INPUT",
    "TAG",
    "TAG_HISTORY",
    "VERSION",
    "WORKSPACE",
]

REVISIONS = ("0001",)
"""The migrations this dataguard knows, oldest first; the last one is the schema below."""

METADATA = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(referred_table_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    }
)


def _key(name: str, kind: type[AnyText | String | BigInteger] = String) -> Column[object]:
    return Column(name, kind, primary_key=True, autoincrement=False)


def _required(name: str, kind: object = String) -> Column[object]:
    return Column(name, kind, nullable=False)  # type: ignore[arg-type]


META = Table("meta", METADATA, _key("key"), _required("value", AnyText))

EVENT = Table(
    "event",
    METADATA,
    _key("seq", BigInteger),
    _required("time"),
    _required("kind"),
    _required("actor", Json),
    _required("payload", Text),  # the text that was hashed, not a parsed copy of it
    _required("previous"),
    _required("hash"),
)

DATASET = Table("dataset", METADATA, _key("name"), _required("created"), Column("owner", AnyText))

VERSION = Table(
    "version",
    METADATA,
    Column("dataset", String, ForeignKey("dataset.name"), primary_key=True),
    _key("number", BigInteger),
    _required("root"),
    _required("algorithm"),
    _required("entries", BigInteger),
    _required("files", BigInteger),
    _required("bytes", BigInteger),
    _required("state"),
    _required("created"),
    _required("actor", Json),
    Column("note", AnyText),
    Column("state_reason", AnyText),
    Column("state_since", String),
    _required("exclude", Json),
    Column("digest_sheet", AnyText),
    _required("metadata", Json),
    UniqueConstraint("dataset", "root"),
)


def _to_version() -> ForeignKeyConstraint:
    return ForeignKeyConstraint(["dataset", "version"], ["version.dataset", "version.number"])


LOCATION = Table(
    "location",
    METADATA,
    _key("dataset"),
    _key("version", BigInteger),
    _key("place", AnyText),
    _required("state"),
    Column("sheet", AnyText),
    Column("filesystem", Json),
    _required("created"),
    _to_version(),
    Index(None, "place"),
)

TAG = Table(
    "tag",
    METADATA,
    _key("dataset"),
    _key("name"),
    _required("version", BigInteger),
    _required("moved"),
    _to_version(),
)

TAG_HISTORY = Table(
    "tag_history",
    METADATA,
    _key("seq", BigInteger),
    _required("dataset"),
    _required("name"),
    _required("version", BigInteger),
    _required("moved"),
    _to_version(),
    Index(None, "dataset", "name"),
)

AUDIT = Table(
    "audit",
    METADATA,
    _key("seq", BigInteger),
    _required("dataset"),
    _required("version", BigInteger),
    _required("location", AnyText),
    _required("level"),
    _required("started"),
    _required("finished"),
    _required("complete", Boolean),
    _required("clean", Boolean),
    _required("checked_files", BigInteger),
    _required("checked_bytes", BigInteger),
    _required("findings", BigInteger),
    _required("unreadable", BigInteger),
    _required("actor", Json),
    _to_version(),
    Index(None, "dataset", "version"),
)

# A finding, a mount or a run may name a version that this catalog does not have: no foreign key.
FINDING = Table(
    "finding",
    METADATA,
    _key("id"),
    _required("code"),
    _required("severity"),
    _required("path", Binary),
    _required("message", AnyText),
    _required("first_seen"),
    _required("last_seen"),
    Column("dataset", String),
    Column("version", BigInteger),
    _required("count", BigInteger),
    _required("state"),
    _required("evidence", Json),
    Index(None, "dataset", "version"),
    Index(None, "state"),
)

WORKSPACE = Table(
    "workspace",
    METADATA,
    _key("directory", AnyText),
    _key("host"),
    _required("outputs", AnyText),
    _required("created"),
    _required("actor", Json),
)

MOUNT = Table(
    "mount",
    METADATA,
    _key("host"),
    _key("target", AnyText),
    _required("workspace", AnyText),
    _required("name"),
    _required("dataset"),
    _required("version", BigInteger),
    _required("source", AnyText),
    _required("backend"),
    _required("guarantee"),
    _required("state"),
    _required("created"),
    _required("actor", Json),
    Column("probe", Json),
    Column("mount_id", Json),
    Column("root_device", Json),
    Column("root_inode", Json),
    Column("boot_id", String),
    Index(None, "workspace"),
)

RUN = Table(
    "run",
    METADATA,
    _key("id"),
    _required("state"),
    _required("command", Json),
    _required("directory", AnyText),
    Column("workspace", AnyText),
    _required("outputs", AnyText),
    _required("inputs", Json),
    _required("actor", Json),
    _required("process", Json),
    _required("started"),
    Column("finished", String),
    Column("exit_code", BigInteger),
    Column("code_revision", String),
    Column("environment_digest", String),
    Column("output_root", String),
    Column("output_files", BigInteger),
    Column("output_bytes", BigInteger),
    _required("metadata", Json),
    Index(None, "state"),
)

RUN_INPUT = Table(
    "run_input",
    METADATA,
    Column("run", String, ForeignKey("run.id"), primary_key=True),
    _key("position", BigInteger),
    _required("dataset"),
    _required("version", BigInteger),
    Index(None, "dataset", "version"),
)

PROJECTION = tuple(t for t in METADATA.sorted_tables if t is not EVENT)
"""What a replay of the events makes, in an order that foreign keys allow."""

REVISION = Table(
    "alembic_version",
    MetaData(),
    Column("version_num", String(32), nullable=False),
    PrimaryKeyConstraint("version_num", name="alembic_version_pkc"),
)
"""Alembic's own table, which names the schema of a database."""
