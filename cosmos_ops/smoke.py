"""The smoke job: a tiny run through the ordinary path, to see that a host can really do work."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from cosmos_ops import execution
from cosmos_ops.errors import HostError, SampleFailedError
from cosmos_ops.execution import Computation
from cosmos_ops.intake import completed, job_of, sample_of
from cosmos_ops.job import Completed, Event, Job, JobItem, LogLine, NotCompleted, host_folder
from cosmos_ops.media.frames import Frame, open_writer
from cosmos_ops.media.probe import probe
from cosmos_ops.names import new_id
from cosmos_ops.operations.inference_preview import INFERENCE_PREVIEW, InferencePreview
from cosmos_ops.operations.operation import Operation
from cosmos_ops.params import Params
from cosmos_ops.remote.host import Host, ignore_bytes
from cosmos_ops.runs import VIDEO, Prompt, Run

FPS = Fraction(24)
LABELS = {"cosmos.smoke": "yes"}
"""No store knows this job, and none looks for it."""


@dataclass(frozen=True)
class SmokeRequest:
    """What the smoke job of a family asks for."""

    operation: Operation[Any]
    params: Params
    words: str
    """What it makes, for people."""
    controls: tuple[str, ...] = ()
    """Controls whose file is the clip as well, so that nothing has to be computed for them."""
    frame_count: int = 3
    width_px: int = 64
    height_px: int = 48


PREVIEW = SmokeRequest(INFERENCE_PREVIEW, InferencePreview(), "a video of a few frames")


@dataclass
class _Watch:
    on_news: Callable[[str], None]
    _news: str = ""

    def line(self, line: LogLine) -> None:
        """The lines are in the log."""

    def event(self, event: Event) -> None:
        """The marker tells how it went."""

    def is_cancelled(self) -> bool:
        """Ctrl-C ends it by an exception."""
        return False

    def is_its_turn(self) -> bool:
        """It takes a slot as soon as one is free."""
        return True

    def waiting(self, reason: str) -> None:
        """Say what it waits for, once."""
        self._say(f"waiting for a GPU slot: {reason}")

    def started(self, *, is_new: bool) -> None:
        """Its end comes soon enough."""

    def contact(self, is_there: bool) -> None:
        """Say that the host was lost, or that it is back."""
        self._say("the host answers again" if is_there else "the host does not answer; waiting for it")

    def _say(self, news: str) -> None:
        if news != self._news:
            self._news = news
            self.on_news(news)


def run_smoke_job(host: Host, image: str, *, on_news: Callable[[str], None], request: SmokeRequest = PREVIEW) -> int:
    """Let a host make a video of a few frames, bring it home and look at it; nothing of it stays anywhere.

    Returns:
        Frames in the video.

    Raises:
        HostError: The host could not carry the job out.
        ModelError: The program could not; the message has its last lines.
    """
    with TemporaryDirectory(prefix="cosmos-smoke-") as name:
        folder = Path(name)
        job = _job(host, image, request, _clip(folder / "clip.mp4", request))
        watch, log = _Watch(on_news), folder / "log"
        try:
            execution.stage_in(job, host, watch, on_sent=ignore_bytes)
            computation = execution.compute(job, request.operation, host, watch, labels=LABELS, log=log)
            return _judged(job, request, host, computation, folder)
        finally:
            _clean_up(job, host)


def _clip(path: Path, request: SmokeRequest) -> Path:
    """Noise: a clip that no other job has, so that its input can go in the end."""
    noise, size = np.random.default_rng(), (request.height_px, request.width_px, 3)
    with open_writer(path, width_px=request.width_px, height_px=request.height_px, fps=FPS, time_base=1 / FPS) as writer:
        for index in range(request.frame_count):
            writer.write(Frame(noise.integers(0, 256, size, np.uint8), index, 1, 1 / FPS))
    return path


def _job(host: Host, image: str, request: SmokeRequest, clip: Path) -> Job:
    operation = request.operation
    prompt = Prompt(text="a street at dawn", inputs=dict.fromkeys((VIDEO, *request.controls), clip))
    params = completed(operation, request.params, prompt, prompt.inputs)
    run = Run(prompt.id, operation.name, operation.family, params, request_key=new_id("rq"))
    job_id = new_id("jb")
    sample = sample_of(operation, run, prompt, prompt.inputs, prepared=clip.parent)
    return job_of(operation, job_id, [sample], host.paths(host_folder(job_id)), image=image)


def _judged(job: Job, request: SmokeRequest, host: Host, computation: Computation, folder: Path) -> int:
    (item,) = job.items
    outcome = execution.judge(job, request.operation, host, computation)[item.run_id]
    if isinstance(outcome, NotCompleted):
        last = " | ".join((folder / "log").read_text(encoding="utf-8").splitlines()[-5:])
        raise type(outcome.error)(f"host {host.name}: the smoke job failed: {outcome.error}" + (f" ({last})" if last else ""))
    assert isinstance(outcome, Completed)
    return _brought_home(job, request, item, outcome, host, folder)


def _brought_home(job: Job, request: SmokeRequest, item: JobItem, outcome: Completed, host: Host, folder: Path) -> int:
    files = execution.stage_out(job, item, outcome, host, folder / "home")
    found, wanted = probe(files[VIDEO]).frame_count, request.frame_count
    if found != wanted:
        raise SampleFailedError(f"host {host.name}: the video of the smoke job has {found} frames, not {wanted}")
    return found


def _clean_up(job: Job, host: Host) -> None:
    # What went wrong before is what the user must hear of.
    with suppress(HostError):
        host.stop(job.container_name, grace_s=0)
        execution.clean_up(job, host)
        for file in job.inputs:
            host.remove_folder(file.host_path)
