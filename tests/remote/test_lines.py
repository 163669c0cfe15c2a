"""Bytes to lines: wherever they are cut, the lines are the same."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from cosmos_ops.job import LogLine
from cosmos_ops.remote.lines import LINE_LENGTH_MAX, LineSplitter

texts = st.text(alphabet=st.one_of(st.sampled_from("\r\nab"), st.characters(exclude_categories=["Cs"])), max_size=60)
raw = st.one_of(texts.map(str.encode), st.binary(max_size=60))


def lines_of(*pieces):
    splitter = LineSplitter()
    found = [line for piece in pieces for line in splitter.feed(piece)]
    return [*found, *splitter.feed(b"", is_last=True)]


@given(raw, st.lists(st.integers(0, 240), max_size=8))
def test_any_cut_gives_the_same_lines(data, cuts):
    edges = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    pieces = [data[start:end] for start, end in pairwise(edges)]

    assert lines_of(*pieces) == lines_of(data)


@given(texts)
def test_no_character_is_lost_but_line_ends(text):
    assert "".join(line.text for line in lines_of(text.encode())) == text.replace("\r", "").replace("\n", "")


def test_bars_are_redraws_and_lines_are_not():
    assert lines_of(b"one\n\rbar 1\rbar 2\ntwo\n\nthree") == [
        LogLine("one", False),
        LogLine("bar 1", True),
        LogLine("bar 2", True),
        LogLine("two", False),
        LogLine("three", False),
    ]


def test_a_line_without_end_comes_in_pieces():
    lines = lines_of(b"x" * (LINE_LENGTH_MAX * 2 + 5))

    assert [len(line.text) for line in lines] == [LINE_LENGTH_MAX, LINE_LENGTH_MAX, 5]
