"""What Cosmos 3 reads, all from the cache of the Hugging Face libraries; its registry names the branch `main`."""

from collections.abc import Mapping

from cosmos_ops.checkpoints.checkpoint import Checkpoint
from cosmos_ops.checkpoints.transfer25 import GUARDRAIL, TEXT_GUARD

LICENCE = "OpenMDW-1.1"


def _model(name: str) -> tuple[Checkpoint, ...]:
    return (Checkpoint(f"nvidia/Cosmos3-{name}", "*", "hub", LICENCE),)


VAE = Checkpoint("Wan-AI/Wan2.2-TI2V-5B", "Wan2.2_VAE.pth", "hub", "Apache-2.0", "921dbaf3f1674a56f47e83fb80a34bac8a8f203e")

COSMOS3: Mapping[str, tuple[Checkpoint, ...]] = {
    "always": (VAE,),
    "vae": (VAE,),
    "edge": _model("Edge"),
    "nano": _model("Nano"),
    "super": _model("Super"),
    "super-text2image": _model("Super-Text2Image"),
    "super-image2video": _model("Super-Image2Video"),
    "super-text2image-4step": _model("Super-Text2Image-4Step"),
    "super-image2video-4step": _model("Super-Image2Video-4Step"),
    "guardrails": (GUARDRAIL, TEXT_GUARD),
}
