"""Give the store an id, let jobs wait for a GPU slot, and make the table host_faults."""

import sqlalchemy as sa
from alembic import op

from cosmos_ops.names import new_id

revision = "0002"
down_revision = "0001"

WORD = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Make what is new; nothing of before changes."""
    store = op.create_table("store", sa.Column("id", WORD, nullable=False), sa.PrimaryKeyConstraint("id", name="pk_store"))
    op.bulk_insert(store, [{"id": new_id("st")}])
    op.add_column("jobs", sa.Column("waiting_since", MOMENT))
    op.create_index("ix_jobs_host_waiting_since", "jobs", ["host", "waiting_since"])
    op.create_table(
        "host_faults",
        sa.Column("id", WORD, nullable=False),
        sa.Column("host", WORD, nullable=False),
        sa.Column("happened_at", MOMENT, nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_host_faults"),
    )
    op.create_index("ix_host_faults_host_happened_at", "host_faults", ["host", "happened_at"])
