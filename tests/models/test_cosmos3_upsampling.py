"""The simulated prompt upsampling of Cosmos 3 asks a real endpoint, twice for each prompt, and writes all or nothing."""

import json
import threading
from wsgiref.simple_server import make_server

import pytest

from .running import Place, Programs

MODULE = ("-m", "cosmos_framework.inference.prompt_upsampling")


@pytest.fixture(scope="module")
def programs(tmp_path_factory):
    return Programs(tmp_path_factory.mktemp("cosmos3"), "cosmos3")


@pytest.fixture
def place(tmp_path, programs):
    return Place(tmp_path, programs)


class Endpoint:
    """A chat endpoint that rewrites a prompt, and then answers with it in a JSON object."""

    def __init__(self):
        self.requests = []
        self.failures = 0

    def answer(self, environ, start_response):
        if environ["REQUEST_METHOD"] == "GET":
            status, content = "200 OK", {"data": [{"id": "first"}]}
        else:
            payload = json.loads(environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"])))
            self.requests.append((environ["PATH_INFO"], environ.get("HTTP_AUTHORIZATION"), payload))
            status, content = self.chat(payload["messages"][0]["content"])
        start_response(status, [("Content-Type", "application/json")])
        return [json.dumps(content).encode()]

    def chat(self, content):
        text = content if isinstance(content, str) else content[0]["text"]
        asked = text.rpartition("\n")[2]
        if "fail" in asked or self.failures:
            self.failures = max(0, self.failures - 1)
            return "503 Busy", {"error": "busy"}
        is_second = asked.startswith("Rewritten: ")
        said = f"Here it is:\n{json.dumps({'temporal_caption': asked, 'fps': 99})}" if is_second else f"Rewritten: {asked}"
        return "200 OK", {"choices": [{"message": {"content": said}}]}


@pytest.fixture
def endpoint():
    made = Endpoint()
    with make_server("127.0.0.1", 0, made.answer) as server:
        made.url = f"http://127.0.0.1:{server.server_port}/v1/"
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield made
        server.shutdown()
        thread.join()


def upsample(place, *flags, prompts=("A street.",), mode="text2video", **env):
    (place.folder / "prompts.txt").write_text("\n".join(prompts))
    return place.run("python", *MODULE, "--input", "prompts.txt", "--output", "out", "--mode", mode, *flags, **env)


def test_each_prompt_becomes_a_file_after_two_calls(place, endpoint):
    flags = (
        "--endpoint-url",
        endpoint.url,
        "--model",
        "m",
        "--api-token",
        "t",
        "--resolution",
        "720",
        "--duration",
        "4s",
        "--fps",
        "30",
    )
    ended = upsample(place, *flags, prompts=("A street.", "", "A river."))

    assert ended.code == 0
    assert ended.files() == ["prompt_0.json", "prompt_1.json"]
    assert json.loads(ended.json("prompt_1.json")["prompt"]) == {
        "temporal_caption": "Rewritten: A river.",
        "resolution": {"H": 720, "W": 1280},
        "aspect_ratio": "16,9",
        "duration": "4s",
        "fps": 30,
    }
    assert [request[:2] for request in endpoint.requests] == [("/v1/chat/completions", "Bearer t")] * 4
    assert [endpoint.requests[0][2][key] for key in ("model", "max_tokens", "top_k")] == ["m", 8192, 20]
    assert "temperature" not in endpoint.requests[0][2]


def test_the_environment_names_the_endpoint_and_the_endpoint_its_model(place, endpoint):
    ended = upsample(place, mode="text2image", PROMPT_UPSAMPLER_ENDPOINT_URL=endpoint.url)

    assert ended.code == 0
    assert endpoint.requests[0][2]["model"] == "first"
    assert json.loads(ended.json("prompt_0.json")["prompt"])["resolution"] == {"H": 480, "W": 832}


def test_an_image_is_shown_with_the_prompt(place, endpoint):
    upsample(place, "--endpoint-url", endpoint.url, "--image-url", "http://127.0.0.1/i.png", mode="image2video")

    assert endpoint.requests[0][2]["messages"][0]["content"][1] == {
        "type": "image_url",
        "image_url": {"url": "http://127.0.0.1/i.png"},
    }


def test_a_busy_endpoint_is_asked_again(place, endpoint):
    endpoint.failures = 2
    ended = upsample(place, "--endpoint-url", endpoint.url, "--retry-base-delay-s", "0")

    assert (ended.code, len(endpoint.requests)) == (0, 4)


def test_one_failed_prompt_leaves_nothing_of_the_others(place, endpoint):
    flags = ("--endpoint-url", endpoint.url, "--retry-base-delay-s", "0", "--max-retries", "3")
    ended = upsample(place, *flags, prompts=("A street.", "fail"))

    assert (ended.code, (place.folder / "out").exists()) == (1, False)
    assert ended.last_error().startswith(
        "RuntimeError: Prompt upsampler failed to upsample prompt after 3 attempts: HTTP 503 from"
    )


def test_an_endpoint_that_is_not_there_is_a_failure(place, endpoint):
    ended = upsample(place, "--endpoint-url", "http://127.0.0.1:1/v1", "--model", "m", "--max-retries", "1")

    assert (ended.code, "Failed to reach http://127.0.0.1:1/v1/chat/completions" in ended.last_error()) == (1, True)


@pytest.mark.parametrize(
    ("flags", "mode", "words"),
    [
        ((), "text2video", "--endpoint-url or PROMPT_UPSAMPLER_ENDPOINT_URL is required"),
        (("--endpoint-url", "x"), "video2video", "invalid choice: 'video2video'"),
        (("--endpoint-url", "x"), "image2video", "--image-url or --image-list is required"),
        (("--endpoint-url", "x", "--resolution", "1080"), "text2video", "invalid choice: '1080'"),
    ],
)
def test_wrong_arguments_end_it_with_2(place, flags, mode, words):
    ended = upsample(place, *flags, mode=mode)

    assert (ended.code, words in ended.err) == (2, True)
