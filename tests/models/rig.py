"""Simulated servers that hold simulated models, and batches of prompts with faults in them."""

import json
import threading
from contextlib import contextmanager
from pathlib import Path

from cosmos_ops.checkpoints import MODES, checkpoints_for
from cosmos_ops.remote.fetcher.places import LISTINGS, file_path
from flows.forms import InferenceSettings, PromptRequest
from flows.inference import inference
from tests.builders import recorded
from tests.faults.rig import count_folder, let_model_go, save_block, starts
from tests.hosts.machine import GPUMachine

from .image import MODEL_IMAGES, give_models

FAMILIES = ("transfer1", "transfer25", "cosmos3")
LOOKED_FOR = {
    "nvidia/Cosmos-Guardrail1": ("video_content_safety_filter/safety_filter.pt",),
    "meta-llama/Llama-Guard-3-8B": ("model-00001-of-00004.safetensors",),
    "nvidia/Cosmos-UpsamplePrompt1-12B-Transfer": ("consolidated.safetensors",),
}
"""What the simulated models look for in repositories that come as a whole."""
QUICK = {
    "transfer1": {"edge_weight": 1, "num_steps": 2},
    "transfer25": {"edge_weight": 1, "num_steps": 2},
    # The program screens a text only where there is no control.
    "cosmos3": {"mode": "text2video", "resolution": "256", "num_frames": 25, "num_steps": 2, "guardrails": True},
}
"""Parameters for a short run of each family with its guardrail on."""


def make_ready(machine: GPUMachine, name: str, *families: str, **values) -> None:
    """Build the images of families, and let Prefect know the server with just them."""
    give_models(machine, *families)
    fill_models(machine, *families)
    images = {family: MODEL_IMAGES[family] for family in families}
    save_block(machine, name, images=images, slots=[[0, 1, 2, 3]], environment={"SIM_SCALE": "16"}, **values)


def fill_models(machine: GPUMachine, *families: str) -> None:
    """Put a small file in the place of every checkpoint, and what a download remembers of repositories that come whole."""
    models = machine.workspace / "cosmos" / "models"
    listings = {}
    for checkpoint in {one for family in families for one in checkpoints_for(family, MODES[family])}:
        commit = checkpoint.revision if checkpoint.is_pinned else "0" * 40
        for found in LOOKED_FOR.get(checkpoint.repository, ("weights",)):
            name = checkpoint.file.replace("*", found)
            path = models / file_path(str(checkpoint.folder), checkpoint.layout, commit, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("weights")
            listings.setdefault(checkpoint.source, {"commit": commit, "files": {}})["files"][name] = {}
    (models / LISTINGS).write_text(json.dumps(listings))


def settings(family: str, **values) -> InferenceSettings:
    return InferenceSettings.model_validate({family: {**QUICK[family], **values}})


def a_batch(clip: Path, orders: dict[int, str], count: int = 8) -> list[PromptRequest]:
    """So many prompts on one clip; some carry an order for the simulated model, counted from 1."""
    added = {number: f" order={order}" for number, order in orders.items()}
    texts = [f"a street number {number}{added.get(number, '')}" for number in range(1, count + 1)]
    return [PromptRequest(text=text, input=str(clip)) for text in texts]


def run_batch(family: str, prompts: list[PromptRequest], **values):
    """Call the inference flow; the number in the text of each prompt to its run."""
    inference(prompts, family=family, settings=settings(family, **values), return_state=True)
    found = recorded()
    texts = {run.id: found.prompts[run.prompt_id].text for run in found.runs}
    return {int(texts[run.id].split("number ")[1].split()[0]): run for run in found.runs}


@contextmanager
def killed_at(machine: GPUMachine, sample: int):
    """Kill the container from outside when it works on a sample; those that come after are let go."""
    over = threading.Event()

    def watch():
        while len(starts(machine)) < sample and not over.wait(0.05):
            pass
        for container in machine.containers():
            container.kill()
        while not over.wait(0.1):
            let_model_go(machine)

    count_folder(machine)
    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield
    finally:
        over.set()
        watcher.join()
