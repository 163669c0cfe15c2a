"""Let runs belong to the shared queue and jobs keep their times, and make the tables costs and leases."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

WORD = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Make what is new; nothing of before changes."""
    op.add_column("runs", sa.Column("priority", sa.Integer()))
    op.add_column("runs", sa.Column("queueing", sa.JSON()))
    waiting = sa.text("status = 'queued' AND priority IS NOT NULL")
    columns = ["id", "priority", "parent_id"]
    op.create_index("ix_runs_waiting", "runs", columns, sqlite_where=waiting, postgresql_where=waiting)
    op.add_column("jobs", sa.Column("timing", sa.JSON()))
    op.create_table(
        "costs",
        sa.Column("model", WORD, nullable=False),
        sa.Column("gpu_type", WORD, nullable=False),
        sa.Column("coefficients", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("model", "gpu_type", name="pk_costs"),
    )
    op.create_table(
        "leases",
        sa.Column("name", WORD, nullable=False),
        sa.Column("owner", WORD, nullable=False),
        sa.Column("until", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_leases"),
    )
