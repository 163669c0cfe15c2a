"""The program that downloads runs with Python alone, and each of its troubles becomes one of our errors."""

import ast
import sys
from pathlib import Path

import pytest

from cosmos_ops.errors import CosmosError, DownloadFailedError, HostUnhealthyError
from cosmos_ops.job import ContainerExit
from cosmos_ops.remote import fetcher
from cosmos_ops.remote.checkpoint_news import ERRORS, News, Progress, Troubles, ignore_progress, size_text
from cosmos_ops.remote.fetcher.places import EXIT_CODES, agree, matching

SOURCES = sorted(Path(fetcher.__file__).parent.glob("*.py"))


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.name)
def test_it_imports_nothing_but_itself_and_the_standard_library(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.level == 0:
            assert node.module.partition(".")[0] in sys.stdlib_module_names
        if isinstance(node, ast.Import):
            assert {alias.name.partition(".")[0] for alias in node.names} <= sys.stdlib_module_names


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.name)
def test_it_is_written_for_python_3_9(path):
    ast.parse(path.read_text(encoding="utf-8"), feature_version=(3, 9))


def test_every_trouble_has_an_exit_code_of_its_own_and_an_error_with_a_way_out():
    assert ERRORS.keys() == EXIT_CODES.keys()
    assert len(set(EXIT_CODES.values()) - {0, 1, 2}) == len(EXIT_CODES)
    for kind, expected in ERRORS.items():
        troubles = Troubles()
        troubles.add({"kind": kind, "repository": "a/b", "file": "c.pt", "detail": "so it said"})
        error = troubles.error("gpu-a")
        assert type(error) is expected
        assert str(error).startswith("host gpu-a: ")


def test_of_several_troubles_those_of_access_are_told_first_and_together():
    troubles = Troubles()
    for kind, repository in [("network", "a/a"), ("gated", "a/b"), ("gated", "a/c")]:
        troubles.add({"kind": kind, "repository": repository, "file": "", "detail": ""})

    words = str(troubles.error("gpu-a"))

    assert "https://huggingface.co/a/b, https://huggingface.co/a/c" in words
    assert "a/a" not in words


@pytest.mark.parametrize(
    ("ended", "log", "error", "words"),
    [
        (ContainerExit(1), "Traceback\nSyntaxError: invalid syntax\n", HostUnhealthyError, "SyntaxError: invalid syntax"),
        (ContainerExit(1), "", HostUnhealthyError, "it said nothing"),
        (ContainerExit(137), "", DownloadFailedError, "ended from outside"),
        (ContainerExit(0, is_stalled=True), "", DownloadFailedError, "said nothing for too long"),
    ],
)
def test_an_end_without_a_word_is_an_error_with_what_is_known(ended, log, error, words):
    found: CosmosError = Troubles().unexplained("gpu-a", ended, log)

    assert type(found) is error
    assert words in str(found)


def test_news_are_said_once_and_progress_goes_its_own_way():
    said, moved = [], []
    news = News(said.append, moved.append)

    for line in ['{"event": "waiting"}', '{"event": "waiting"}', "no JSON", '{"event": "checked", "bytes": 0}']:
        news.take(line)
    news.take('{"event": "progress", "done": 1, "total": 4, "files_done": 0, "files": 2}')
    News(said.append, ignore_progress).take('{"event": "progress", "done": 1, "total": 4, "files_done": 0, "files": 2}')

    assert said == ["Another download is at work on this host; waiting for it"]
    assert moved == [Progress(1, 4, 0, 2)]


@pytest.mark.parametrize(
    ("pattern", "names"),
    [("*", ["a.json", "b/c.json", "d.txt"]), ("*.json", ["a.json", "b/c.json"]), ("d.txt", ["d.txt"]), ("e", ["e"])],
)
def test_a_pattern_means_files(pattern, names):
    assert matching(pattern, ["d.txt", "a.json", "b/c.json"]) == names


def test_checksums_agree_disagree_or_say_nothing():
    assert agree({"md5": "1", "sha256": "2"}, {"sha256": "2"}) is True
    assert agree({"md5": "1", "sha256": "2"}, {"md5": "1", "sha256": "3"}) is False
    assert agree({"md5": "1"}, {"sha256": "2"}) is None


@pytest.mark.parametrize(
    ("count", "text"), [(0, "0 kB"), (2_500, "2 kB"), (3_000_000, "3.0 MB"), (45_200_000_000, "45.2 GB"), (2e12, "2.0 TB")]
)
def test_sizes_are_for_people(count, text):
    assert size_text(count) == text
