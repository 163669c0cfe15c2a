"""The documents say what the code says: parameters, links, dependencies, commands and deployments."""

import re
from pathlib import Path

import click
import pytest
import yaml

from deployments.catalog import FLOWS, NAME, TAGS, interval_s
from deployments.cli import cli
from deployments.reference import parameters_page
from tests.faults import printed

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")


def direct_dependencies():
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    lists = re.findall(r"(?ms)^(?:dependencies|postgresql|dev) = \[(.*?)\]\s*$", text)
    return sorted(set(re.findall(r'"([A-Za-z][\w-]*)', "".join(lists))))


def test_the_page_of_parameters_is_what_the_declarations_say():
    assert (ROOT / "docs" / "parameters.md").read_text(encoding="utf-8") == parameters_page(), (
        "run: python -m deployments.reference > docs/parameters.md"
    )


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


def test_every_command_in_the_readme_exists_with_its_options():
    lines = re.findall(r"(?m)^    cosmos .*$", README) + re.findall(r"`cosmos [^`]*`", README)
    assert len(lines) > 5
    for line in lines:
        words = line.strip(" `").split()[1:]
        command = cli
        while isinstance(command, click.Group) and words:
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
    flows = [f"{flow.fn.__module__.replace('.', '/')}.py:{flow.name}" for flow in FLOWS]
    assert [deployment["entrypoint"] for deployment in deployments] == flows
    for deployment, flow in zip(deployments, FLOWS, strict=True):
        assert [schedule["interval"] for schedule in deployment.get("schedules", [])] == [
            every_s for every_s in [interval_s(flow)] if every_s
        ]
        assert (deployment["name"], deployment["tags"]) == (NAME, TAGS)
        # Prefect takes the description from the flow's docstring, as `cosmos up` does.
        assert "description" not in deployment
        assert deployment["work_pool"] == {"name": "cosmos", "job_variables": {"stream_output": False}}


def test_the_page_of_faults_is_what_the_tests_promise():
    assert (ROOT / "docs" / "faults.md").read_text(encoding="utf-8") == printed.page()
