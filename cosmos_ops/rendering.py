"""A job as files to look at: all that would be staged, and what would be started, without any host."""

import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cosmos_ops.job import MODELS_FOLDER, InputFile, Job, JobPaths
from cosmos_ops.remote.containers import ENVIRONMENT, INPUTS_FOLDER, JOB_FOLDER

PATHS = JobPaths(job=JOB_FOLDER, inputs=INPUTS_FOLDER)
"""What every container sees."""


def render_job(job: Job, folder: Path, *, about: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Write the files of a job and `job.json` into a folder.

    Args:
        job: The job, built with `PATHS`.
        folder: Where; it is made.
        about: Run id to what the reader of `job.json` may want to know of it beside what the job has.

    Returns:
        What `job.json` holds.
    """
    path_map: dict[str, str] = {}
    for file in job.files:
        path_map[str(JOB_FOLDER / file.path)] = str(Path("job", file.path).as_posix())
        target = folder / "job" / file.path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(file.text, encoding="utf-8", newline="")
    for one in job.inputs:
        path_map[str(PATHS.input(one))] = f"inputs/{one.host_path.name}"
        _bring(one, folder / "inputs" / one.host_path.name)
    record = _record(job, about, path_map)
    (folder / "job.json").write_text(json.dumps(record, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return record


def _record(job: Job, about: Mapping[str, Mapping[str, Any]], path_map: Mapping[str, str]) -> dict[str, Any]:
    container = job.container
    return {
        "operation": job.operation,
        "family": job.family,
        "image": container.image,
        "argv": list(container.argv),
        "env": {**ENVIRONMENT, **container.env},
        "workdir": container.workdir,
        "gpus": container.gpu_count,
        "network": "bridge" if container.has_network else "none",
        "mounts": _mounts(job),
        "files": [str(JOB_FOLDER / file.path) for file in job.files],
        "inputs": [{"path": str(PATHS.input(file)), "sha256": file.sha256, "source": str(file.source)} for file in job.inputs],
        "runs": [
            {
                "id": item.run_id,
                **about.get(item.run_id, {}),
                "markers": [str(JOB_FOLDER / marker) for marker in item.markers],
                "outputs": [
                    {"role": file.role, "path": str(JOB_FOLDER / file.path), "optional": file.is_optional}
                    for file in item.outputs
                ],
                "pieces": [list(piece) for piece in item.pieces],
            }
            for item in job.items
        ],
        "checkpoints": {"family": container.family, "modes": list(container.modes)},
        "stall_limit_s": {"default": job.stall_limit_s, **job.stall_limits_s},
        "path_map": dict(path_map),
    }


def _mounts(job: Job) -> list[dict[str, Any]]:
    """Sources are relative to the workspace of the host."""
    mounts = [
        {"source": str(job.host_folder), "target": str(JOB_FOLDER), "read_only": False},
        {"source": "inputs", "target": str(INPUTS_FOLDER), "read_only": True},
    ]
    if job.container.family:
        mounts.append({"source": "models", "target": str(MODELS_FOLDER), "read_only": True})
    return mounts


def _bring(file: InputFile, target: Path) -> None:
    """A second name for the same file, where the file system can do that."""
    target.parent.mkdir(parents=True, exist_ok=True)
    target.unlink(missing_ok=True)
    try:
        os.link(file.source, target)
    except OSError:
        shutil.copyfile(file.source, target)
