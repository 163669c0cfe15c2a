"""Draining the shared queue: one lane for each GPU slot of all hosts, each with its next batch as soon as it is free."""
