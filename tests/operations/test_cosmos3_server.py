"""Prompt enhancement by a server: what it is asked, how our script asks, and what its lines tell."""

import json
import subprocess
import sys

from cosmos_ops.errors import SampleFailedError
from cosmos_ops.job import (
    Completed,
    ContainerExit,
    SampleEnded,
    SampleFailed,
    SampleStarted,
)
from cosmos_ops.operations.enhance_cosmos3 import ENHANCE_COSMOS3

from .cosmos3_samples import SERVER, a_job, an_enhancement, enhanced, files, info, kinds


def test_a_server_needs_a_network_and_no_gpu_and_its_token_is_nowhere():
    job = a_job(an_enhancement(**SERVER, model="big"))
    (request,) = [json.loads(line) for line in job.files[0].text.splitlines()]

    assert (job.container.gpu_count, job.container.has_network, job.container.modes) == (0, True, ())
    assert job.container.argv == ("python", "/cosmos/job/upsample.py")
    assert dict(zip(request["arguments"][::2], request["arguments"][1::2], strict=True)) == {
        "--mode": "text2video",
        "--endpoint-url": "https://models.example/v1",
        "--model": "big",
        "--resolution": "720",
        "--aspect-ratio": "16,9",
        "--duration": "5s",
        "--fps": "24",
        "--timeout-s": "300",
        "--max-tokens": "8192",
        "--max-retries": "5",
    }
    assert "token" not in job.files[0].text.replace("--max-tokens", "")
    assert not any("TOKEN" in name for name in job.container.env)


def test_a_server_is_told_the_size_and_rate_of_the_input():
    video = {"video": info("video.mp4", frames=240, width=720, height=1280, fps="30000/1001")}
    params = an_enhancement(videos=video, **SERVER).run.params

    assert (params.task, params.aspect_ratio, params.fps, params.duration_s) == ("text2video", "9,16", 30, 8)


def test_a_server_sees_the_image():
    job = a_job(an_enhancement(videos=files("image.png"), **SERVER))
    request = json.loads(job.files[0].text)

    assert request["arguments"][:2] == ["--mode", "image2video"]
    assert request["image"] == "/cosmos/inputs/image1.png"
    assert len(job.inputs) == 1


def test_lines_of_the_server_script():
    reader = ENHANCE_COSMOS3.reader(a_job(an_enhancement(1, **SERVER), an_enhancement(2, **SERVER)))
    lines = [
        "Prompt rs_1 started",
        "Prompt rs_1 saved",
        "Prompt rs_2 started",
        "Traceback (most recent call last):",
        "RuntimeError: Prompt upsampler failed to upsample prompt after 5 attempts: HTTP 401 from https://models.example/v1",
        "Prompt rs_2 failed: the program ended with exit code 1",
        "Prompt rs_9 failed: who is that",
    ]

    assert [event for line in lines for event in reader(line)] == [
        SampleStarted("rs_1"),
        SampleEnded("rs_1"),
        SampleStarted("rs_2"),
        SampleFailed(
            "rs_2",
            "RuntimeError: Prompt upsampler failed to upsample prompt after 5 attempts: HTTP 401 from https://models.example/v1",
        ),
        SampleEnded("rs_2"),
    ]


FAKE = """
import argparse, json, os, pathlib, sys
parser = argparse.ArgumentParser(prog="prompt_upsampling.py")
for name in ("input", "output", "mode", "endpoint-url", "resolution", "aspect-ratio", "duration", "fps", "timeout-s",
             "max-tokens", "max-retries"):
    parser.add_argument(f"--{name}", required=True)
given = parser.parse_args()
prompts = [line for line in pathlib.Path(given.input).read_text().splitlines() if line.strip()]
assert len(prompts) == 1, prompts
if "refuse" in prompts[0]:
    raise RuntimeError("Prompt upsampler failed to upsample prompt after 5 attempts: HTTP 401")
text = "" if "empty" in prompts[0] else json.dumps({"caption": prompts[0], "token": os.environ["PROMPT_UPSAMPLER_API_TOKEN"]})
pathlib.Path(given.output, "prompt_0.json").write_text(json.dumps({"prompt": text}))
"""


def test_the_server_script_does_one_prompt_after_another_and_goes_on_after_a_failure(tmp_path):
    package = tmp_path / "lib" / "cosmos_framework" / "inference"
    package.mkdir(parents=True)
    (package / "prompt_upsampling.py").write_text(FAKE)
    texts = ["a street\nin rain", "please refuse", "stay empty", "the last"]
    job = a_job(*(an_enhancement(number, text=text, **SERVER) for number, text in enumerate(texts, 1)))
    for file in job.files:
        (tmp_path / file.path).write_text(file.text)

    ended = subprocess.run(
        [sys.executable, str(tmp_path / "upsample.py")],
        env={"PYTHONPATH": str(tmp_path / "lib"), "PROMPT_UPSAMPLER_API_TOKEN": "s3cret"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    reader = ENHANCE_COSMOS3.reader(job)
    events = [event for line in ended.stdout.splitlines() for event in reader(line)]
    texts = {path.parent.name: path.read_text() for path in tmp_path.glob("out/*/prompt.txt")}
    outcomes = ENHANCE_COSMOS3.read_outputs(job, ContainerExit(ended.returncode), events, enhanced(job, texts, reasoner=False))

    assert kinds(outcomes) == [Completed, SampleFailedError, SampleFailedError, Completed]
    assert json.loads(texts["rs_1"]) == {"caption": "a street in rain", "token": "s3cret"}
    assert "HTTP 401" in str(outcomes["rs_2"].error)
    assert "empty text" in str(outcomes["rs_3"].error)
    assert ended.returncode == 1


def test_a_server_may_take_as_long_as_all_its_tries_together():
    def limit(**values):
        return a_job(an_enhancement(**SERVER, **values)).stall_limit_s

    assert limit() > 2 * 5 * 300
    assert limit(timeout_s=10, max_retries=1) < limit()
