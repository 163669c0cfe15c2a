"""Cosmos 3's `cosmos_framework.scripts.inference`, simulated: from the command line to the loop over the batches."""

import copy
import json
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from .cosmos3_arguments import parse_arguments
from .cosmos3_engine import CACHE, Engine, compact
from .cosmos3_files import download, read_samples
from .cosmos3_modes import generate_text, generate_vision
from .cosmos3_samples import build, hints_of
from .cosmos3_setup import Model, find_model, lay_out
from .cosmos3_transfer import generate_transfer
from .program import Settings, count_start, rank
from .reports import CONSOLE_LOG, Log

INIT = "cosmos_framework/inference/common/init.py"
SCRIPT = "cosmos_framework/scripts/inference.py"
LATE_RANKS_S = 10


def main(argv: list[str] | None = None) -> int:
    """Check all samples, load the model, complete all samples, and generate one after another."""
    paths, setup, overrides = parse_arguments(argv)
    try:
        _run(paths, setup, overrides)
    except Exception:
        # So that the traceback of rank 0 comes first.
        time.sleep(LATE_RANKS_S if rank() else 0)
        raise
    return 0


def _run(paths: list[Path], setup: SimpleNamespace, overrides: dict[str, Any]) -> None:
    if setup.output_dir is None:
        raise ValueError("'output_dir' is required")
    folder = Path(setup.output_dir).expanduser().absolute()
    model, layout = find_model(setup.checkpoint_path), lay_out(setup)
    log = Log(folder, job="")
    log.say("INFO", f"{INIT}:127:init_output_dir", f"Console log saved to {folder / CONSOLE_LOG}")
    given = read_samples(paths, overrides)
    log.say("INFO", f"{SCRIPT}:46:inference", f"Loaded {len(given)} samples")
    for sample in given:
        sample["output_dir"] = str(folder / sample["name"])
        download(sample, Path(sample["output_dir"]) / "inputs")
    _load(setup, model, log)
    samples = list(_built(given, setup, model, log))
    engine = Engine(setup, model, layout, log)
    took_s = _generate(engine, [one for sample in samples for one in _numbered(sample)])
    if setup.benchmark and rank() == 0:
        file = folder / "benchmark.json"
        average = {"OmniInference.generate_batch": sum(took_s) / len(took_s)}
        file.write_text(json.dumps({"all": {"OmniInference.generate_batch": took_s}, "average": average}, indent=2))
        log.say("SUCCESS", f"{SCRIPT}:76:inference", f"Saved benchmark to '{file}'")


def _load(setup: SimpleNamespace, model: Model, log: Log) -> None:
    """Load the model, which says nothing but how it fetches the weights."""
    if model.is_on_hub:
        hub = "uv run --isolated --project cosmos_framework/hf_cli --locked --no-default-groups hf download --format=json"
        text = f"{hub} nvidia/{model.name} --repo-type model --revision main"
        log.say("INFO", "cosmos_framework/utils/checkpoint_db.py:171:_hf_download", text)
    time.sleep(Settings.read().load_s)
    if setup.diffusion_cache:
        threshold = 0.35 if setup.diffusion_cache_thresh is None else setup.diffusion_cache_thresh
        text = f"Enabled diffusion cache (diffusion-time inference cache) with thresh={threshold}"
        log.say("INFO", f"{CACHE}:813:install", text)


def _built(given: list[dict[str, Any]], setup: SimpleNamespace, model: Model, log: Log) -> Iterator[SimpleNamespace]:
    for sample in given:
        try:
            yield build(sample, model, log)
        except ValueError as error:
            if not setup.skip_invalid_samples:
                raise
            text = f"Skipping sample '{sample['name']}': {error}"
            log.say("WARNING", f"{SCRIPT}:66:inference", text)
            if rank() == 0:
                skipped = {"args": sample, "status": "skip", "message": text, "stack_trace": None, "outputs": []}
                Path(sample["output_dir"]).mkdir(parents=True, exist_ok=True)
                (Path(sample["output_dir"]) / "sample_outputs.json").write_text(compact(skipped))


def _numbered(sample: SimpleNamespace) -> list[SimpleNamespace]:
    """A sample for each of its outputs; several have a folder and a seed each."""
    if sample.num_outputs == 1:
        return [sample]
    made = []
    for number in range(sample.num_outputs):
        one = copy.deepcopy(sample)
        one.num_outputs, one.output_dir = 1, f"{sample.output_dir}/{number}"
        one.seed = None if sample.seed is None else sample.seed + number
        made.append(one)
    return made


def _generate(engine: Engine, samples: list[SimpleNamespace]) -> list[float]:
    """Generate the samples of this rank's replica, in batches; the seconds of each."""
    setup = engine.setup
    assert setup.max_model_len is None or setup.max_num_seqs is None, "Either max_model_len or max_num_seqs must be set, not both"
    assert setup.max_model_len or setup.max_num_seqs, "Either max_model_len or max_num_seqs must be set"
    # What fills up the rounds of replicas that have less to do; it fails if there is nothing at all.
    _padding = samples[0]
    own = samples[rank() // engine.layout.replica_size :: engine.layout.replicas]
    size = setup.max_num_seqs or 1
    took_s = []
    for start in range(0, len(own), size):
        began = time.monotonic()
        batch = own[start : start + size]
        for sample in batch:
            count_start(sample.name)
        _generate_batch(engine, batch)
        took_s.append(time.monotonic() - began)
    return took_s


def _generate_batch(engine: Engine, batch: list[SimpleNamespace]) -> None:
    are_transfers = [bool(hints_of(sample)) for sample in batch]
    if any(are_transfers):
        assert all(are_transfers), "Cannot mix transfer and non-transfer samples in a batch"
        assert len(batch) == 1, "Batching is not supported for transfer inference"
        generate_transfer(engine, batch[0])
        return
    are_texts = [sample.model_mode == "reasoner" for sample in batch]
    if any(are_texts):
        assert all(are_texts), "Cannot mix reasoner and non-reasoner samples in a batch"
        generate_text(engine, batch)
    else:
        generate_vision(engine, batch)
