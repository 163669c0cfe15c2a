"""Whether the process that carries a run out still lives."""

import subprocess
import sys

import pytest

from cosmos_ops.owners import is_gone, this_process

ASK = "from cosmos_ops.owners import this_process; print(this_process(), flush=True); input()"


def test_we_are_here():
    assert not is_gone(this_process())


def test_another_process_is_gone_once_it_has_ended():
    with subprocess.Popen(
        [sys.executable, "-c", ASK], stdin=subprocess.PIPE, stdout=subprocess.PIPE, encoding="utf-8"
    ) as process:
        owner = process.stdout.readline().strip()
        lived = not is_gone(owner)
        process.communicate("\n", timeout=30)

    assert lived
    assert is_gone(owner)


def test_a_process_with_our_number_and_another_start_is_gone():
    machine, process_id, started = this_process().rsplit("/", 2)

    assert is_gone(f"{machine}/{process_id}/{float(started) - 100:.2f}")


@pytest.mark.parametrize("owner", ["elsewhere/1/1.0", "", "nobody", "a/b/c"])
def test_of_other_machines_nothing_is_known(owner):
    assert not is_gone(owner)
