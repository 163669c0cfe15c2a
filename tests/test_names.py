"""Ids and file names.

- ids sort in the order in which they were made
- no name from outside leaves its folder
"""

import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PureWindowsPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cosmos_ops.names import file_name, new_id

awkward = st.one_of(st.text(max_size=300), st.text(alphabet="../\\\n\"' \0🎬aé-_", max_size=300))


@given(awkward)
def test_any_text_becomes_one_plain_component(text):
    name = file_name(text)

    assert name
    assert Path(name).name == PureWindowsPath(name).name == name
    assert not name.startswith((".", "-"))
    assert not name.endswith((".", " "))
    assert not set(name) & set('/\\:*?"<>|\n\r\t\0 ')
    assert len(name.encode()) <= 255


@given(awkward)
def test_a_cleaned_name_stays_as_it_is(text):
    assert file_name(file_name(text)) == file_name(text)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("misty canyon", "misty-canyon"),
        ("../../etc/passwd", "etc-passwd"),
        ('"quoted"\nname', "quoted-name"),
        ("v1.2_final", "v1.2_final"),
        ("夜の街", "夜の街"),
        ("🎬", "unnamed"),
        ("", "unnamed"),
        ("..", "unnamed"),
        ("con", "unnamed-con"),
        ("LPT1.txt", "unnamed-LPT1.txt"),
    ],
)
def test_names_become(text, name):
    assert file_name(text) == name


def test_ids_are_readable_and_sort_in_the_order_of_their_making():
    ids = [new_id("rs") for _ in range(5000)]

    assert ids == sorted(set(ids))
    assert all(re.fullmatch(r"rs_[0-9a-hjkmnp-tv-z]{16}", made) for made in ids)


def test_threads_never_make_the_same_id():
    with ThreadPoolExecutor(8) as threads:
        made = list(threads.map(lambda _: [new_id("jb") for _ in range(500)], range(8)))

    assert len({found for part in made for found in part}) == 4000
    assert all(part == sorted(part) for part in made)
