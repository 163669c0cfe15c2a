"""The house rules that tools hold: lock files, the Makefile, layers, and what ruff bans."""

import ast
import os
import re
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ["deployments", "flows", "blocks", "cosmos_ops"]
LOCK_FILES = ["requirements.lock", "requirements-dev.lock"]
# Folders of machines that we build on, which mean nothing to anybody else.
MACHINE_PATH = re.compile(rb"(?<![\w.~-])/(work|farm)/")
LOG_METHODS = {"trace", "debug", "info", "success", "warning", "error", "critical", "exception", "log"}


def run(*command, cwd=ROOT, **environment):
    return subprocess.run(
        command, cwd=cwd, env={**os.environ, **environment}, capture_output=True, encoding="utf-8", timeout=60, check=False
    )


def ours():
    return [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]


# Lock files


@pytest.mark.parametrize("name", LOCK_FILES)
def test_a_lock_file_names_no_registry(name):
    assert not re.findall(r"https?://|index-url|find-links|file:", (ROOT / name).read_text())


@pytest.mark.parametrize("name", LOCK_FILES)
def test_every_pin_of_a_lock_file_has_hashes(name):
    lines = (ROOT / name).read_text().replace("\\\n", " ").splitlines()
    pins = [line for line in lines if line and not line.startswith("#")]
    assert len(pins) > 50
    assert [pin for pin in pins if not re.fullmatch(r"[\w.-]+==\S+ ( ?; .+?)?( +--hash=sha256:[0-9a-f]{64})+", pin)] == []


def test_the_lock_files_agree():
    runtime, dev = (set(re.findall(r"(?m)^[\w.-]+==.*", (ROOT / name).read_text())) for name in LOCK_FILES)
    assert runtime <= dev


# make and the build machine


@pytest.mark.parametrize("target", ["demo", "test", "check", "up", "bench", "help"])
def test_make_help_says_what_a_target_does(target):
    assert re.search(rf"(?m)^  make {target} +[A-Z].+\.$", run("make", "help").stdout)


def test_the_build_machine_calls_make_test_and_gets_its_status(tmp_path):
    stand_in = tmp_path / "make"
    stand_in.write_text('#!/bin/sh\necho "$PWD $CI make $*"\nexit 7\n')
    stand_in.chmod(0o755)
    done = run(ROOT / ".ci" / "run", cwd=tmp_path, PATH=f"{tmp_path}{os.pathsep}{os.environ['PATH']}", CI="")
    assert (done.stdout, done.returncode) == (f"{ROOT} true make test\n", 7)


def test_no_file_names_a_folder_of_one_machine():
    listed = run("git", "-c", "safe.directory=*", "ls-files", "-z", "--cached", "--others", "--exclude-standard")
    assert listed.returncode == 0, listed.stderr
    files = [ROOT / name for name in listed.stdout.split("\0") if name]
    assert [path for path in files if path.is_file() and MACHINE_PATH.search(path.read_bytes())] == []


# Bans


@pytest.mark.parametrize(
    ("code", "rule"),
    [
        ('from loguru import logger\n\nlogger.info(f"{__name__} starts")\n', "G004"),
        ('from loguru import logger\n\nlogger.info("%s starts" % __name__)\n', "G002"),
        ('from loguru import logger\n\nlogger.info("{} starts".format(__name__))\n', "G001"),
        ('import logging\n\nlogging.getLogger(__name__).info(f"{__name__} starts")\n', "G004"),
        ("import unittest.mock\n", "TID251"),
        ("from unittest import mock\n", "TID251"),
        ("from unittest.mock import MagicMock\n", "TID251"),
        ("from pytest_mock import MockerFixture\n", "TID251"),
    ],
)
def test_ruff_bans(code, rule, tmp_path):
    (tmp_path / "planted.py").write_text(code)
    command = ["-m", "ruff", "check", "--no-cache", "--output-format=concise", "--config", str(ROOT / "pyproject.toml")]
    done = run(sys.executable, *command, str(tmp_path / "planted.py"))
    assert done.returncode == 1
    assert f" {rule} " in done.stdout


def formatted_log_calls(code):
    """Lines of log calls that format their message themselves, also behind `bind` and `opt`, where ruff does not look."""
    tree = ast.parse(code)
    uses_loguru = any(isinstance(node, ast.ImportFrom) and node.module == "loguru" for node in ast.walk(tree))
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)]
    return [call.lineno for call in calls if is_log_call(call) and formats_its_message(call, uses_loguru)]


def is_log_call(call):
    root = call.func.value
    while isinstance(root, ast.Attribute | ast.Call):
        root = root.func if isinstance(root, ast.Call) else root.value
    return call.func.attr in LOG_METHODS and isinstance(root, ast.Name) and root.id.lower().endswith(("logger", "logging"))


def formats_its_message(call, uses_loguru):
    message = call.args[1 if call.func.attr == "log" else 0 :]
    if not message:
        return False
    if isinstance(message[0], ast.Constant):
        # With loguru the words stay as they stand: it fills in braces, not percent signs.
        return uses_loguru and len(message) > 1 and re.search(r"%[-\d.]*[sdrfi]", str(message[0].value)) is not None
    is_call_of_format = isinstance(message[0], ast.Call) and getattr(message[0].func, "attr", "") == "format"
    return isinstance(message[0], ast.JoinedStr | ast.BinOp) or is_call_of_format


@pytest.mark.parametrize(
    ("call", "is_banned"),
    [
        ('logger.bind(run_id=1).info(f"{count} runs")', True),
        ('logger.opt(lazy=True).log("INFO", "%s runs" % count)', True),
        ('logger.success("{} runs".format(count))', True),
        ('logger.trace("%d runs", count)', True),
        ('logger.info("{} runs", count)', False),
        ('logger.bind(run_id=1).info("100 % sure")', False),
    ],
)
def test_a_formatted_log_call_is_found(call, is_banned):
    assert bool(formatted_log_calls(f"from loguru import logger\n{call}\n")) is is_banned


def test_no_log_call_formats_its_message():
    found = {str(path.relative_to(ROOT)): formatted_log_calls(path.read_text(encoding="utf-8")) for path in ours()}
    assert {path: lines for path, lines in found.items() if lines} == {}


# Layers

PLANTED = {
    "Imports point one way: deployments, flows, blocks, cosmos_ops": ("cosmos_ops/names.py", "import flows"),
    "Every module of cosmos_ops has its layer": ("cosmos_ops/helpers.py", "import json"),
    "Only remote talks to machines": ("cosmos_ops/runs.py", "import paramiko, docker.errors"),
    "Only remote and deployments start processes": ("cosmos_ops/job.py", "import subprocess"),
    "Only store talks to the database": ("cosmos_ops/params.py", "from sqlalchemy import orm"),
    "cosmos_ops knows nothing of Prefect": ("cosmos_ops/videos.py", "from prefect import flow"),
    "preview starts in a bare container": ("cosmos_ops/preview/samples.py", "import cosmos_ops.params"),
}


def test_import_linter_finds_a_planted_violation_of_every_contract(tmp_path):
    for package in PACKAGES:
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    for path, line in PLANTED.values():
        with (tmp_path / path).open("a") as file:
            file.write(f"\n{line}\n")
    done = run(Path(sys.executable).with_name("lint-imports"), "--no-cache", "--no-logo", cwd=tmp_path, PYTHONPATH=str(tmp_path))
    verdicts = dict(re.findall(r"(?m)^(.+) (KEPT|BROKEN)(?: \(.*\))?$", done.stdout))
    assert done.returncode == 1
    assert verdicts == dict.fromkeys(PLANTED, "BROKEN"), done.stdout


@pytest.mark.parametrize("folder", ["flows", "blocks", "deployments"])
def test_no_module_hides_a_library(folder):
    # Prefect loads a flow from its file and leaves the folder of that file first on the path: `import requests` of a library
    # would find a module of ours of that name.
    names = {path.stem for path in (ROOT / folder).glob("*.py")} - {"__init__"}
    assert [name for name in sorted(names) if find_spec(name) is not None] == []
