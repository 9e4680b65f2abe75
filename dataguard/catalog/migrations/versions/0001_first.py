"""The first schema."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

__all__ = ["down_revision", "revision", "upgrade"]

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make every table."""
    op.create_table(
        "dataset",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("created", sa.String(), nullable=False),
        sa.Column("owner", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("name", name="pk_dataset"),
    )
    op.create_table(
        "event",
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("time", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("payload", sa.Text(), nullable=False),
        sa.Column("previous", sa.String(), nullable=False),
        sa.Column("hash", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("seq", name="pk_event"),
    )
    op.create_table(
        "finding",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("code", sa.String(), nullable=False),
        sa.Column("severity", sa.String(), nullable=False),
        sa.Column("path", sa.LargeBinary(), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("first_seen", sa.String(), nullable=False),
        sa.Column("last_seen", sa.String(), nullable=False),
        sa.Column("dataset", sa.String(), nullable=True),
        sa.Column("version", sa.BigInteger(), nullable=True),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("evidence", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_finding"),
    )
    op.create_index("ix_finding_dataset_version", "finding", ["dataset", "version"], unique=False)
    op.create_index("ix_finding_state", "finding", ["state"], unique=False)
    op.create_table(
        "meta",
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("key", name="pk_meta"),
    )
    op.create_table(
        "mount",
        sa.Column("host", sa.String(), nullable=False),
        sa.Column("target", sa.Text(), nullable=False),
        sa.Column("workspace", sa.Text(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("dataset", sa.String(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("backend", sa.String(), nullable=False),
        sa.Column("guarantee", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("created", sa.String(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("probe", sa.Text(), nullable=True),
        sa.Column("mount_id", sa.Text(), nullable=True),
        sa.Column("root_device", sa.Text(), nullable=True),
        sa.Column("root_inode", sa.Text(), nullable=True),
        sa.Column("boot_id", sa.String(), nullable=True),
        sa.PrimaryKeyConstraint("host", "target", name="pk_mount"),
    )
    op.create_index("ix_mount_workspace", "mount", ["workspace"], unique=False)
    op.create_table(
        "run",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("command", sa.Text(), nullable=False),
        sa.Column("directory", sa.Text(), nullable=False),
        sa.Column("workspace", sa.Text(), nullable=True),
        sa.Column("outputs", sa.Text(), nullable=False),
        sa.Column("inputs", sa.Text(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("process", sa.Text(), nullable=False),
        sa.Column("started", sa.String(), nullable=False),
        sa.Column("finished", sa.String(), nullable=True),
        sa.Column("exit_code", sa.BigInteger(), nullable=True),
        sa.Column("code_revision", sa.String(), nullable=True),
        sa.Column("environment_digest", sa.String(), nullable=True),
        sa.Column("output_root", sa.String(), nullable=True),
        sa.Column("output_files", sa.BigInteger(), nullable=True),
        sa.Column("output_bytes", sa.BigInteger(), nullable=True),
        sa.Column("metadata", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_run"),
    )
    op.create_index("ix_run_state", "run", ["state"], unique=False)
    op.create_table(
        "workspace",
        sa.Column("directory", sa.Text(), nullable=False),
        sa.Column("host", sa.String(), nullable=False),
        sa.Column("outputs", sa.Text(), nullable=False),
        sa.Column("created", sa.String(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("directory", "host", name="pk_workspace"),
    )
    op.create_table(
        "run_input",
        sa.Column("run", sa.String(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("dataset", sa.String(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["run"], ["run.id"], name="fk_run_input_run"),
        sa.PrimaryKeyConstraint("run", "position", name="pk_run_input"),
    )
    op.create_index(
        "ix_run_input_dataset_version", "run_input", ["dataset", "version"], unique=False
    )
    op.create_table(
        "version",
        sa.Column("dataset", sa.String(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("root", sa.String(), nullable=False),
        sa.Column("algorithm", sa.String(), nullable=False),
        sa.Column("entries", sa.BigInteger(), nullable=False),
        sa.Column("files", sa.BigInteger(), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("created", sa.String(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("note", sa.Text(), nullable=True),
        sa.Column("state_reason", sa.Text(), nullable=True),
        sa.Column("state_since", sa.String(), nullable=True),
        sa.Column("exclude", sa.Text(), nullable=False),
        sa.Column("digest_sheet", sa.Text(), nullable=True),
        sa.Column("metadata", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("dataset", "number", name="pk_version"),
        sa.UniqueConstraint("dataset", "root", name="uq_version_dataset_root"),
        sa.ForeignKeyConstraint(["dataset"], ["dataset.name"], name="fk_version_dataset"),
    )
    op.create_table(
        "audit",
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("dataset", sa.String(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("location", sa.Text(), nullable=False),
        sa.Column("level", sa.String(), nullable=False),
        sa.Column("started", sa.String(), nullable=False),
        sa.Column("finished", sa.String(), nullable=False),
        sa.Column("complete", sa.Boolean(), nullable=False),
        sa.Column("clean", sa.Boolean(), nullable=False),
        sa.Column("checked_files", sa.BigInteger(), nullable=False),
        sa.Column("checked_bytes", sa.BigInteger(), nullable=False),
        sa.Column("findings", sa.BigInteger(), nullable=False),
        sa.Column("unreadable", sa.BigInteger(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["dataset", "version"], ["version.dataset", "version.number"], name="fk_audit_version"
        ),
        sa.PrimaryKeyConstraint("seq", name="pk_audit"),
    )
    op.create_index("ix_audit_dataset_version", "audit", ["dataset", "version"], unique=False)
    op.create_table(
        "location",
        sa.Column("dataset", sa.String(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("place", sa.Text(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("sheet", sa.Text(), nullable=True),
        sa.Column("filesystem", sa.Text(), nullable=True),
        sa.Column("created", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(
            ["dataset", "version"],
            ["version.dataset", "version.number"],
            name="fk_location_version",
        ),
        sa.PrimaryKeyConstraint("dataset", "version", "place", name="pk_location"),
    )
    op.create_index("ix_location_place", "location", ["place"], unique=False)
    op.create_table(
        "tag",
        sa.Column("dataset", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("moved", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(
            ["dataset", "version"], ["version.dataset", "version.number"], name="fk_tag_version"
        ),
        sa.PrimaryKeyConstraint("dataset", "name", name="pk_tag"),
    )
    op.create_table(
        "tag_history",
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("dataset", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("moved", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(
            ["dataset", "version"],
            ["version.dataset", "version.number"],
            name="fk_tag_history_version",
        ),
        sa.PrimaryKeyConstraint("seq", name="pk_tag_history"),
    )
    op.create_index("ix_tag_history_dataset_name", "tag_history", ["dataset", "name"], unique=False)
