"""The documents say what the code says: parameters, families, requests, links, dependencies, commands and deployments."""

import inspect
import json
import re
from pathlib import Path

import click
import jsonschema
import pytest
import yaml
from click.testing import CliRunner
from prefect.events import DeploymentEventTrigger

from cosmos_ops.intake import FILE_NAMES, REFUSED_SUFFIXES
from cosmos_ops.operations import FAMILIES, OPERATIONS
from cosmos_ops.planning import PUBLISHED, plan
from cosmos_ops.planning.preview import described
from cosmos_ops.settings import Settings
from deployments.catalog import FLOWS, NAME, TAGS, deployment_of, interval_s
from deployments.cli import cli
from deployments.reference import models_page, parameters_page, request_schema
from deployments.reference.facts import FACTS, RESULTS
from flows.dispatch import dispatch
from flows.forms import PromptRequest
from flows.request_files import PipelineRequest, read_requests
from tests.faults import printed
from tests.planning.samples import a_signature, a_slot, a_workload

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
REQUESTS = (ROOT / "docs" / "requests.md").read_text(encoding="utf-8")
QUEUE = (ROOT / "docs" / "queue.md").read_text(encoding="utf-8")
EXAMPLES = sorted(path for path in (ROOT / "docs" / "examples").iterdir() if path.is_file())
COMMAND = re.compile(r"(?m)^    cosmos .*$|`cosmos [a-z][^`]*`")
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")


def direct_dependencies():
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    lists = re.findall(r"(?ms)^(?:dependencies|postgresql|dev) = \[(.*?)\]\s*$", text)
    return sorted(set(re.findall(r'"([A-Za-z][\w-]*)', "".join(lists))))


def keys_of(text, heading):
    """What stands in backquotes in the first column of the table that follows."""
    lines = text.partition(heading)[2].partition("| --- |")[2].splitlines()[1:]
    table = lines[: next((place for place, line in enumerate(lines) if not line.startswith("|")), len(lines))]
    return {key for line in table for key in re.findall(r"`([^`]+)`", line.split("|")[1])}


@pytest.mark.parametrize(
    ("name", "argument", "made"),
    [
        ("parameters.md", "parameters", parameters_page),
        ("models.md", "models", models_page),
        ("request.schema.json", "schema", request_schema),
    ],
)
def test_what_is_generated_is_what_the_code_says(name, argument, made):
    kept = (ROOT / "docs" / name).read_text(encoding="utf-8")
    assert kept == made(), f"run: python -m deployments.reference {argument} > docs/{name}"


def test_what_no_code_can_tell_is_said_of_every_family():
    assert set(FACTS) == set(FAMILIES)
    assert set(RESULTS) == {(known.name, known.family) for known in OPERATIONS if known.name != "enhance"}


def test_every_example_is_in_the_table_of_examples_and_each_says_something_else():
    rows = re.findall(r"(?m)^\| \[[^\]]+\]\(examples/([^)]+)\) \| (.+) \|$", REQUESTS)
    assert sorted(name for name, _ in rows) == [path.name for path in EXAMPLES]
    assert len({text for _, text in rows}) == len(rows)
    assert f"every key and {len(rows)} examples" in README


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_an_example_written_out_is_what_the_schema_allows(path):
    for request in read_requests(path):
        jsonschema.validate(request.model_dump(mode="json", exclude_unset=True), json.loads(request_schema()))


@pytest.mark.parametrize(
    ("heading", "names"),
    [
        ("## A request file", set(PipelineRequest.model_fields)),
        ("A prompt:", set(PromptRequest.model_fields)),
        ("## Files of a prompt", set(FILE_NAMES)),
    ],
)
def test_the_page_of_requests_has_every_key_and_every_role(heading, names):
    assert keys_of(REQUESTS, heading) == names


def test_the_page_of_requests_has_every_name_of_a_file_and_every_suffix_that_is_refused():
    section = REQUESTS.partition("## Files of a prompt")[2].partition("\n## ")[0]
    names = {name for role, names in FILE_NAMES.items() if not role.endswith("_mask") for name in names}
    assert [name for name in (*sorted(names), *REFUSED_SUFFIXES) if f"`{name}`" not in section] == []


def test_the_page_of_requests_has_every_key_of_a_rendered_job(home, tmp_path):
    done = CliRunner().invoke(cli, ["render", str(EXAMPLES[0]), "--out", str(tmp_path / "out")])
    (job,) = (tmp_path / "out").glob("*/job.json")
    assert done.exit_code == 0
    assert keys_of(REQUESTS, "| key of `job.json`") == set(json.loads(job.read_text()))


def test_the_page_of_the_queue_has_every_key_of_a_plan_and_of_its_batches():
    run, slot = a_workload(a_signature("edge")), a_slot()
    shown = described(plan([run], [slot], PUBLISHED, now_s=0.0), [run], [slot], PUBLISHED, [], 0.0)
    row = next(line for line in QUEUE.splitlines() if line.startswith("| `batches` |"))
    assert keys_of(QUEUE, "| key of `--json`") == set(shown)
    assert [key for key in shown["batches"][0] if f"`{key}`" not in row] == []


def test_the_page_of_the_queue_names_every_parameter_of_a_dispatch():
    assert [name for name in inspect.signature(dispatch.fn).parameters if f"`{name}`" not in QUEUE] == []


def test_the_page_of_the_queue_has_every_command_of_the_queue():
    commands = cli.commands["queue"].commands
    assert {line.split()[2].strip("`") for line in keys_of(QUEUE, "| command |")} == set(commands)


def test_the_readme_has_every_setting():
    shown = keys_of(README, "| variable |")
    assert shown == {f"COSMOS_{name.upper()}" for name in Settings.model_fields}


def test_the_readme_names_every_deployment():
    assert [flow.name for flow in FLOWS if f"`{flow.name}/{NAME}`" not in README] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_relative_link_leads_somewhere(document):
    targets = [target for target in LINK.findall(document.read_text(encoding="utf-8")) if "://" not in target]
    assert [target for target in targets if not (document.parent / target.partition("#")[0]).exists()] == []


def test_every_page_can_be_reached_from_the_readme():
    assert [page.name for page in DOCUMENTS[1:] if f"docs/{page.name}" not in LINK.findall(README)] == []


def test_every_direct_dependency_has_its_reason():
    rows = re.findall(r"(?m)^\| ([^|]+) \|", (ROOT / "docs" / "dependencies.md").read_text(encoding="utf-8"))
    named = {name.strip() for row in rows for name in row.split(",")}
    assert "prefect" in direct_dependencies()
    assert [name for name in direct_dependencies() if name not in named] == []


@pytest.mark.parametrize(
    "document", [page for page in DOCUMENTS if COMMAND.search(page.read_text("utf-8"))], ids=lambda p: p.name
)
def test_every_command_in_the_documents_exists_with_its_options(document):
    for line in (found[0] for found in COMMAND.finditer(document.read_text(encoding="utf-8"))):
        words = re.sub(r" [|#].*", "", line.strip(" `\n")).split()[1:]
        command = cli
        while isinstance(command, click.Group) and words and words[0] != "...":
            found = command.get_command(click.Context(command), words[0])
            assert found is not None, line
            command, words = found, words[1:]
        known = {name for parameter in command.params for name in parameter.opts} | {"--help"}
        assert {word for word in words if word.startswith("--")} <= known, line


@pytest.mark.parametrize("target", ["make demo", "make test"])
def test_the_readme_begins_with_the_two_commands(target):
    assert f"    {target}\n" in README.partition("\n## ")[0]


def test_prefect_yaml_deploys_what_cosmos_up_serves():
    deployments = yaml.safe_load((ROOT / "prefect.yaml").read_text(encoding="utf-8"))["deployments"]
    flows = [f"{flow.fn.__module__.replace('.', '/')}.py:{flow.fn.__name__}" for flow in FLOWS]
    assert [deployment["entrypoint"] for deployment in deployments] == flows
    for deployment, flow in zip(deployments, FLOWS, strict=True):
        assert [schedule["interval"] for schedule in deployment.get("schedules", [])] == [
            every_s for every_s in [interval_s(flow)] if every_s
        ]
        assert (deployment["name"], deployment["tags"]) == (NAME, TAGS)
        served, limit = deployment_of(flow), deployment.get("concurrency_limit", {})
        strategy = served.concurrency_options and served.concurrency_options.collision_strategy
        assert (limit.get("limit"), limit.get("collision_strategy")) == (served.concurrency_limit, strategy)
        assert [DeploymentEventTrigger(**trigger) for trigger in deployment.get("triggers", [])] == served.triggers
        # Prefect takes the description from the flow's docstring, as `cosmos up` does.
        assert "description" not in deployment
        assert deployment["work_pool"] == {"name": "cosmos", "job_variables": {"stream_output": False}}


def test_the_page_of_faults_is_what_the_tests_promise():
    assert (ROOT / "docs" / "faults.md").read_text(encoding="utf-8") == printed.page()


def test_every_room_of_the_house_is_on_its_page():
    house = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8").partition("## The house")[2].partition("\n## ")[0]
    rooms = [path for path in (ROOT / "cosmos_ops").iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()]
    names = [f"{path.name}/" if path.is_dir() else path.name for path in rooms if not path.name.startswith("_")]
    assert "job.py" in names
    assert [name for name in names if f"{name}`" not in house] == []
