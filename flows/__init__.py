"""Prefect glue only: a flow reads like the sentence that describes it."""
