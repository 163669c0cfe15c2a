"""Rows that a released version has written load for ever. A file here is never changed; a new version adds its own."""

import json
from pathlib import Path

import pytest

from cosmos_ops.operations import OPERATIONS, read_params

RECORDED = sorted((Path(__file__).parents[1] / "recorded" / "params").glob("*.json"))


@pytest.mark.parametrize("path", RECORDED, ids=lambda path: path.stem)
def test_a_recorded_row_loads_with_all_its_values(path):
    operation, _, rest = path.stem.partition("_")
    family, _, _version = rest.partition("-")
    row = json.loads(path.read_text(encoding="utf-8"))

    params = read_params(operation, family, row)

    assert row.items() <= params.model_dump(mode="json").items()


def test_every_operation_has_a_recorded_row():
    recorded = {path.stem.rpartition("-")[0] for path in RECORDED}

    assert {f"{operation.name}_{operation.family}" for operation in OPERATIONS} <= recorded
