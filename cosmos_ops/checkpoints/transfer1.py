"""What cosmos-transfer1 reads: from its checkpoint folder, and at run time from the cache of the Hugging Face libraries.

The checksums are those of its `scripts/download_checkpoints.py`; it pins no revisions and gives no sizes.
"""

from collections.abc import Mapping

from cosmos_ops.checkpoints.checkpoint import Checkpoint

NVIDIA_LICENCE = "NVIDIA Open Model License"
APACHE = "Apache-2.0"

BASE = Checkpoint("nvidia/Cosmos-Transfer1-7B", "base_model.pt", "folder", NVIDIA_LICENCE, md5="356497b415f3b0697f8bb034d22b6807")
DRIVING = Checkpoint(
    "nvidia/Cosmos-Transfer1-7B-Sample-AV", "base_model.pt", "folder", NVIDIA_LICENCE, md5="2006e158f8a17a3b801c661f0c01e9f2"
)
MULTIVIEW = Checkpoint("nvidia/Cosmos-Transfer1-7B-Sample-AV-Single2MultiView", "", "folder", NVIDIA_LICENCE)
TOKENIZER = Checkpoint("nvidia/Cosmos-Tokenize1-CV8x8x8-720p", "mean_std.pt", "folder", NVIDIA_LICENCE)
T5 = Checkpoint("google-t5/t5-11b", "pytorch_model.bin", "folder", APACHE, md5="f890878d8a162e0045a25196e27089a3")
GUARDRAIL = Checkpoint("nvidia/Cosmos-Guardrail1", "*", "folder", NVIDIA_LICENCE, is_gated=True)
LLAMA_GUARD = Checkpoint("meta-llama/Llama-Guard-3-8B", "*", "folder", "Llama 3.1 Community License", is_gated=True)
UPSAMPLER = Checkpoint("nvidia/Cosmos-UpsamplePrompt1-12B-Transfer", "*", "folder", NVIDIA_LICENCE)
SAM2 = Checkpoint("facebook/sam2-hiera-large", "sam2_hiera_large.pt", "hub", APACHE, md5="08083462423be3260cd6a5eef94dc01c")
GROUNDING_DINO = Checkpoint(
    "IDEA-Research/grounding-dino-tiny", "model.safetensors", "hub", APACHE, md5="0739b040bb51f92464b4cd37f23405f9"
)
DEPTH_ANYTHING = Checkpoint(
    "depth-anything/Depth-Anything-V2-Small-hf", "model.safetensors", "hub", APACHE, md5="14e97d7ed2146d548c873623cdc965de"
)

SEGMENTATION = (SAM2, GROUNDING_DINO, *GROUNDING_DINO.files("*.json", "vocab.txt"))


def _hint(file: str, md5: str) -> tuple[Checkpoint, ...]:
    return (BASE, BASE.with_md5(file, md5))


TRANSFER1: Mapping[str, tuple[Checkpoint, ...]] = {
    "always": (
        TOKENIZER.with_md5("autoencoder.jit", "7f658580d5cf617ee1a1da85b1f51f0d"),
        TOKENIZER.with_md5("decoder.jit", "ff21a63ed817ffdbe4b6841111ec79a8"),
        TOKENIZER.with_md5("encoder.jit", "f5834d03645c379bc0f8ad14b9bc0299"),
        TOKENIZER,
        T5,
        *T5.files("*.json", "spiece.model"),
        GUARDRAIL,
        LLAMA_GUARD,
    ),
    "vis": _hint("vis_control.pt", "69fdffc5006bc5d6acb29449bb3ffdca"),
    "edge": _hint("edge_control.pt", "a0642e300e9e184077d875e1b5920a61"),
    "depth": _hint("depth_control.pt", "80999ed60d89a8dfee785c544e0ccd54"),
    "seg": _hint("seg_control.pt", "3e4077a80c836bf102c7b2ac2cd5da8c"),
    "keypoint": _hint("keypoint_control.pt", "26619fb1686cff0e69606a9c97cac68e"),
    "upscale": _hint("4kupscaler_control.pt", "b28378d13f323b49445dc469dfbbc317"),
    # One file with the weights of base and control.
    "distilled": (BASE.with_md5("edge_control_distilled.pt", "bf7def0bb5ffb5beff1f376d2404fcb4"),),
    "hdmap": (DRIVING, DRIVING.with_md5("hdmap_control.pt", "2ddd781560d221418c2ed9258b6ca829")),
    "lidar": (DRIVING, DRIVING.with_md5("lidar_control.pt", "184beee5414bcb6c0c5c0f09d8f8b481")),
    "multiview": (
        MULTIVIEW.with_md5("t2w_base_model.pt", "a3fb13e8418d8bb366b58e4092bd91df"),
        MULTIVIEW.with_md5("v2w_base_model.pt", "48b2080ca5be66c05fac44dea4989a04"),
        MULTIVIEW.with_md5("t2w_hdmap_control.pt", "4f8a4340d48ebedaa9e7bab772e0203d"),
        MULTIVIEW.with_md5("v2w_hdmap_control.pt", "89b82db1bc1dc859178154f88b6ca0f2"),
        MULTIVIEW.with_md5("t2w_lidar_control.pt", "a9592d232a7e5f7971f39918c18eaae0"),
        MULTIVIEW.with_md5("v2w_lidar_control.pt", "cb27af88ec7fb425faec32f4734d99cf"),
    ),
    "enhance": (UPSAMPLER,),
    "auto-seg": SEGMENTATION,
    "mask": SEGMENTATION,
    "auto-depth": (DEPTH_ANYTHING, *DEPTH_ANYTHING.files("*.json")),
    # rtmlib fetches its models from a server of its own, so the image must hold them.
    "auto-keypoint": (),
}
