"""The inference flow as a worker loads it, with the gate that the environment names."""

from tests.faults import gates

gates.install()

from flows.inference import inference  # noqa: E402

__all__ = ["inference"]
