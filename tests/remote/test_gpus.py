"""What nvidia-smi says is read right, whatever a GPU does not tell."""

from cosmos_ops.remote.gpus import parse_gpus
from cosmos_ops.remote.host import GPU


def test_each_line_is_a_gpu():
    text = "0, NVIDIA H100 80GB HBM3, 570.133.20, 81559\n1, NVIDIA GB10, 580.95.05, [N/A]\n"

    assert parse_gpus(text) == [GPU(0, "NVIDIA H100 80GB HBM3", "570.133.20", 81559), GPU(1, "NVIDIA GB10", "580.95.05", 0)]


def test_what_is_no_answer_gives_no_gpu():
    assert parse_gpus("No devices were found\n") == []
