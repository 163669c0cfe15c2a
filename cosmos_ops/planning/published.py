"""Coefficients to start from: derived from published tables, assumed where there are none; `fitting` replaces them.

Sources:

- transfer25: seconds in `docs/inference.md` of nvidia-cosmos/cosmos-transfer2.5. 93 frames at 720p, 35 steps with 2 calls
  each, one control: 264.1 s on H100 PCIe (table of segmentation), half of 374.4 s (H200 NVL), 179.7 s (B200), 1374.6 s (H20)
  and 605.7 s (RTX PRO 6000) for two chunks (table of edge). Beside the chunks a sample takes 2.4 to 5.3 s.
- cosmos3: seconds of Nano, text to video, 189 frames at 720p, 35 steps with 2 calls each, in `inference_benchmarks.md` of
  NVIDIA/cosmos: H100 207.8, H200 214.3, B200 114.9, H20 931.4, RTX PRO 6000 786.4. Nothing is published about transfer: that a
  control nearly doubles a call is an estimate from its number of tokens. 480p takes 0.29 of 720p with 0.43 of its pixels.
- cosmos3/super: H200 757 s of sampling for the same video (Nebius, `cosmos3-generate.md` of nebius-physical-ai) and B200
  407.5 s (NVIDIA); the other GPUs in the proportion of Nano. Load about 222 s cold and 39 s warm (cosmos-framework issue 42).
- transfer1: nothing is published. Assumed: 6 s per call on H100, the other GPUs in the proportion of transfer25. A control adds
  3 of 28 blocks.
- Loads of cosmos3, transfer25 and transfer1: assumed.
- preview: measured on a shared machine with two cores.
"""

from cosmos_ops.planning.costs import ANY_GPU, CPU, Coefficients, CostModel

CONTROL_SHARE = {"transfer1": 3 / 28, "transfer25": 4 / 28, "cosmos3": 0.9}
CALLS = 70
TRANSFER25_CHUNK_S = {"H100": 264.1, "H200": 187.2, "B200": 89.9, "H20": 687.3, "RTX PRO 6000": 302.9, ANY_GPU: 450.0}
TRANSFER25_DECODE_S = 2.0
COSMOS3_CLIP_S = {"H100": 207.8, "H200": 214.3, "B200": 114.9, "H20": 931.4, "RTX PRO 6000": 786.4, ANY_GPU: 500.0}
COSMOS3_DECODE_S = 5.0
SUPER_FACTOR = 757 / 214.3
TRANSFER1_CALL_S = 6.0


def _transfer25(chunk_s: float) -> Coefficients:
    share = CONTROL_SHARE["transfer25"]
    return Coefficients(
        start_s=45.0,
        load_base_s=60.0,
        load_per_part_s=30.0,
        warm_share=0.5,
        call_s=(chunk_s - TRANSFER25_DECODE_S) / CALLS / (1 + share),
        control_factor=share,
        chunk_s=TRANSFER25_DECODE_S,
        guard_s=4.0,
    )


def _cosmos3(clip_s: float) -> Coefficients:
    return Coefficients(
        start_s=30.0,
        load_base_s=90.0,
        warm_share=0.4,
        call_s=(clip_s - COSMOS3_DECODE_S) / CALLS,
        control_factor=CONTROL_SHARE["cosmos3"],
        chunk_s=COSMOS3_DECODE_S,
        guard_s=5.0,
        pixel_power=1.5,
    )


def _cosmos3_super(clip_s: float) -> Coefficients:
    return Coefficients(
        start_s=30.0,
        load_base_s=222.0,
        warm_share=0.18,
        call_s=(clip_s * SUPER_FACTOR - COSMOS3_DECODE_S) / CALLS,
        control_factor=CONTROL_SHARE["cosmos3"],
        chunk_s=COSMOS3_DECODE_S,
        guard_s=5.0,
        pixel_power=1.5,
    )


def _transfer1(call_s: float) -> Coefficients:
    return Coefficients(
        start_s=30.0,
        load_base_s=120.0,
        load_per_part_s=30.0,
        warm_share=0.5,
        call_s=call_s,
        control_factor=CONTROL_SHARE["transfer1"],
        chunk_s=10.0,
        guard_s=10.0,
    )


def _known() -> dict[tuple[str, str], Coefficients]:
    known = {("preview", CPU): Coefficients(start_s=1.0, frame_s=0.25)}
    for gpu_type, chunk_s in TRANSFER25_CHUNK_S.items():
        known["transfer25", gpu_type] = _transfer25(chunk_s)
        known["transfer1", gpu_type] = _transfer1(TRANSFER1_CALL_S * chunk_s / TRANSFER25_CHUNK_S["H100"])
    for gpu_type, clip_s in COSMOS3_CLIP_S.items():
        known["cosmos3", gpu_type] = _cosmos3(clip_s)
        known["cosmos3/super", gpu_type] = _cosmos3_super(clip_s)
    return known


PUBLISHED = CostModel(_known())
"""What is known before the first run has finished."""
