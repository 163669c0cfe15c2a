"""Alembic's entry: runs the migrations in the transaction of the connection that `cosmos_ops.store.schema` gives it."""

from alembic import context

from cosmos_ops.store.tables import Table

context.configure(connection=context.config.attributes["connection"], target_metadata=Table.metadata, render_as_batch=True)
context.run_migrations()
