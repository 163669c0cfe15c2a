"""Make the tables prompts, runs and jobs."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

WORD = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Make the tables and their indexes."""
    _make_prompts()
    _make_runs()
    _make_jobs()


def _make_prompts() -> None:
    op.create_table(
        "prompts",
        sa.Column("id", WORD, nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("parent_id", WORD),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("details", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_prompts"),
        sa.ForeignKeyConstraint(["parent_id"], ["prompts.id"], name="fk_prompts_parent_id"),
    )
    op.create_index("ix_prompts_parent_id", "prompts", ["parent_id"])


def _make_runs() -> None:
    op.create_table(
        "runs",
        sa.Column("id", WORD, nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("prompt_id", WORD, nullable=False),
        sa.Column("parent_id", WORD),
        sa.Column("operation", WORD, nullable=False),
        sa.Column("family", WORD, nullable=False),
        sa.Column("status", WORD, nullable=False),
        sa.Column("request_key", WORD, nullable=False),
        sa.Column("job_id", WORD),
        sa.Column("flow_run_id", WORD),
        sa.Column("params", sa.JSON(), nullable=False),
        sa.Column("state", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_runs"),
        sa.UniqueConstraint("request_key", name="uq_runs_request_key"),
        sa.ForeignKeyConstraint(["prompt_id"], ["prompts.id"], name="fk_runs_prompt_id"),
        sa.ForeignKeyConstraint(["parent_id"], ["runs.id"], name="fk_runs_parent_id"),
    )
    # Where two indexes would do, SQLite takes the one that was made last: the most selective.
    for column in ("operation", "family", "status", "prompt_id", "flow_run_id", "parent_id", "job_id"):
        op.create_index(f"ix_runs_{column}_id", "runs", [column, "id"])


def _make_jobs() -> None:
    op.create_table(
        "jobs",
        sa.Column("id", WORD, nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("host", WORD, nullable=False),
        sa.Column("owner", WORD, nullable=False),
        sa.Column("lease_until", MOMENT, nullable=False),
        sa.Column("ended_at", MOMENT),
        sa.Column("job", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_jobs"),
    )
    op.create_index("ix_jobs_ended_at_id", "jobs", ["ended_at", "id"])
