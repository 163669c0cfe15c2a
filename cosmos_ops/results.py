"""The folders of results: where each run's files lie, and the pictures that make them easy to look at."""

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from loguru import logger

from cosmos_ops.errors import CosmosError, OutputsFolderError
from cosmos_ops.files import disk_faults_said, write_file
from cosmos_ops.gpu_watch import read_watched
from cosmos_ops.job import Job
from cosmos_ops.media.gpu_plot import write_gpu_plot
from cosmos_ops.media.pictures import write_contact_sheet, write_thumbnail
from cosmos_ops.names import file_name
from cosmos_ops.runs import VIDEO, Prompt, Run, RunOutputs

LOG_NAME = "run.log"
SPEC_NAME = "spec.json"
GPU_PLOT_NAME = "gpu.png"


@dataclass(frozen=True)
class ResultsFolder:
    """`<root>/<prompt>/<operation>-<run id>/`: all that grew from one prompt lies side by side."""

    root: Path

    def check(self) -> None:
        """Make sure that results can be written.

        Raises:
            OutputsFolderError: They cannot.
        """
        try:
            (self.root / ".staging").mkdir(parents=True, exist_ok=True)
            trial = self.root / ".staging" / f"trial-{os.getpid()}"
            trial.write_text("", encoding="utf-8")
            trial.unlink()
        except OSError as error:
            raise OutputsFolderError(
                f"the outputs folder {self.root} cannot be written ({error.strerror}); make it writable, or set COSMOS_OUTPUTS"
            ) from error

    def prompt_folder(self, root_prompt: Prompt) -> Path:
        """The folder of a prompt that was not enhanced from another one."""
        name = root_prompt.name or " ".join(root_prompt.text.split()[:6])
        return self.root / f"{file_name(name, fallback='video')}-{root_prompt.id.rpartition('_')[2]}"

    def run_folder(self, run: Run, root_prompt: Prompt) -> Path:
        """Where a run's files lie in the end."""
        return self.prompt_folder(root_prompt) / f"{run.operation}-{run.id}"

    def staging_folder(self, run: Run) -> Path:
        """Where they are gathered before; on the same file system, so that the last step is one rename."""
        return self.root / ".staging" / run.id

    def job_log(self, job_id: str) -> Path:
        """The log of a job while it is followed; every run of it gets a copy."""
        return self.root / ".staging" / f"{job_id}.log"

    @property
    def prepared_folder(self) -> Path:
        """Where files lie that were made from inputs, before they are sent."""
        return self.root / ".prepared"

    def gpu_log(self, job_id: str) -> Path:
        """What its GPUs did while a job was followed; every run of it gets a plot."""
        return self.root / ".staging" / f"{job_id}.gpu.csv"

    def clear_staging(self, run_id: str) -> None:
        """Remove what was gathered for a run that could not be brought home."""
        shutil.rmtree(self.root / ".staging" / run_id, ignore_errors=True)

    def keep_log(self, run_id: str, job_id: str) -> None:
        """Keep the log of a job in which a run did not get through; it goes to the run's folder with its results."""
        kept = self.kept_log(run_id, job_id)
        with disk_faults_said(kept):
            kept.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(self.job_log(job_id), kept)

    def kept_log(self, run_id: str, job_id: str) -> Path:
        """Where the log of a job lies in which a run did not get through."""
        return self.root / ".staging" / run_id / f"earlier-{job_id}.log"

    def renew_log(self, run: Run, job_id: str) -> None:
        """Give a run whose results came home before its job had ended the whole log of the job."""
        if run.outputs.log is not None:
            target = self.absolute(run.outputs.log)
            with disk_faults_said(target):
                write_file(target, self.job_log(job_id).read_bytes())

    def absolute(self, path: PurePosixPath) -> Path:
        """A recorded path as a path of this machine."""
        return self.root / path


def gather(
    results: ResultsFolder, run: Run, root_prompt: Prompt, *, job: Job, files: Mapping[str, Path], inputs: Mapping[str, Path]
) -> RunOutputs:
    """Put everything that a run left into its final folder, with spec, log and pictures, by one rename.

    Args:
        results: Where results go.
        run: The run.
        root_prompt: The first prompt of its lineage, which names the folder.
        job: The job that it ran in.
        files: Role to file in the run's staging folder; empty for a run that did not complete.
        inputs: Role to input video, shown beside the output.

    Raises:
        DiskFullError: No space left; what is in the staging folder may go.
        OutputsFolderError: The disk refuses for another reason.
    """
    staging = results.staging_folder(run)
    final = results.run_folder(run, root_prompt)
    with disk_faults_said(final):
        if _job_of(final) != job.id:
            _fill(staging, results.job_log(job.id), run, job, files, inputs)
            with _only_looked_at(final):
                write_gpu_plot(read_watched(results.gpu_log(job.id)), staging / GPU_PLOT_NAME)
            _put_in_place(staging, final)
        shutil.rmtree(staging, ignore_errors=True)
        return _outputs(final.relative_to(results.root), {path.name for path in final.iterdir()})


def _fill(staging: Path, log: Path, run: Run, job: Job, files: Mapping[str, Path], inputs: Mapping[str, Path]) -> None:
    staging.mkdir(parents=True, exist_ok=True)
    for left in staging.glob(".*.partial"):
        left.unlink()
    # There is none where the disk took no line of it.
    if log.exists():
        shutil.copyfile(log, staging / LOG_NAME)
    _write_spec(staging / SPEC_NAME, job, run)
    if "video" in files:
        with _only_looked_at(staging):
            _draw(staging, files, inputs)


def _job_of(folder: Path) -> str | None:
    """The job whose results a folder holds; none if there are none yet."""
    try:
        return str(json.loads((folder / SPEC_NAME).read_text(encoding="utf-8"))["job"])
    except (OSError, ValueError, KeyError):
        return None


def _put_in_place(staging: Path, final: Path) -> None:
    """One rename; what an earlier job left there makes room first."""
    final.parent.mkdir(parents=True, exist_ok=True)
    if final.exists():
        earlier = staging.with_name(f"{staging.name}.earlier")
        final.rename(earlier)
        shutil.rmtree(earlier, ignore_errors=True)
    staging.rename(final)


def _outputs(folder: Path, names: set[str]) -> RunOutputs:
    def at(name: str) -> PurePosixPath | None:
        return PurePosixPath(folder.as_posix()) / name if name in names else None

    return RunOutputs(
        video=at("video.mp4"),
        thumbnail=at("thumbnail.jpg"),
        contact_sheet=at("contact_sheet.jpg"),
        spec=at(SPEC_NAME),
        log=at(LOG_NAME),
        prompt=at("prompt.txt"),
        image=at("image.jpg"),
        gpu_plot=at(GPU_PLOT_NAME),
    )


def _write_spec(path: Path, job: Job, run: Run) -> None:
    """The spec as run: what the program says of the sample, and the process that it ran in."""
    sample = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {"params": run.params.model_dump(mode="json")}
    process = {"image": job.container.image, "argv": list(job.container.argv), "env": dict(job.container.env)}
    inputs = {str(file.host_path): str(file.source) for file in job.inputs}
    record = {"run": run.id, "operation": run.operation, "family": run.family, "job": job.id}
    spec = {**record, "sample": sample, "process": process, "inputs": inputs}
    path.write_text(json.dumps(spec, indent=2, ensure_ascii=False) + "\n", encoding="utf-8", errors="backslashreplace")


def _draw(folder: Path, files: Mapping[str, Path], inputs: Mapping[str, Path]) -> None:
    write_thumbnail(files["video"], folder / "thumbnail.jpg")
    rows: dict[str, Path] = {}
    if VIDEO in inputs:
        rows["input"] = inputs[VIDEO]
    rows |= {role: path for role, path in inputs.items() if role != VIDEO}
    rows |= {role.removeprefix("control_"): path for role, path in files.items() if role.startswith("control_")}
    write_contact_sheet({**rows, "output": files["video"]}, folder / "contact_sheet.jpg")


@contextmanager
def _only_looked_at(folder: Path) -> Iterator[None]:
    """The result counts, its pictures are a convenience: an input may be gone by now."""
    try:
        yield
    except (CosmosError, OSError, ValueError) as error:
        logger.warning("A picture is missing in {}: {}", folder.name, error)
