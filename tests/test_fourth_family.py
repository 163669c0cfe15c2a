"""A family is added with three files: the two modules of docs/adding.md, and two lines in the list of operations."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.builders import a_clip

ROOT = Path(__file__).parents[1]
CODE = re.compile(r"(?m)^\d+\. `(cosmos_ops/operations/\w*dream\w*\.py)`.*\n\n```python\n((?s:.*?))^```$")
REQUEST = """
family: dream
stages: [inference]
sweep: {seed: [1, 2], num_steps: [10, 20]}
prompts:
  - {text: a street, inputs: {edge: edge.mp4}}
"""
FORM = """
import json
from flows.pipeline import pipeline
print(json.dumps(pipeline.parameters.model_dump()))
"""


class Project:
    """A copy of the project with the family `dream`, and commands in it."""

    def __init__(self, folder):
        self.folder = folder
        for name in ("cosmos_ops", "flows", "blocks", "deployments"):
            shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        modules = dict(CODE.findall((ROOT / "docs" / "adding.md").read_text(encoding="utf-8")))
        assert len(modules) == 2
        for path, code in modules.items():
            (folder / path).write_text(code)
        operations = folder / "cosmos_ops" / "operations" / "__init__.py"
        text = operations.read_text()
        first = "from cosmos_ops.operations.inference_preview"
        text = text.replace(first, f"from cosmos_ops.operations.inference_dream import INFERENCE_DREAM\n{first}")
        operations.write_text(text.replace("    UPSCALE_TRANSFER1,\n", "    UPSCALE_TRANSFER1,\n    INFERENCE_DREAM,\n"))

    def run(self, *arguments):
        done = subprocess.run([sys.executable, *arguments], cwd=self.folder, capture_output=True, encoding="utf-8", timeout=120)
        assert done.returncode == 0, done.stderr
        return done.stdout


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    return Project(tmp_path_factory.mktemp("project"))


def test_the_form_has_its_card_and_its_name(project):
    form = json.loads(project.run("-c", FORM))

    assert "dream" in form["properties"]["family"]["enum"]
    assert form["definitions"]["InferenceDream"]["properties"]["num_steps"]["maximum"] == 100
    assert "dream" in form["definitions"]["InferenceSettings"]["properties"]
    assert "dream" not in form["definitions"]["UpscaleSettings"]["properties"]


def test_a_request_renders_to_jobs_that_share_a_process_where_they_can(project, home, tmp_path):
    a_clip(tmp_path / "edge.mp4")
    (tmp_path / "request.yaml").write_text(REQUEST)
    project.run("-m", "deployments.cli", "render", str(tmp_path / "request.yaml"), "--out", str(tmp_path / "out"))

    folders = sorted(path for path in (tmp_path / "out").iterdir() if path.is_dir())
    jobs = [json.loads((folder / "job.json").read_text()) for folder in folders]
    specs = [json.loads(line) for line in (folders[0] / "job" / "specs.jsonl").read_text().splitlines()]
    assert [job["argv"][-2:] for job in jobs] == [["--steps", "10"], ["--steps", "20"]]
    assert [len(job["runs"]) for job in jobs] == [2, 2]
    assert [(spec["seed"], spec["edge"]) for spec in specs] == [(1, {"weight": 1.0}), (2, {"weight": 1.0})]
    assert specs[0]["files"]["edge"] in jobs[0]["path_map"]


@pytest.mark.parametrize(
    ("page", "words"),
    [
        ("parameters", "## inference, family dream"),
        ("parameters", "| `num_steps` | whole number | 1 to 100 | `20` | flag `--steps` |"),
        ("models", "| inference, `dream` | edge_weight, seed | equal | num_steps |"),
        ("models", "| `dream` |  | no, `transfer1` does it | yes | no, `transfer1` does it |"),
        ("schema", '"InferenceDream": {'),
    ],
)
def test_the_pages_and_the_schema_have_it(project, page, words):
    assert words in project.run("-m", "deployments.reference", page)
