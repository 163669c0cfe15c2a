"""What is in the cache has been made once, and completely."""

import os
import time

import pytest

from .cache import KEPT_UNUSED_S, cached


@pytest.fixture(autouse=True)
def cache_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "cosmos-tests"


def write(text):
    return lambda path: path.write_text(text)


def fail(path):
    path.write_text("half")
    raise RuntimeError("The network is gone")


def test_it_is_made_once_for_a_key():
    first, second, other = cached("it", 1, write("first")), cached("it", 1, write("second")), cached("it", 2, write("other"))
    assert (first.read_text(), second, other.read_text()) == ("first", first, "other")


def test_what_was_made_by_half_is_not_kept(cache_folder):
    with pytest.raises(RuntimeError):
        cached("it", 1, fail)
    assert [path.name for path in cache_folder.iterdir()] == ["it.lock"]


def test_what_was_not_used_for_long_is_removed_when_something_is_made():
    old, used = cached("it", 1, write("old")), cached("it", 2, write("used"))
    long_ago = time.time() - KEPT_UNUSED_S - 60
    for path in (old, used):
        os.utime(path, (long_ago, long_ago))
    cached("it", 2, fail)
    cached("it", 3, write("new"))
    assert (old.exists(), used.exists()) == (False, True)
