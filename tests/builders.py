"""Small values and small steps that several tests share."""

import os
import signal
from collections.abc import Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cosmos_ops.media.probe import probe
from cosmos_ops.names import new_id
from cosmos_ops.operations import read_params
from cosmos_ops.operations.inference_preview import InferencePreview
from cosmos_ops.params import Params
from cosmos_ops.results import ResultsFolder
from cosmos_ops.runs import Prompt, Run
from cosmos_ops.settings import Settings
from cosmos_ops.store import Store

from .media.videos import write_clip

CONTROLS = ("vis", "edge", "depth", "seg")


def a_clip(path, *, frame_count=6, width=96, height=64, **values):
    return write_clip(path, frame_count=frame_count, width=width, height=height, **values)


def only(*controls: str, **values: Any) -> InferencePreview:
    """Inference parameters with these controls and no others."""
    return InferencePreview(**{f"{name}_weight": 0.5 if name in controls else 0.0 for name in CONTROLS}, **values)


def a_run(params: Params | None = None, **values: Any) -> Run[Any]:
    values = {
        "prompt_id": "ps_1",
        "operation": "inference",
        "family": "preview",
        "request_key": new_id("rq"),
        **values,
    }
    return Run(params=params or InferencePreview(), **values)


@contextmanager
def opened_store():
    """The run store of the current home folder."""
    with Store.open(Settings().store_url, read_params=read_params) as store:
        yield store


@dataclass(frozen=True)
class Recorded:
    """All that a home folder remembers, oldest first."""

    runs: Sequence[Run[Any]]
    prompts: Mapping[str, Prompt]
    results: ResultsFolder

    def of(self, operation: str) -> list[Run[Any]]:
        return [run for run in self.runs if run.operation == operation]

    def statuses(self) -> list[str]:
        return [run.status.value for run in self.runs]

    def file(self, run: Run[Any], name: str) -> Path:
        return self.results.absolute(getattr(run.outputs, name))

    def video(self, run: Run[Any]) -> tuple[int, int, int, Any]:
        """Width, height, frames and rate of what a run made."""
        return shape(self.file(run, "video"))


def recorded() -> Recorded:
    with opened_store() as store:
        runs = store.runs(limit=1000)[::-1]
        prompts = {prompt.id: prompt for prompt in store.prompts(limit=1000)}
    return Recorded(runs, prompts, ResultsFolder(Settings().outputs_folder))


def shape(video: Path) -> tuple[int, int, int, Any]:
    info = probe(video)
    return info.width_px, info.height_px, info.frame_count, info.fps


def left_over(home: Path) -> list[str]:
    """What nobody needs once all runs are final: staging, containers and jobs."""
    folders = (home / "outputs" / ".staging", home / "workspace" / "containers", home / "workspace" / "jobs")
    return [str(path) for folder in folders if folder.exists() for path in folder.iterdir()]


def process_groups(home: Path) -> list[int]:
    """The process groups of the model processes that run or ran."""
    return [int(path.read_text()) for path in (home / "workspace" / "containers").glob("*/pid")]


def kill_model_processes(home: Path) -> None:
    for group in process_groups(home):
        try:
            os.killpg(group, signal.SIGKILL)
        except ProcessLookupError:
            continue
