"""Prompt enhancement by a server: our script calls NVIDIA's client once for each prompt, in a container without a GPU."""

import re
from collections.abc import Callable, Sequence
from pathlib import Path, PurePosixPath

from cosmos_ops.job import (
    Event,
    ExpectedFile,
    Job,
    JobItem,
    JobPaths,
    Sample,
    SampleEnded,
    SampleFailed,
    SampleStarted,
    TextFile,
)
from cosmos_ops.operations import cosmos3_process as process
from cosmos_ops.operations import cosmos3_server_script
from cosmos_ops.operations.cosmos3_enhance_params import EnhanceCosmos3
from cosmos_ops.operations.cosmos3_reader import plain
from cosmos_ops.operations.cosmos3_shape import IMAGE
from cosmos_ops.operations.program_log import shortened, without_tokens

SCRIPT = PurePosixPath("upsample.py")
REQUESTS = PurePosixPath("requests.jsonl")
TEXT = "prompt.txt"

_SAID = re.compile(r"Prompt (\S+) (started|saved|failed)(?:: (.*))?$")
_REASON = re.compile(r"[\w.]*(?:Error|Exception): .+|\S+: error: (.+)")
_CALLS = 2
"""The client asks twice for a prompt: for a rewritten text, and for that as JSON."""
_MARGIN_S = 600.0


def build_job(job_id: str, samples: Sequence[Sample[EnhanceCosmos3]], paths: JobPaths) -> Job:
    """The job of one batch of prompts; the token is in the environment of the host, never here."""
    params = samples[0].run.params
    requests = [_request(sample, paths) for sample in samples]
    shown = [sample.inputs[IMAGE] for sample in samples if sample.run.params.task == "image2video"]
    script = Path(cosmos3_server_script.__file__).read_text(encoding="utf-8")
    return Job(
        id=job_id,
        operation="enhance",
        family=process.FAMILY,
        container=process.container(["python", str(paths.job / SCRIPT)], paths, gpu_count=0, modes=(), has_network=True),
        inputs=tuple({file.host_path: file for file in shown}.values()),
        files=(TextFile(REQUESTS, process.jsonl(requests)), TextFile(SCRIPT, script)),
        items=tuple(_item(sample.run.id) for sample in samples),
        # Between two tries the client waits 1, 2, 4, ... seconds.
        stall_limit_s=_MARGIN_S + _CALLS * (params.max_retries * params.timeout_s + 2**params.max_retries),
    )


def _request(sample: Sample[EnhanceCosmos3], paths: JobPaths) -> dict[str, object]:
    params, image = sample.run.params, sample.inputs.get(IMAGE)
    shown = {"image": str(paths.input(image))} if image and params.task == "image2video" else {}
    return {"name": sample.run.id, "prompt": sample.prompt.text, "arguments": _arguments(params), **shown}


def _arguments(params: EnhanceCosmos3) -> list[str]:
    values: dict[str, object] = {
        "--mode": params.task,
        "--endpoint-url": params.endpoint_url or None,
        "--model": params.model or None,
        "--resolution": params.resolution,
        "--aspect-ratio": params.aspect_ratio,
        "--duration": f"{params.duration_s}s",
        "--fps": params.fps,
        "--timeout-s": params.timeout_s,
        "--max-tokens": params.max_tokens,
        "--max-retries": params.max_retries,
        "--temperature": params.temperature,
        "--top-p": params.top_p,
        "--min-p": params.min_p,
        "--top-k": params.top_k,
    }
    return [part for flag, value in values.items() if value is not None for part in (flag, str(value))]


def _item(run_id: str) -> JobItem:
    folder = process.OUT / run_id
    text = ExpectedFile("prompt", folder / TEXT, TEXT)
    record = ExpectedFile("spec", folder / "prompt_0.json", "spec.json", is_optional=True)
    return JobItem(run_id, folder, markers=(folder / TEXT,), outputs=(text, record))


def reader(job: Job) -> Callable[[str], list[Event]]:
    """Follows the script; why a prompt failed is in the last error of the client before."""
    runs, reason = {item.run_id for item in job.items}, ""

    def read(line: str) -> list[Event]:
        nonlocal reason
        line = plain(line)
        found = _SAID.match(line)
        if found is None or found[1] not in runs:
            if why := _REASON.match(line):
                reason = why[1] or why[0]
            return []
        run_id, why_not = found[1], reason or found[3] or "the server gave no text"
        reason = ""
        if found[2] == "started":
            return [SampleStarted(run_id)]
        if found[2] == "failed":
            return [SampleFailed(run_id, shortened(without_tokens(why_not))), SampleEnded(run_id)]
        return [SampleEnded(run_id)]

    return read
