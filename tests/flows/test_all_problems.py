"""A file that cannot be read does not hide what else is wrong with a request, and nothing is said that it would only imply."""

import pytest

from cosmos_ops.errors import InputError
from cosmos_ops.intake import check_request
from cosmos_ops.operations.inference_transfer25 import INFERENCE_TRANSFER25, InferenceTransfer25
from tests.builders import a_clip


def test_a_missing_file_and_a_wrong_parameter_are_said_together(tmp_path):
    clip, missing = a_clip(tmp_path / "clip.mp4"), tmp_path / "edge.mp4"

    with pytest.raises(InputError) as error:
        check_request(
            INFERENCE_TRANSFER25, InferenceTransfer25(edge_weight=1, num_gpus=3), "a street", {"video": clip, "edge": missing}
        )

    assert f"{missing} does not exist" in str(error.value)
    assert "num_gpus: " in str(error.value)
    assert str(error.value).count(str(missing)) == 1


def test_without_any_file_that_can_be_read_the_parameters_are_checked_all_the_same(tmp_path):
    with pytest.raises(InputError, match=r"does not exist.*num_gpus: "):
        check_request(INFERENCE_TRANSFER25, InferenceTransfer25(edge_weight=1, num_gpus=3), "a street", {"video": tmp_path / "x"})
