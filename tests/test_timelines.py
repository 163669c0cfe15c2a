"""Times of jobs become lanes, shares of busy time, and rows of what was expected and what it took."""

from dataclasses import replace
from datetime import timedelta

import cv2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cosmos_ops.comparisons import comparison, markdown_table, median_error, summary
from cosmos_ops.media.lanes import SegmentKind
from cosmos_ops.sizes import SampleSize
from cosmos_ops.store.records import JobRecord
from cosmos_ops.timelines import busy_share, headline, idle_gaps, last_start_s, makespan_s, timeline, write_picture
from cosmos_ops.timing import JobTiming, SampleTiming

from .store.builders import START, a_job

SIZE = SampleSize(frames=121)
STAGING_IN, HELD, LOAD, SAMPLE, STAGING_OUT = SegmentKind


def at(seconds):
    return None if seconds is None else START + timedelta(seconds=seconds)


def a_timing(start_s=10.0, *, load_s=20.0, samples=(30.0, 30.0), tail_s=2.0, run="r", **values):
    """Staged in from 0 s on, home 5 s after its end."""
    ends = [start_s + load_s + sum(samples[: place + 1]) for place in range(len(samples))]
    ended_s = (ends or [start_s + load_s])[-1] + tail_s
    made = JobTiming(
        model="transfer1",
        controls=("edge", "depth"),
        parts=2,
        samples=tuple(
            SampleTiming(f"{run}{place}", SIZE, predicted_s=25.0, started_at=at(end - took), ended_at=at(end))
            for place, (end, took) in enumerate(zip(ends, samples, strict=True))
        ),
        gpus="0",
        predicted_load_s=24.0,
        staging_in_at=at(start_s - 10),
        staged_in_at=at(start_s - 6),
        started_at=at(start_s),
        ended_at=at(ended_s),
        home_at=at(ended_s + 5),
    )
    return replace(made, **values)


def a_record(timing=None, *, host="a", is_ended=True, **values):
    run_ids = [sample.run_id for sample in timing.samples] if timing is not None else ["r0"]
    ended_at = at(100_000) if is_ended else None
    return JobRecord(a_job(*run_ids, **values), host, "owner", START, START, ended_at, timing)


def shown_of(*timings, **values):
    return timeline([a_record(timing) for timing in timings], **values)


def spans(lane, kind):
    return [(segment.start_s, segment.end_s) for segment in lane.segments if segment.kind is kind]


def test_the_times_of_a_job_become_segments():
    (lane,) = shown_of(a_timing()).lanes

    assert lane.name == "a 0"
    assert spans(lane, STAGING_IN) == [(0, 4)]
    assert spans(lane, HELD) == [(10, 92)]
    assert spans(lane, LOAD) == [(10, 30)]
    assert spans(lane, SAMPLE) == [(30, 60), (60, 90)]
    assert spans(lane, STAGING_OUT) == [(92, 97)]
    assert {segment.label for segment in lane.segments} == {"transfer1 edge+depth"}
    assert not any(segment.is_failed for segment in lane.segments)


def test_an_operation_other_than_inference_is_named():
    upscaled = a_record(a_timing(controls=()), operation="upscale")

    assert timeline([upscaled]).lanes[0].segments[0].label == "upscale transfer1"


def test_every_slot_has_its_lane_in_the_order_of_hosts_and_gpus():
    jobs = [a_record(a_timing(gpus=gpus), host=host) for host, gpus in (("b", "0"), ("a", "10"), ("a", "2"), ("a", "0,1"))]

    shown = timeline([*jobs, a_record(a_timing(200, gpus="2"))], slots=[("a", "2"), ("c", "0")])

    assert [lane.name for lane in shown.lanes] == ["a 0,1", "a 2", "a 10", "b 0", "c 0"]
    assert [len(spans(lane, HELD)) for lane in shown.lanes] == [1, 2, 1, 1, 0]


def test_jobs_side_by_side_on_a_host_without_gpus_have_lanes_of_their_own():
    shown = shown_of(a_timing(10, gpus=""), a_timing(40, gpus=""), a_timing(92.0, gpus=""))

    assert [(lane.name, len(spans(lane, HELD))) for lane in shown.lanes] == [("a", 2), ("a (2)", 1)]


def test_a_gpu_keeps_one_lane_although_an_end_was_noticed_late():
    (lane,) = shown_of(a_timing(10, tail_s=30.0), a_timing(91)).lanes

    assert len(spans(lane, HELD)) == 2


def test_jobs_without_times_or_without_a_slot_are_left_out():
    waiting = a_timing(gpus="", started_at=None, ended_at=None, home_at=None, samples=())

    shown = timeline([a_record(), a_record(waiting), a_record(a_timing(50))])

    assert (shown.job_count, shown.run_count, shown.starts_at) == (1, 2, at(40))


@pytest.mark.parametrize("jobs", [[], [a_record()], [a_record(JobTiming("transfer1", (), 0, gpus="0"))]])
def test_without_times_there_are_only_the_lanes_asked_for(jobs, tmp_path):
    shown = timeline(jobs, slots=[("a", "0")])

    assert [lane.name for lane in shown.lanes] == ["a 0"]
    assert (busy_share(shown), makespan_s(shown), last_start_s(shown), idle_gaps(shown)) == (0, 0, 0, [])
    assert headline(shown) == "No jobs on 1 slot"
    assert not write_picture(timeline(jobs), tmp_path / "no.png")


def test_what_has_not_ended_goes_on_until_now():
    begun = a_timing(ended_at=None, home_at=None)
    begun = replace(begun, samples=(begun.samples[0], replace(begun.samples[1], ended_at=None)))

    (lane,) = timeline([a_record(begun, is_ended=False)], now=at(75)).lanes

    assert spans(lane, HELD) == [(10, 75)]
    assert spans(lane, SAMPLE) == [(30, 60), (60, 75)]
    assert spans(lane, STAGING_OUT) == []
    assert not any(segment.is_failed for segment in lane.segments)


def test_a_job_that_still_loads_is_busy():
    loading = a_timing(samples=(), ended_at=None, home_at=None)

    (lane,) = timeline([a_record(loading, is_ended=False)], now=at(25)).lanes

    assert spans(lane, LOAD) == [(10, 25)]


def test_a_job_that_was_given_up_does_not_go_on_until_now():
    given_up = a_timing(ended_at=None, home_at=None)

    (lane,) = timeline([a_record(given_up)], now=at(5000)).lanes

    assert spans(lane, HELD) == [(10, 90)]


def test_a_sample_without_end_came_to_nothing_once_the_job_is_over():
    timing = a_timing(samples=(30.0, 30.0, 30.0))
    cut = replace(timing, samples=(timing.samples[0], *(replace(sample, ended_at=None) for sample in timing.samples[1:])))

    (lane,) = shown_of(cut).lanes

    assert spans(lane, SAMPLE) == [(30, 60), (60, 90), (90, 122)]
    assert [segment.is_failed for segment in lane.segments if segment.kind is SAMPLE] == [False, True, True]
    (unseen,) = shown_of(replace(cut, is_observed=False)).lanes
    assert not any(segment.is_failed for segment in unseen.segments)


def test_runs_that_failed_are_marked():
    (lane,) = shown_of(a_timing(), failed=frozenset({"r1"})).lanes

    assert [segment.is_failed for segment in lane.segments if segment.kind is SAMPLE] == [False, True]


def test_busy_share_counts_loads_and_samples_of_all_slots():
    shown = timeline([a_record(a_timing())], slots=[("a", "1")])

    assert makespan_s(shown) == 92
    assert busy_share(shown) == pytest.approx(80 / (2 * 92))
    assert busy_share(shown, 10, 90) == pytest.approx(0.5)
    assert busy_share(shown, 50, 50) == 0


def test_idle_gaps_come_longest_first():
    shown = shown_of(a_timing(10), a_timing(100))

    assert idle_gaps(shown) == [("a 0", 0, 10), ("a 0", 90, 100), ("a 0", 180, 182)]
    assert idle_gaps(shown, 20, 100, shortest_s=5) == [("a 0", 90, 100)]


def test_the_headline_tells_makespan_and_busy_share():
    shown = shown_of(a_timing(10), a_timing(92, gpus="1"), a_timing(92, gpus="0"))

    assert last_start_s(shown) == 92
    assert headline(shown) == "6 runs in 3 jobs on 2 slots: 2 min 54 s, busy 69.0 % of it, 43.5 % until the last job started"


moments = st.none() | st.floats(0, 1e5, allow_nan=False).map(at)
timings = st.builds(
    JobTiming,
    model=st.just("transfer1"),
    controls=st.just(("edge",)),
    parts=st.just(1),
    samples=st.lists(
        st.builds(SampleTiming, st.sampled_from("rstu"), st.just(SIZE), st.none(), moments, moments), max_size=4
    ).map(tuple),
    gpus=st.sampled_from(["", "0", "1", "0,1"]),
    staging_in_at=moments,
    staged_in_at=moments,
    started_at=moments,
    ended_at=moments,
    home_at=moments,
    is_observed=st.booleans(),
)
records = st.builds(a_record, st.none() | timings, host=st.sampled_from("ab"), is_ended=st.booleans())


@given(st.lists(records, max_size=6), st.none() | st.floats(-1e5, 1e6).map(at))
def test_any_times_give_segments_within_the_timeline(jobs, now):
    shown = timeline(jobs, now=now)

    segments = [segment for lane in shown.lanes for segment in lane.segments]
    assert all(0 <= segment.start_s <= segment.end_s for segment in segments)
    known = [moment for job in jobs if job.timing is not None for moment in _known(job.timing)]
    assert (
        not segments
        or max(segment.end_s for segment in segments) <= (max([*known, now or START]) - shown.starts_at).total_seconds()
    )
    assert 0 <= busy_share(shown) <= 1 + 1e-9
    assert len({lane.name for lane in shown.lanes}) == len(shown.lanes)
    assert shown.job_count <= len(jobs)


def _known(timing):
    of_samples = [moment for sample in timing.samples for moment in (sample.started_at, sample.ended_at)]
    of_job = [timing.staging_in_at, timing.staged_in_at, timing.started_at, timing.ended_at, timing.home_at]
    return [moment for moment in of_job + of_samples if moment is not None]


@given(st.lists(st.tuples(st.floats(0, 50), st.lists(st.floats(1, 60), max_size=4)), min_size=1, max_size=5))
def test_jobs_that_follow_each_other_leave_no_time_uncounted(work):
    jobs, start_s = [], 10.0
    for load_s, samples in work:
        jobs.append(a_record(a_timing(start_s, load_s=load_s, samples=tuple(samples), tail_s=0.0)))
        start_s += load_s + sum(samples)
    shown = timeline(jobs)

    assert len(shown.lanes) == 1
    assert busy_share(shown, 10, start_s) == pytest.approx(1 if start_s > 10 else 0)
    assert makespan_s(shown) == pytest.approx(start_s, abs=1e-3)


def test_a_picture_of_a_timeline_is_written(tmp_path):
    assert write_picture(shown_of(a_timing(), a_timing(gpus="1")), tmp_path / "timeline.png")

    assert cv2.imread(str(tmp_path / "timeline.png")).shape == (200, 1280, 3)


def test_predicted_and_measured_seconds_stand_side_by_side():
    (row,) = comparison([a_record(a_timing())])

    assert (row.host, row.gpus, row.run_count) == ("a", "0", 2)
    assert (row.predicted_load_s, row.load_s, row.predicted_s, row.took_s) == (24, 20, 74, 82)
    assert row.error == pytest.approx(74 / 82 - 1)
    assert row.remark == ""
    assert str(row) == "predicted 74 s, took 82 s (-10 %)"


LOST = a_timing(is_observed=False)
CUT = replace(a_timing(), samples=(a_timing().samples[0], replace(a_timing().samples[1], ended_at=None)))
UNPREDICTED = a_timing(predicted_load_s=None)


@pytest.mark.parametrize(
    ("record", "remark", "took_s"),
    [
        (a_record(), "no times were kept", None),
        (a_record(a_timing(ended_at=None, home_at=None), is_ended=False), "not ended", None),
        (a_record(JobTiming("transfer1", (), 0), is_ended=False), "not started", None),
        (a_record(JobTiming("transfer1", (), 0)), "never computed", None),
        (a_record(LOST), "not followed all the time", None),
        (a_record(CUT), "1 of 2 runs not completed", 82),
        (a_record(UNPREDICTED), "nothing was predicted", 82),
    ],
)
def test_a_job_that_says_nothing_of_its_prediction_says_why(record, remark, took_s):
    (row,) = comparison([record])

    assert (row.remark, row.took_s, row.error) == (remark, took_s, None)
    assert str(row) == remark
    assert summary([row]) == "No job has ended whose prediction can be compared with what it took."


def test_rows_are_summed_up():
    jobs = [a_record(a_timing(predicted_load_s=load_s)) for load_s in (32.0, 114.0, 0.0)]
    rows = comparison([*jobs, a_record(LOST)])

    assert median_error(rows) == pytest.approx(1 - 50 / 82)
    assert summary(rows) == "3 of 4 jobs compared: predicted 296 s, took 246 s (+20 %), median error 39 %."
    assert summary(rows[:1]) == "1 job compared: predicted 82.0 s, took 82.0 s (+0 %), median error 0 %."
    assert median_error([]) is None


def test_a_table_has_a_line_for_each_job_and_the_sum_below():
    rows = comparison([a_record(a_timing(), id="jb_1", host="a"), a_record(LOST, id="jb_2", host="b")])

    assert markdown_table(rows).splitlines() == [
        "| job | host | slot | runs | load predicted | load took | total predicted | total took | error | remark |",
        "| --- | --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | --- |",
        "| `jb_1` | a | 0 | 2 | 24.0 | 20.0 | 74.0 | 82.0 | -10 % |  |",
        "| `jb_2` | b | 0 | 2 | 24.0 |  | 74.0 |  |  | not followed all the time |",
        "",
        "1 of 2 jobs compared: predicted 74.0 s, took 82.0 s (-10 %), median error 10 %.",
    ]


def test_a_long_table_is_cut_but_its_sum_is_not():
    text = markdown_table(comparison([a_record(a_timing())] * 5), most=2)

    assert text.count("| a | 0 |") == 2
    assert "3 more jobs are not in the table." in text
    assert "5 jobs compared: predicted 370 s, took 410 s" in text
