"""A location may lie in a bucket: how that is reached stands beside its place."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

__all__ = ["down_revision", "revision", "upgrade"]

revision = "0003"
down_revision = "0002"

_COPIED = "dataset, version, place, state, sheet, filesystem, created"


def upgrade() -> None:
    """Make the table anew: a column that is added later stands behind the constraints."""
    op.drop_index("ix_location_place", table_name="location")
    op.rename_table("location", "location_0002")
    op.create_table(
        "location",
        sa.Column("dataset", sa.String(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("place", sa.Text(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("sheet", sa.Text(), nullable=True),
        sa.Column("filesystem", sa.Text(), nullable=True),
        sa.Column("created", sa.String(), nullable=False),
        sa.Column("objects", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["dataset", "version"],
            ["version.dataset", "version.number"],
            name="fk_location_version",
        ),
        sa.PrimaryKeyConstraint("dataset", "version", "place", name="pk_location"),
    )
    op.execute(
        f"INSERT INTO location ({_COPIED}) SELECT {_COPIED} FROM location_0002"  # noqa: S608  constants
    )
    op.drop_table("location_0002")
    op.create_index("ix_location_place", "location", ["place"], unique=False)
