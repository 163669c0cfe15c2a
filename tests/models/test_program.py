"""What all simulated models share: orders, lines and bars as the real programs print them, and videos that compare."""

import io
import sys

import pytest

from . import program
from .program import Settings, bar, is_blocked, log_line, orders, video_digest, video_info, write_video


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("a road at night", {}),
        ("order=crash", {"crash": ""}),
        ("A road, order=slow:2.5. order=wait, wet", {"slow": "2.5", "wait": ""}),
        (None, {}),
    ],
)
def test_orders_are_words_in_the_text(text, found):
    assert orders(text) == found


def test_a_text_is_blocked_by_order_or_by_word():
    assert [is_blocked(text) for text in ("order=block", "do BLOCKME", "order=blockvideo", None)] == [True, True, False, False]


@pytest.mark.parametrize(
    ("arguments", "drawn"),
    [
        (("Generating samples", 0, 35, 0), "\rGenerating samples:   0%|          | 0/35 [00:00<?, ?it/s]"),
        (("Generating samples", 14, 35, 43.54), "\rGenerating samples:  40%|####      | 14/35 [00:43<01:05,  3.11s/it]"),
        (("", 1, 1, 3723.4), "\r100%|##########| 1/1 [1:02:03<00:00, 3723.40s/it]\n"),
        (("Sampling", 2, 3, 0.1), "\rSampling:  67%|######6   | 2/3 [00:00<00:00, 19.99it/s]"),
    ],
)
def test_bars_are_those_of_tqdm(monkeypatch, arguments, drawn):
    error = io.TextIOWrapper(io.BytesIO(), encoding="ascii", newline="")
    monkeypatch.setattr(sys, "stderr", error)
    bar(*arguments)

    assert error.buffer.getvalue().decode() == drawn.replace("19.99", "20.00")


def test_lines_have_the_format_of_the_repositories_with_a_job_for_cosmos3():
    line = log_line("INFO", "a/b.py", 3, "main", "text")
    of_job = log_line("SUCCESS", "a/b.py", 3, "main", "text", job="")

    assert line[15:] == "|INFO|a/b.py:3:main] text"
    assert of_job[15:] == "|job=|SUCCESS|a/b.py:3:main] text"


def test_only_the_first_rank_speaks(monkeypatch, capsys):
    for rank in ("0", "1"):
        monkeypatch.setenv("RANK", rank)
        program.log("INFO", "a.py", 1, "main", f"rank {rank}")

    assert capsys.readouterr().out.endswith("] rank 0\n")


def test_equal_values_give_equal_bytes_and_others_do_not(tmp_path):
    paths = [tmp_path / f"{name}.mp4" for name in "abcd"]
    values = {"prompt": "a", "controls": [["vis", 0.5], ["edge", 1.0]]}
    sources = (values, dict(reversed(values.items())), {**values, "controls": values["controls"][::-1]}, {**values, "seed": 2})
    digests = [
        write_video(path, frames=5, fps=24, size=(64, 48), source=source) for path, source in zip(paths, sources, strict=True)
    ]

    contents = [path.read_bytes() for path in paths]
    assert contents[0] == contents[1]
    assert len(set(contents)) == len(set(digests)) == 3
    assert [video_digest(path) for path in paths] == digests


@pytest.mark.parametrize(("frames", "fps"), [(2, 24), (121, 30), (30, 29.97), (7, 10)])
def test_a_video_has_exactly_its_frames_rate_and_size(tmp_path, frames, fps):
    path = tmp_path / "video.mp4"
    write_video(path, frames=frames, fps=fps, size=(160, 88), source="x")

    assert video_info(path) == (frames, pytest.approx(fps), 160, 88)


@pytest.mark.parametrize("content", [None, b"", b"no video at all"])
def test_what_is_no_video_is_refused_in_the_words_of_the_real_one(tmp_path, content):
    path = tmp_path / "video.mp4"
    if content is not None:
        path.write_bytes(content)

    with pytest.raises(ValueError, match=f"^Failed to load video frames from {path}$"):
        video_info(path)


def test_settings_come_from_the_environment(monkeypatch):
    monkeypatch.setenv("SIM_SCALE", "4")
    monkeypatch.setenv("SIM_STEP_S", "0.25")
    settings = Settings.read()

    assert (settings.load_s, settings.step_s) == (0, 0.25)
    assert settings.scaled((1280, 704)) == (320, 176)
    assert settings.scaled((30, 704)) == (16, 176)
