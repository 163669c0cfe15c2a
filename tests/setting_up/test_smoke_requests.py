"""The smoke job of each GPU family asks for what its operation takes, and reads no model file that was not brought."""

from pathlib import PurePosixPath

import pytest

from cosmos_ops.checkpoints import DEFAULT_MODES, MODES, checkpoints_for
from cosmos_ops.intake import check_request, completed, sample_of
from cosmos_ops.job import JobPaths
from cosmos_ops.runs import VIDEO, Prompt, Run
from cosmos_ops.setting_up.smoke_requests import smoke_request
from tests.media.videos import write_clip

PATHS = JobPaths(job=PurePosixPath("/cosmos/job"), inputs=PurePosixPath("/cosmos/inputs"))
CASES = [*DEFAULT_MODES.items(), *((family, (mode,)) for family, modes in MODES.items() for mode in modes)]


@pytest.fixture
def job_of_smoke(tmp_path):
    """The job of a request, once its operation has nothing against it."""

    def job(request):
        clip = write_clip(
            tmp_path / "clip.mp4", width=request.width_px, height=request.height_px, frame_count=request.frame_count
        )
        inputs = dict.fromkeys((VIDEO, *request.controls), clip)
        check_request(request.operation, request.params, "a street at dawn", inputs)
        prompt = Prompt(text="a street at dawn", inputs=inputs)
        params = completed(request.operation, request.params, prompt, inputs)
        run = Run(prompt.id, request.operation.name, request.operation.family, params, request_key="rq")
        sample = sample_of(request.operation, run, prompt, inputs, prepared=tmp_path)
        return request.operation.build_job("jb", [sample], PATHS)

    return job


@pytest.mark.parametrize(("family", "modes"), CASES, ids=lambda value: value if isinstance(value, str) else "+".join(value))
def test_it_reads_only_what_was_brought(family, modes, job_of_smoke):
    request = smoke_request(family, modes, gpu_count=1)
    if request is None:
        assert modes not in DEFAULT_MODES.values()
        return

    job = job_of_smoke(request)

    assert set(checkpoints_for(family, job.container.modes)) <= set(checkpoints_for(family, modes))
    assert job.container.gpu_count == 1


@pytest.mark.parametrize(("gpu_count", "used"), [(1, 1), (2, 2), (3, 2), (4, 4), (8, 8)])
def test_a_model_that_is_too_large_for_most_gpus_takes_those_of_a_slot(gpu_count, used, job_of_smoke):
    assert job_of_smoke(smoke_request("cosmos3", ["super"], gpu_count=gpu_count)).container.gpu_count == used
    assert job_of_smoke(smoke_request("cosmos3", ["nano"], gpu_count=gpu_count)).container.gpu_count == 1
