"""Findings of a version are found by their path: they are read in pages, in that order."""

from __future__ import annotations

from alembic import op

__all__ = ["down_revision", "revision", "upgrade"]

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Put the index that has the order in the place of the one that has not."""
    op.create_index(
        "ix_finding_dataset_version_path_code",
        "finding",
        ["dataset", "version", "path", "code"],
        unique=False,
    )
    op.drop_index("ix_finding_dataset_version", table_name="finding")
