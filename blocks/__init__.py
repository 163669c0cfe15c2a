"""Typed Prefect blocks: what a team sets up once, and where secrets live."""

from blocks.gpu_host import GPUHost
from blocks.run_store import RunStore

__all__ = ["GPUHost", "RunStore"]
