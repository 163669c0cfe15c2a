"""The plugin says loudly why machines are missing, and lets nothing be skipped on the build machine."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MARKED = "import pytest\npytestmark = pytest.mark.gpu_machines\n"


@pytest.fixture
def folder(tmp_path):
    """A folder of tests that has the plugin."""
    (tmp_path / "conftest.py").write_text('pytest_plugins = ["tests.hosts.plugin"]\n')
    return tmp_path


def run_pytest(folder, *options, **environment):
    command = [sys.executable, "-m", "pytest", "-q", "-rs", "-p", "no:cacheprovider", "-c", os.devnull, f"--rootdir={folder}"]
    return subprocess.run(
        [*command, *options, folder],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        capture_output=True,
        encoding="utf-8",
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize(("ci", "outcome", "status"), [("", "1 skipped", 0), ("true", "1 error", 1)])
def test_missing_programs_skip_a_test_but_fail_it_on_the_build_machine(folder, ci, outcome, status):
    (folder / "test_it.py").write_text(f"{MARKED}def test_it(machine): pass\n")
    done = run_pytest(folder, "-p", "no:xdist", PATH="/nowhere", CI=ci)
    assert (outcome in done.stdout, done.returncode) == (True, status), done.stdout
    assert "nothing is tested on GPU machines" in done.stdout


def test_other_skips_stay_skips_on_the_build_machine(folder):
    (folder / "test_it.py").write_text("import pytest\ndef test_it(): pytest.skip('not today')\n")
    assert "1 skipped" in run_pytest(folder, "-p", "no:xdist", CI="true").stdout


def test_long_files_are_first_and_the_images_are_made_beside_one_without_machines(folder):
    for name, mark in (("a", ""), ("b", "gpu_machines"), ("c", "gpu_machines"), ("d", "long")):
        marked = f"import pytest\npytestmark = pytest.mark.{mark}\n" if mark else ""
        (folder / f"test_{name}.py").write_text(f"{marked}def test_{name}(): pass\n")

    lines = run_pytest(folder, "-p", "no:xdist", "-v", "-v").stdout.splitlines()

    assert [line.partition("::")[0] for line in lines if "PASSED" in line] == [f"test_{name}.py" for name in "bdca"]


def test_a_file_without_the_mark_gets_no_machine(folder):
    (folder / "test_it.py").write_text("def test_it(machine): pass\n")
    assert "needs the line: pytestmark = pytest.mark.gpu_machines" in run_pytest(folder, "-p", "no:xdist").stdout
