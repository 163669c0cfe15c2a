"""Two simulated servers whose transfer25 takes the published seconds divided by `SCALE`, and requests of known length for it."""

import random
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from cosmos_ops.planning import PUBLISHED, CostModel
from cosmos_ops.planning.costs import Coefficients
from flows.forms import InferenceSettings, PromptRequest
from tests.faults.rig import save_block
from tests.hosts import leaks
from tests.hosts.images import image_store
from tests.hosts.machine import GPUMachine
from tests.hosts.plugin import NAMES, set_up
from tests.media.videos import write_clip
from tests.models.image import MODEL_IMAGES, give_models
from tests.models.rig import fill_models

FAMILY, GPU = "transfer25", "H100"
SCALE = 12.0
"""Below the 20 by which costs may be off at the start and are still learnt."""
WIDTH_PX, HEIGHT_PX = 160, 90
PIXELS = 1280 * 704 / (1280 * 720)
"""What the model makes of a clip of that shape at 720p, relative to the usual size."""
CALLS = 2
SLOTS = [[0], [1]]


def scaled() -> Coefficients:
    """What the simulated model really takes."""
    one = PUBLISHED.of(FAMILY, GPU)
    seconds = ("start_s", "load_base_s", "load_per_part_s", "call_s", "chunk_s", "frame_s", "guard_s")
    return replace(one, **{name: getattr(one, name) / SCALE for name in seconds})


def true_costs() -> CostModel:
    """The same as a cost model."""
    return CostModel({(FAMILY, GPU): scaled()})


def environment() -> dict[str, str]:
    """The same as settings of the simulated model."""
    one = scaled()
    values = {
        "SIM_START_S": one.start_s,
        "SIM_LOAD_S": one.load_base_s,
        "SIM_LOAD_PART_S": one.load_per_part_s,
        "SIM_WARM_SHARE": one.warm_share,
        "SIM_STEP_S": CALLS * one.call_s * PIXELS,
        "SIM_CONTROL_SHARE": one.control_factor,
        "SIM_CHUNK_S": one.chunk_s,
        "SIM_SAMPLE_S": one.guard_s,
    }
    return {name: f"{value:.6f}" for name, value in values.items()} | {"SIM_SCALE": "16"}


@contextmanager
def machines() -> Iterator[list[GPUMachine]]:
    """Two servers with two H100 each."""
    for folder in leaks.stale_folders():
        leaks.remove(folder)
    store = image_store()
    with ExitStack() as stack:
        found = [GPUMachine(leaks.new_folder(), name) for name in NAMES]
        for machine in found:
            stack.callback(machine.remove)
        with ThreadPoolExecutor() as threads:
            list(threads.map(lambda machine: set_up(machine, store), found))
        yield found


def save_hosts(found: Sequence[GPUMachine], env: dict[str, str]) -> None:
    """Build the image where it is missing, and save a block for each."""
    for machine in found:
        give_models(machine, FAMILY)
        fill_models(machine, FAMILY)
        save_block(machine, machine.name, images={FAMILY: MODEL_IMAGES[FAMILY]}, slots=SLOTS, environment=env)


@dataclass(frozen=True)
class Kind:
    """Some runs that are alike."""

    count: int
    controls: tuple[str, ...]
    frames: int
    steps: int = 35
    is_distilled: bool = False

    def settings(self, number: int) -> InferenceSettings:
        """The parameters of one of them."""
        weights = {f"{name}_weight": 0.5 if name in self.controls else 0.0 for name in ("edge", "vis", "depth", "seg")}
        values = {**weights, "distilled": self.is_distilled, "seed": number}
        return InferenceSettings.model_validate({FAMILY: values if self.is_distilled else {**values, "num_steps": self.steps}})


LEARNT_FROM = (
    Kind(8, ("edge",), 93, is_distilled=True),
    Kind(5, ("edge",), 93, 15),
    Kind(3, ("edge",), 150, 10),
    Kind(5, ("vis",), 60, 10),
    Kind(2, ("vis",), 150, 15),
    Kind(5, ("edge", "vis"), 93, 10),
    Kind(2, ("edge", "vis"), 150, 15),
)
"""30 runs of 4 signatures."""
MEASURED = (
    Kind(10, ("edge",), 93, is_distilled=True),
    Kind(6, ("edge",), 40, is_distilled=True),
    Kind(8, ("edge",), 93),
    Kind(4, ("edge",), 150),
    Kind(4, ("edge",), 60, 20),
    Kind(6, ("vis",), 93),
    Kind(6, ("vis",), 60, 20),
    Kind(6, ("depth",), 93, 20),
    Kind(4, ("depth",), 150, 10),
    Kind(4, ("edge", "vis"), 93),
    Kind(4, ("edge", "vis"), 60, 20),
    Kind(2, ("edge", "vis"), 240),
)
"""64 runs of 5 signatures, those with depth never seen before; 240 frames are three chunks."""


def requests(kinds: Sequence[Kind], folder: Path) -> list[PromptRequest]:
    """One prompt for each run, in an order that is random and always the same."""
    clips = {}
    for frames in sorted({kind.frames for kind in kinds}):
        clips[frames] = folder / f"{frames}.mp4"
        write_clip(clips[frames], frame_count=frames, width=WIDTH_PX, height=HEIGHT_PX)
    alike = [kind for kind in kinds for _ in range(kind.count)]
    random.Random(1).shuffle(alike)
    return [
        PromptRequest(text=f"a street number {number}", input=str(clips[kind.frames]), inference=[kind.settings(number)])
        for number, kind in enumerate(alike)
    ]
