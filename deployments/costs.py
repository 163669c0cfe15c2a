"""`cosmos costs`: what is known of the seconds of loads and samples, and how well the last jobs were predicted."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from cosmos_ops.operations import read_params
from cosmos_ops.settings import Settings
from cosmos_ops.sizes import SampleSize
from cosmos_ops.store import Store

if TYPE_CHECKING:
    # What computes with many numbers takes a while to import, and `--help` needs none of it.
    from cosmos_ops.comparisons import Comparison
    from cosmos_ops.planning.costs import Coefficients

COLUMNS = ("model", "gpu", "cold load", "warm load", "load error", "sample", "error", "samples")
JOBS_LOOKED_AT = 300
JOBS_JUDGED = 30
JOBS_SHOWN = 10

REFERENCES: Mapping[str, tuple[SampleSize, int, str]] = {
    "preview": (SampleSize(frames=121), 0, "121 frames of 1280x720"),
    "transfer1": (SampleSize(121, 1, 36, 2, controls=1), 1, "121 frames, one clip, 36 x 2 calls, one control"),
    "transfer25": (SampleSize(93, 1, 35, 2, controls=1), 1, "93 frames of 720p, one chunk, 35 x 2 calls, one control"),
    "cosmos3": (SampleSize(189, 1, 35, 2), 0, "189 frames of 720p, one chunk, 35 x 2 calls, no control"),
}
"""Family to the sample whose seconds are shown, the parts that are loaded for it, and what it is in words."""
OTHER = (SampleSize(121, 1, 35, 2, controls=1), 1, "121 frames, one chunk, 35 x 2 calls, one control")


@click.command("costs")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
def costs_command(as_json: bool) -> None:
    """Show what loads and samples are expected to take, learnt from finished jobs, and how well the last ones were predicted."""
    from cosmos_ops.comparisons import comparison, median_error
    from cosmos_ops.cost_keeping import known_costs
    from deployments.display import lines_of

    with Store.open(Settings().store_url, read_params=read_params) as store:
        known = known_costs(store)
        rows = comparison(store.recent_jobs(limit=JOBS_LOOKED_AT))
    judged = [row for row in rows if row.error is not None][:JOBS_JUDGED]
    median = median_error(judged)
    records = [_record(model, gpu_type, known.known[model, gpu_type]) for model, gpu_type in sorted(known.known)]
    if as_json:
        names = ("job_id", "host", "model", "gpu_type", "predicted_s", "took_s", "error")
        jobs = [{name: getattr(one, name) for name in names} for one in judged]
        click.echo(json.dumps({"costs": records, "jobs": jobs, "median_error": median}, indent=2))
        return
    table = lines_of([_shown(record) for record in records], COLUMNS)
    click.echo("\n".join([*table, "", *_explained(records), "", *_told(judged, median)]))


def _record(model: str, gpu_type: str, known: "Coefficients") -> dict[str, Any]:
    size, parts, words = _reference(model)
    return {
        "model": model,
        "gpu_type": gpu_type,
        "cold_load_s": known.load_s(parts, is_warm=False),
        "warm_load_s": known.load_s(parts, is_warm=True),
        "load_error": known.load_error,
        "sample_s": known.sample_s(size),
        "error": known.error,
        "sample_count": known.sample_count,
        "reference": words,
        "coefficients": asdict(known),
    }


def _reference(model: str) -> tuple[SampleSize, int, str]:
    return REFERENCES.get(model.partition("/")[0], OTHER)


def _shown(record: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "model": record["model"],
        "gpu": record["gpu_type"],
        "cold load": f"{record['cold_load_s']:.1f} s",
        "warm load": f"{record['warm_load_s']:.1f} s",
        "load error": f"{100 * record['load_error']:.0f} %",
        "sample": f"{record['sample_s']:.1f} s",
        "error": f"{100 * record['error']:.0f} %",
        "samples": record["sample_count"] or "start value",
    }


def _explained(records: list[dict[str, Any]]) -> list[str]:
    from cosmos_ops.planning.costs import ANY_GPU

    references = {record["model"].partition("/")[0]: record["reference"] for record in records}
    return [
        "A load is all that passes from the start of the container to its first sample. The sample is, on one GPU:",
        *(f"  {family}: {words}" for family, words in references.items()),
        f"Numbers for '{ANY_GPU}' count for GPU types that are not in the list.",
    ]


def _told(judged: list["Comparison"], median: float | None) -> list[str]:
    from cosmos_ops.planning.costs import ANY_GPU

    if median is None:
        return ["No job has finished yet of which all runs completed; until then the start values hold."]
    return [
        *(f"{one.job_id}  {one.model} on {one.host} ({one.gpu_type or ANY_GPU}): {one}" for one in judged[:JOBS_SHOWN]),
        f"Median error of the last {len(judged)} jobs: {100 * median:.0f} %",
    ]
