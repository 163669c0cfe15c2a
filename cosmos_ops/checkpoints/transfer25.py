"""What cosmos-transfer2.5 reads, all from the cache of the Hugging Face libraries, at the commits that its v1.5.0 names."""

from collections.abc import Mapping
from dataclasses import replace

from cosmos_ops.checkpoints.checkpoint import Checkpoint

NVIDIA_LICENCE = "NVIDIA Open Model License"
APACHE = "Apache-2.0"


def _model(file: str, revision: str) -> Checkpoint:
    return Checkpoint("nvidia/Cosmos-Transfer2.5-2B", file, "hub", NVIDIA_LICENCE, revision, is_gated=True)


EDGE = _model("general/edge/61f5694b-0ad5-4ecd-8ad7-c8545627d125_ema_bf16.pt", "b67b64abda3801a9aceddbff2bdb86126c06db74")
DEPTH = _model("general/depth/626e6618-bfcd-4d9a-a077-1409e2ce353f_ema_bf16.pt", "dea7737ca29dd8d9086413c6dc5724b8250a0bb4")
BLUR = _model("general/blur/ba2f44f2-c726-4fe7-949f-597069d9b91c_ema_bf16.pt", "eb5325b77d358944da58a690157dd2b8071bbf85")
SEG = _model("general/seg/5136ef49-6d8d-42e8-8abf-7dac722a304a_ema_bf16.pt", "23057a4167b89de89a4a397fdbf3887994d115eb")
DISTILLED = _model(
    "distilled/general/edge/41f07f13-f2e4-4e34-ba4c-86f595acbc20_ema_bf16.pt", "bbaeedb2b57cc8b14a44653099e2551adb69dcc7"
)
MULTIVIEW = _model("auto/multiview/4ecc66e9-df19-4aed-9802-0d11e057287a_ema_bf16.pt", "00c591edab119e8a6ca06e6e091351a04ce0ecc9")
REASON = replace(EDGE, repository="nvidia/Cosmos-Reason1-7B", file="*", revision="3210bec0495fdc7a8d3dbb8d58da5711eab4b423")
TOKENIZER = replace(
    EDGE, repository="nvidia/Cosmos-Predict2.5-2B", file="tokenizer.pth", revision="f176dc95b4a70f53ce01c4b302851595e7322b00"
)
GUARDRAIL = replace(EDGE, repository="nvidia/Cosmos-Guardrail1", file="*", revision="d6d4bfa899a71454a700907664f3e88f503950cf")
TEXT_GUARD = Checkpoint("Qwen/Qwen3Guard-Gen-0.6B", "*", "hub", APACHE)
STYLE = Checkpoint("google/siglip2-so400m-patch16-naflex", "*", "hub", APACHE)
"""Of the conditioner of the base models, whether a style image is given or not (`config.py` of transfer2.5)."""
SAM2 = Checkpoint("facebook/sam2-hiera-large", "*", "hub", APACHE)
GROUNDING_DINO = Checkpoint("IDEA-Research/grounding-dino-base", "*", "hub", APACHE)
VIDEO_DEPTH = Checkpoint("depth-anything/Video-Depth-Anything-Small", "*", "hub", APACHE)

TRANSFER25: Mapping[str, tuple[Checkpoint, ...]] = {
    "always": (REASON, TOKENIZER, STYLE),
    "edge": (EDGE,),
    "vis": (BLUR,),
    "depth": (DEPTH,),
    "seg": (SEG,),
    "multi": (EDGE, DEPTH, BLUR, SEG),
    "distilled": (DISTILLED,),
    "multiview": (MULTIVIEW,),
    "guardrails": (GUARDRAIL, TEXT_GUARD),
    "auto-seg": (SAM2, GROUNDING_DINO),
    "mask": (SAM2, GROUNDING_DINO),
    "auto-depth": (VIDEO_DEPTH,),
}
