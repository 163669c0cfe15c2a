"""Cosmos video generation on remote GPU servers: records, operations, planning, hosts, execution. Knows nothing of Prefect."""
