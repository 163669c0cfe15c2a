"""The steps by which Alembic builds and changes the tables; run by `cosmos_ops.store.schema`."""
