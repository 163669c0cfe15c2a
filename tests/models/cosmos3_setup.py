"""The checkpoint and the layout on GPUs of a Cosmos 3 process."""

import os
from pathlib import Path
from types import SimpleNamespace
from typing import NamedTuple

from .problems import Problem, ValidationError

REPOSITORIES = (
    *("Cosmos3-Edge", "Cosmos3-Nano", "Cosmos3-Super", "Cosmos3-Super-Image2Video", "Cosmos3-Super-Text2Image"),
    *("Cosmos3-Super-Text2Image-4Step", "Cosmos3-Super-Image2Video-4Step"),
    *("Cosmos3-Nano-Policy-DROID", "Cosmos3-Edge-Policy-DROID", "Cosmos3-Experimental"),
)
EDGE = "Cosmos3-Edge"
WEIGHTS = ("*.safetensors", "*.safetensors.index.json", "*.distcp")


class Model(NamedTuple):
    """What the process knows of its model."""

    name: str
    is_on_hub: bool
    resolution: str
    num_frames: int
    has_sound: bool
    is_distilled: bool


class Layout(NamedTuple):
    """How the ranks share the samples."""

    replica_size: int
    replicas: int
    shard: int


def find_model(checkpoint_path: str) -> Model:
    """The model of a name of the registry or of a folder."""
    is_on_hub = checkpoint_path in REPOSITORIES
    if not is_on_hub and not checkpoint_path.startswith("s3://"):
        folder = Path(checkpoint_path).expanduser().absolute()
        if not folder.is_dir():
            raise ValueError(f"Checkpoint directory does not exist: {folder}")
        is_checked = os.environ.get("SIM_CHECKPOINTS", "1") != "0"
        if is_checked and not any(any(folder.rglob(name)) for name in WEIGHTS):
            raise ValueError(f"Unknown checkpoint type: {folder}")
    name = Path(checkpoint_path).name
    is_edge = name.startswith(EDGE)
    return Model(
        name,
        is_on_hub,
        resolution="480" if is_edge else "720",
        num_frames=121 if is_edge else 189,
        has_sound=not is_edge,
        is_distilled=name.endswith("4Step"),
    )


def lay_out(setup: SimpleNamespace) -> Layout:
    """Spread the process over the ranks that torchrun started."""
    world = int(os.environ.get("WORLD_SIZE", "1"))
    is_latency = setup.parallelism_preset == "latency"
    cfgp = setup.cfgp_size or (min(2, world) if is_latency else 1)
    cp = setup.cp_size or (min(32, max(1, world // cfgp)) if is_latency else 1)
    shard = setup.dp_shard_size or world
    replicate = setup.dp_replicate_size or max(1, world // shard)
    for names, size in (("dp_shard_size * dp_replicate_size", shard * replicate), ("cp_size * cfgp_size", cp * cfgp)):
        if size > world or world % size:
            text = f"Value error, {names} ({size}) must divide the world size ({world})"
            raise ValidationError("OmniSetupArgs", [Problem((), "value_error", text, vars(setup))])
    if setup.num_iterations > 1 and not setup.benchmark:
        raise ValueError("'num_iterations' > 1 requires 'benchmark'")
    if setup.use_separate_pipeline_vision_decode_gpu:
        raise RuntimeError(f"No spare local GPU with index {cp * cfgp} for the vision decoder")
    return Layout(cp * cfgp, world // (cp * cfgp), shard)
