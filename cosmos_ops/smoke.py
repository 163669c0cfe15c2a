"""The smoke job: a tiny run of the preview family through the ordinary path, to see that a host can really do work."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from cosmos_ops import execution
from cosmos_ops.errors import HostError, SampleFailedError
from cosmos_ops.execution import Computation
from cosmos_ops.intake import job_of, sample_of
from cosmos_ops.job import Completed, Event, Job, JobItem, LogLine, NotCompleted, host_folder
from cosmos_ops.media.frames import Frame, open_writer
from cosmos_ops.media.probe import probe
from cosmos_ops.names import new_id
from cosmos_ops.operations.inference_preview import INFERENCE_PREVIEW, InferencePreview
from cosmos_ops.remote.host import Host, ignore_bytes
from cosmos_ops.runs import VIDEO, Prompt, Run

FRAME_COUNT, WIDTH_PX, HEIGHT_PX = 3, 64, 48
FPS = Fraction(24)
LABELS = {"cosmos.smoke": "yes"}
"""No store knows this job, and none looks for it."""


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

    def started(self) -> None:
        """Its end comes soon enough."""

    def contact(self, is_there: bool) -> None:
        """Say that the host was lost, or that it is back."""
        self._say("the host answers again" if is_there else "the host does not answer; waiting for it")

    def _say(self, news: str) -> None:
        if news != self._news:
            self._news = news
            self.on_news(news)


def run_smoke_job(host: Host, image: str, *, on_news: Callable[[str], None]) -> int:
    """Let a host make a video of a few frames, bring it home and look at it; nothing of it stays anywhere.

    Returns:
        Frames in the video.

    Raises:
        HostError: The host could not carry the job out.
        ModelError: The program could not; the message has its last lines.
    """
    with TemporaryDirectory(prefix="cosmos-smoke-") as name:
        folder = Path(name)
        job = _job(host, image, _clip(folder / "clip.mp4"))
        watch, log = _Watch(on_news), folder / "log"
        try:
            execution.stage_in(job, host, watch, on_sent=ignore_bytes)
            computation = execution.compute(job, INFERENCE_PREVIEW, host, watch, labels=LABELS, log=log)
            return _judged(job, host, computation, folder)
        finally:
            _clean_up(job, host)


def _clip(path: Path) -> Path:
    """Noise: a clip that no other job has, so that its input can go in the end."""
    noise = np.random.default_rng()
    with open_writer(path, width_px=WIDTH_PX, height_px=HEIGHT_PX, fps=FPS, time_base=1 / FPS) as writer:
        for index in range(FRAME_COUNT):
            picture = noise.integers(0, 256, (HEIGHT_PX, WIDTH_PX, 3), np.uint8)
            writer.write(Frame(picture, index, 1, 1 / FPS))
    return path


def _job(host: Host, image: str, clip: Path) -> Job:
    prompt = Prompt(text="a street at dawn", inputs={VIDEO: clip})
    params = InferencePreview()
    run = Run(prompt.id, INFERENCE_PREVIEW.name, INFERENCE_PREVIEW.family, params, request_key=new_id("rq"))
    job_id = new_id("jb")
    sample = sample_of(INFERENCE_PREVIEW, run, prompt, prompt.inputs, prepared=clip.parent)
    return job_of(INFERENCE_PREVIEW, job_id, [sample], host.paths(host_folder(job_id)), image=image)


def _judged(job: Job, host: Host, computation: Computation, folder: Path) -> int:
    (item,) = job.items
    outcome = execution.judge(job, INFERENCE_PREVIEW, host, computation)[item.run_id]
    if isinstance(outcome, NotCompleted):
        last = " | ".join((folder / "log").read_text(encoding="utf-8").splitlines()[-5:])
        raise type(outcome.error)(f"host {host.name}: the smoke job failed: {outcome.error}" + (f" ({last})" if last else ""))
    assert isinstance(outcome, Completed)
    return _brought_home(job, item, outcome, host, folder)


def _brought_home(job: Job, item: JobItem, outcome: Completed, host: Host, folder: Path) -> int:
    files = execution.stage_out(job, item, outcome, host, folder / "home")
    frame_count = probe(files[VIDEO]).frame_count
    if frame_count != FRAME_COUNT:
        raise SampleFailedError(f"host {host.name}: the video of the smoke job has {frame_count} frames, not {FRAME_COUNT}")
    return frame_count


def _clean_up(job: Job, host: Host) -> None:
    # What went wrong before is what the user must hear of.
    with suppress(HostError):
        host.stop(job.container_name, grace_s=0)
        execution.clean_up(job, host)
        for file in job.inputs:
            host.remove_folder(file.host_path)
