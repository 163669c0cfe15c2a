"""Our jobs, run by a strict simulation of the Cosmos 3 programs and judged by what they say and leave."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from cosmos_ops.job import Completed, NotRun, SampleProgress
from cosmos_ops.media.probe import probe
from cosmos_ops.operations.enhance_cosmos3 import ENHANCE_COSMOS3
from cosmos_ops.operations.inference_cosmos3 import INFERENCE_COSMOS3
from tests.builders import a_clip
from tests.models.program import video_digest

from .cosmos3_place import SHORT, Place, kinds, only, write_clips
from .cosmos3_samples import SERVER


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    return write_clips(tmp_path_factory.mktemp("clips"))


@pytest.fixture
def place(tmp_path):
    return Place(tmp_path / "host")


def test_all_modes_and_controls_in_one_process(place, clips):
    cases = [
        (only(clips, "video"), {}),
        (only(clips, "video", "depth"), {"edge_weight": 1, "depth_weight": 0.5, "vis_weight": 2}),
        (
            only(clips, "edge", "vis", "depth", "seg", "wsm"),
            dict.fromkeys([f"{c}_weight" for c in ("edge", "vis", "depth", "seg", "wsm")], 1),
        ),
        ({"edge": clips["still"]}, {}),
        (only(clips, "image"), {"mode": "image2image", "edge_weight": 1}),
        ({}, {"mode": "text2video", "num_frames": 25}),
        ({}, {"mode": "text2image"}),
        (only(clips, "image"), {"edge_weight": 0, "num_frames": 25}),
        (only(clips, "video"), {"mode": "video2video", "num_frames": 25}),
        (only(clips, "image"), {"mode": "image2image"}),
    ]
    samples = [place.sample(INFERENCE_COSMOS3, n, videos, **SHORT, **values) for n, (videos, values) in enumerate(cases, 1)]
    job, events, outcomes = place.run(INFERENCE_COSMOS3, samples)

    assert set(kinds(outcomes)) == {"Completed"}
    made = {run_id: set(outcome.files) - {"spec"} for run_id, outcome in outcomes.items()}
    assert made["rs_2"] == {"video", "control_edge", "control_vis", "control_depth"}
    assert made["rs_4"] == {"image", "control_edge"}
    assert made["rs_7"] == {"image"}
    assert all(json.loads((place.job / outcome.files["spec"].path).read_text()) for outcome in outcomes.values())
    assert probe(place.job / outcomes["rs_1"].files["video"].path).frame_count == 30
    last = {event.run_id: (event.done, event.total) for event in events if isinstance(event, SampleProgress)}
    assert last == {item.run_id: (2, 2) for item in job.items}


def test_progress_adds_the_chunks_up(place, tmp_path):
    long = {"video": a_clip(tmp_path / "long.mp4", frame_count=250)}
    _, events, outcomes = place.run(INFERENCE_COSMOS3, [place.sample(INFERENCE_COSMOS3, 1, long, **SHORT)])
    progress = [(event.done, event.total) for event in events if isinstance(event, SampleProgress)]

    assert kinds(outcomes) == ["Completed"]
    assert progress[-1] == (6, 6)
    assert progress == sorted(progress)


def test_a_video_that_the_program_refuses_is_made_an_mp4(place, tmp_path):
    videos = {"video": a_clip(tmp_path / "clip.mov", frame_count=26), "depth": a_clip(tmp_path / "depth.mkv", frame_count=26)}
    sample = place.sample(INFERENCE_COSMOS3, 1, videos, **SHORT, edge_weight=1, depth_weight=1)

    assert kinds(place.run(INFERENCE_COSMOS3, [sample])[2]) == ["Completed"]


def batch(place, clips, orders, **values):
    return [
        place.sample(INFERENCE_COSMOS3, n, only(clips, "video"), f"street {n} {orders.get(n, '')}", **SHORT, seed=n, **values)
        for n in range(1, 9)
    ]


def test_a_sample_gives_the_same_alone_and_in_a_batch(place, tmp_path, clips):
    samples = batch(place, clips, {})
    samples[1] = place.sample(INFERENCE_COSMOS3, 2, only(clips, "depth", "seg"), **SHORT, depth_weight=1, seg_weight=3)
    together = place.run(INFERENCE_COSMOS3, samples)[2]
    other = Place(tmp_path / "other")
    alone = other.run(
        INFERENCE_COSMOS3,
        [other.sample(INFERENCE_COSMOS3, 2, only(clips, "depth", "seg"), **SHORT, depth_weight=1, seg_weight=3)],
    )[2]

    digests = {run_id: video_digest(place.job / outcome.files["video"].path) for run_id, outcome in together.items()}
    assert len(set(digests.values())) == 8
    assert video_digest(other.job / alone["rs_2"].files["video"].path) == digests["rs_2"]


def test_a_blocked_third_sample_leaves_the_others_alone(place, clips):
    values = {"mode": "text2video", "num_frames": 25, "guardrails": True}
    outcomes = place.run(INFERENCE_COSMOS3, batch(place, clips, {3: "order=block"}, **values))[2]

    assert kinds(outcomes) == ["Completed", "Completed", "SampleBlockedError", *["Completed"] * 5]


def test_a_third_sample_that_crashes_gives_the_rest_back(place, clips):
    outcomes = place.run(INFERENCE_COSMOS3, batch(place, clips, {3: "order=oom"}))[2]

    assert kinds(outcomes) == ["Completed", "Completed", "GPUMemoryError", *["NotRun"] * 5]
    assert all(isinstance(outcomes[f"rs_{n}"], Completed | NotRun) for n in (1, 2, 4, 8))


def test_a_full_disk_at_the_third_sample_is_its_own_failure(place, clips):
    outcomes = place.run(INFERENCE_COSMOS3, batch(place, clips, {3: "order=diskfull"}))[2]

    assert kinds(outcomes)[:2] == ["Completed", "Completed"]
    assert "No space left" in str(outcomes["rs_3"].error)


def test_the_reasoner_rewrites_a_batch(place, clips):
    samples = [
        place.sample(ENHANCE_COSMOS3, 1, only(clips, "video"), text="a street"),
        place.sample(ENHANCE_COSMOS3, 2, only(clips, "image"), text="a house", temperature=0.8, top_p=0.9, top_k=5),
        place.sample(ENHANCE_COSMOS3, 3, {}, text="a tree", repetition_penalty=1.1, presence_penalty=0.5),
    ]
    _, events, outcomes = place.run(ENHANCE_COSMOS3, samples)

    assert kinds(outcomes) == ["Completed"] * 3
    texts = {run_id: (place.job / outcome.files["prompt"].path).read_text() for run_id, outcome in outcomes.items()}
    assert all(texts.values())
    assert len(set(texts.values())) == 3
    assert events


class Chat(BaseHTTPRequestHandler):
    """A language model that refuses one prompt and whoever lacks the token."""

    def do_POST(self):
        asked = self.rfile.read(int(self.headers["Content-Length"])).decode()
        is_welcome = self.headers["Authorization"] == "Bearer s3cret" and "refuse" not in asked
        content = json.dumps({"temporal_caption": "a wet street"})
        answer = json.dumps({"choices": [{"message": {"content": content}}]} if is_welcome else {"error": "no"}).encode()
        self.send_response(200 if is_welcome else 401)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_):
        """Silent."""


@pytest.fixture
def chat():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Chat)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/v1"
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_server_rewrites_one_prompt_after_another(place, clips, chat):
    values = {**SERVER, "endpoint_url": chat, "model": "m", "max_retries": 1}
    samples = [
        place.sample(ENHANCE_COSMOS3, 1, only(clips, "video"), text="a street\nin rain", **values),
        place.sample(ENHANCE_COSMOS3, 2, {}, text="refuse this", **values),
        place.sample(
            ENHANCE_COSMOS3, 3, only(clips, "image"), text="a house", temperature=0.5, top_p=0.9, top_k=3, min_p=0.1, **values
        ),
    ]
    _, _, outcomes = place.run(ENHANCE_COSMOS3, samples, PROMPT_UPSAMPLER_API_TOKEN="s3cret")

    assert kinds(outcomes) == ["Completed", "SampleFailedError", "Completed"]
    caption = json.loads((place.job / outcomes["rs_1"].files["prompt"].path).read_text())
    assert (caption["temporal_caption"], caption["fps"]) == ("a wet street", 24)
    assert "401" in str(outcomes["rs_2"].error)
