"""The program's contract: files, markers, lines and exit codes, by running it.

- every sample gets its outputs and its own marker, and a bad one does not stop its neighbours
- a blocked sample has a reason and no video
- what is complete is not done again
- SIGTERM ends it with 143 and leaves no partial file
"""

import hashlib
import json
import re
import signal
import subprocess
from fractions import Fraction

import pytest

from cosmos_ops.media.frames import Frame, open_writer
from cosmos_ops.media.probe import probe

from .program import (
    ENVIRONMENT,
    command,
    marker,
    names,
    run_samples,
    scene,
    stamps,
    write_samples,
    write_scene,
)


def an_inference(name, video, **changes):
    return {"name": name, "prompt": "a city", "video": str(video), "controls": {"vis": {"weight": 1.0}}, **changes}


def test_an_inference_leaves_video_controls_spec_and_marker(tmp_path):
    video = write_scene(tmp_path / "in.mp4")
    controls = {"vis": {"weight": 0.5}, "edge": {"weight": 1}, "depth": {"weight": 0.3, "input": str(video)}}

    result, out = run_samples(tmp_path, "inference", an_inference("rs_a", video, controls=controls))

    assert (result.returncode, result.stderr) == (0, "")
    assert names(out / "rs_a") == ["control_edge.mp4", "control_vis.mp4", "done.json", "spec.json", "video.mp4"]
    done = marker(out / "rs_a")
    assert (done["status"], done["frame_count"]) == ("completed", 6)
    assert set(done["files"]) == {"video", "control_vis", "control_edge", "spec"}
    for file in done["files"].values():
        content = (out / "rs_a" / file["path"]).read_bytes()
        assert (hashlib.sha256(content).hexdigest(), len(content)) == (file["sha256"], file["size_bytes"])


def test_the_spec_has_all_defaults_filled_in(tmp_path):
    _, out = run_samples(tmp_path, "inference", an_inference("a", write_scene(tmp_path / "in.mp4")), flags=["--crf", "30"])

    spec = json.loads((out / "a" / "spec.json").read_text())

    assert (spec["negative_prompt"], spec["seed"], spec["guidance"], spec["max_frames"]) == ("", 1, 5.0, 0)
    assert (spec["operation"], spec["preview_version"]) == ("inference", "0.1.0")
    assert spec["flags"] == {"smoothing_passes": 1, "blur_strength": "medium", "edge_threshold": "medium", "crf": 30}


def test_the_lines_say_what_happens(tmp_path):
    video = write_scene(tmp_path / "in.mp4")

    result, _ = run_samples(tmp_path, "inference", an_inference("rs_a", video), an_inference("rs_b", video, prompt="gore"))

    lines = result.stdout.split("\n")
    assert lines[0] == "INFO cosmos preview 0.1.0: inference of 2 samples (classical processing, no neural model)"
    assert lines[1] == "INFO Loading controls: vis"
    assert lines[2] == "INFO [1/2] Sample rs_a started: 6 frames, 128x72, 24 fps"
    assert lines[3].endswith(f"\rSampling rs_a: 100%|{'#' * 40}| 6/6")
    assert re.fullmatch(r"INFO \[1/2\] Sample rs_a saved: video\.mp4, 6 frames in \d+\.\d s", lines[4])
    assert lines[5].startswith("WARNING [2/2] Sample rs_b blocked: the prompt names 'gore'")
    assert lines[6] == "INFO Finished: 1 completed, 1 blocked, 0 failed"


def test_a_blocked_sample_has_a_reason_and_no_video(tmp_path):
    video = write_scene(tmp_path / "in.mp4")

    result, out = run_samples(tmp_path, "inference", an_inference("a", video, prompt="A Gruesome scene"))

    assert result.returncode == 0
    assert names(out / "a") == ["done.json"]
    assert marker(out / "a")["status"] == "blocked"


def test_the_guardrail_reads_whole_words(tmp_path):
    result, out = run_samples(tmp_path, "enhance", {"name": "a", "prompt": "Gorenje factory, denuded hills"})

    assert marker(out / "a")["status"] == "completed", result.stdout


def test_a_failing_sample_does_not_stop_its_neighbours(tmp_path):
    video = write_scene(tmp_path / "in.mp4", frame_count=24)
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(video.read_bytes()[: int(video.stat().st_size * 0.8)])

    result, out = run_samples(
        tmp_path, "inference", *(an_inference(n, f) for n, f in (("a", video), ("b", broken), ("c", video)))
    )

    assert result.returncode == 1
    assert [marker(out / name)["status"] for name in "abc"] == ["completed", "failed", "completed"]
    assert marker(out / "b")["reason"].startswith("VideoUnreadableError: ")
    assert names(out / "b") == ["done.json"]
    assert "ERROR [2/3] Sample b failed: VideoUnreadableError: " in result.stdout


@pytest.mark.parametrize(("size", "frame_count", "words"), [((96, 72), 6, "scale it"), ((128, 72), 4, "4 of 6 frames")])
def test_a_control_that_does_not_fit_fails_its_sample(tmp_path, size, frame_count, words):
    video = write_scene(tmp_path / "in.mp4")
    control = write_scene(tmp_path / "edge.mp4", width=size[0], height=size[1], frame_count=frame_count)

    result, out = run_samples(
        tmp_path, "inference", an_inference("a", video, controls={"edge": {"weight": 1, "input": str(control)}})
    )

    assert result.returncode == 1
    assert words in marker(out / "a")["reason"]


def test_what_is_complete_is_not_done_again(tmp_path):
    sample = an_inference("a", write_scene(tmp_path / "in.mp4"))
    run_samples(tmp_path, "inference", sample)
    before = (tmp_path / "out" / "a" / "done.json").stat().st_mtime_ns

    result, out = run_samples(tmp_path, "inference", sample)

    assert "INFO [1/1] Sample a skipped: already complete" in result.stdout
    assert (out / "a" / "done.json").stat().st_mtime_ns == before


def test_what_failed_is_done_again(tmp_path):
    video = write_scene(tmp_path / "in.mp4")
    (tmp_path / "out" / "a").mkdir(parents=True)
    (tmp_path / "out" / "a" / "done.json").write_text('{"status": "failed", "reason": "x"}')

    _, out = run_samples(tmp_path, "inference", an_inference("a", video))

    assert marker(out / "a")["status"] == "completed"


def test_rate_length_and_size_are_those_of_the_input(tmp_path):
    video = write_scene(tmp_path / "in.mp4", frame_count=7, fps=Fraction(24000, 1001))

    _, out = run_samples(tmp_path, "inference", an_inference("a", video), an_inference("b", video, max_frames=3))

    info = probe(out / "a" / "video.mp4")
    assert (info.width_px, info.height_px, info.frame_count, info.fps) == (128, 72, 7, Fraction(24000, 1001))
    assert probe(out / "b" / "video.mp4").frame_count == 3


def test_variable_time_stamps_are_kept(tmp_path):
    video, tick = tmp_path / "in.mp4", Fraction(1, 1000)
    with open_writer(video, width_px=128, height_px=72, fps=Fraction(24), time_base=tick) as writer:
        for index, pts in enumerate((0, 10, 300, 310, 900)):
            writer.write(Frame(scene(index, 128, 72), pts, 10, tick))

    _, out = run_samples(tmp_path, "inference", an_inference("a", video))

    assert stamps(out / "a" / "video.mp4") == stamps(video)


def test_an_upscale_enlarges_and_keeps_the_rate(tmp_path):
    video = write_scene(tmp_path / "in.mp4", fps=Fraction(24000, 1001))

    result, out = run_samples(tmp_path, "upscale", {"name": "a", "video": str(video)}, flags=["--factor", "3"])

    assert result.returncode == 0, result.stdout
    info = probe(out / "a" / "video.mp4")
    assert (info.width_px, info.height_px, info.frame_count, info.fps) == (384, 216, 6, Fraction(24000, 1001))
    assert names(out / "a") == ["done.json", "spec.json", "video.mp4"]


def test_inputs_alone_need_no_video(tmp_path):
    control = write_scene(tmp_path / "edge.mp4")
    sample = {"name": "a", "prompt": "a city", "controls": {"edge": {"weight": 1, "input": str(control)}}}

    result, out = run_samples(tmp_path, "inference", sample)

    assert result.returncode == 0
    assert names(out / "a") == ["done.json", "spec.json", "video.mp4"]


def test_a_termination_leaves_no_partial_file(tmp_path):
    video = write_scene(tmp_path / "in.mp4", frame_count=400)
    samples = write_samples(tmp_path / "samples.jsonl", an_inference("a", video), an_inference("b", video))
    process = subprocess.Popen(
        command("inference", samples, tmp_path / "out"), env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    seen = b""
    while seen.count(b"Sampling") < 2:
        chunk = process.stdout.read1(4096)
        assert chunk, process.stderr.read()
        seen += chunk

    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=30)

    assert process.returncode == 143
    assert names(tmp_path / "out" / "a") == []
    assert not (tmp_path / "out" / "b").exists()
