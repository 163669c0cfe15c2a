"""The program `python -m cosmos_ops.preview OPERATION --samples FILE --out DIR`; its contract is in docs/preview.md."""

import argparse
import signal
import sys
from io import TextIOWrapper
from pathlib import Path
from types import FrameType
from typing import NoReturn

from cosmos_ops.errors import DiskFullError
from cosmos_ops.preview.batch import Batch
from cosmos_ops.preview.controls import STRENGTHS
from cosmos_ops.preview.enhancement import STYLES
from cosmos_ops.preview.reporting import Reporter
from cosmos_ops.preview.samples import SamplesError, read_samples

EXIT_COMPLETED, EXIT_FAILED, EXIT_INPUT, EXIT_FATAL, EXIT_TERMINATED = 0, 1, 2, 3, 143


def main(arguments: list[str] | None = None) -> int:
    """Carry out a batch and return the exit code: 0 done, 1 a sample failed, 2 wrong input, 3 fatal."""
    signal.signal(signal.SIGTERM, _terminate)
    if isinstance(sys.stdout, TextIOWrapper):
        # Paths and texts in any language must not end the program on a terminal that knows ASCII only.
        sys.stdout.reconfigure(encoding="utf-8", errors="backslashreplace", newline="\n")
    options = vars(_parser().parse_args(arguments))
    operation, samples_file, out = options.pop("operation"), options.pop("samples"), options.pop("out")
    reporter = Reporter(sys.stdout)
    try:
        samples = read_samples(samples_file, operation)
    except SamplesError as error:
        for problem in error.problems:
            reporter.error(problem)
        return EXIT_INPUT
    try:
        counts = Batch(operation, options, out, reporter).carry_out(samples)
    except DiskFullError as error:
        reporter.error(f"DiskFullError: {error}")
        return EXIT_FATAL
    except MemoryError:
        reporter.error("MemoryError: no memory left; use smaller videos or fewer processes at a time")
        return EXIT_FATAL
    except OSError as error:
        reporter.error(f"{type(error).__name__}: {error}; check {out} and its disk")
        return EXIT_FATAL
    return EXIT_FAILED if counts.failed else EXIT_COMPLETED


def _terminate(_signal: int, _frame: FrameType | None) -> NoReturn:
    # SystemExit unwinds every context manager, so that partial files go.
    raise SystemExit(EXIT_TERMINATED)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m cosmos_ops.preview", description=__doc__, allow_abbrev=False)
    operations = parser.add_subparsers(dest="operation", required=True, metavar="{enhance,inference,upscale}")
    enhance = _operation(operations.add_parser("enhance", help="longer prompts by rule", allow_abbrev=False))
    enhance.add_argument("--style", choices=STYLES, default="cinematic")
    inference = _operation(operations.add_parser("inference", help="a video from controls and a text", allow_abbrev=False))
    inference.add_argument("--smoothing-passes", type=int, choices=range(5), default=1, metavar="0..4")
    inference.add_argument("--blur-strength", choices=STRENGTHS, default="medium")
    inference.add_argument("--edge-threshold", choices=STRENGTHS, default="medium")
    upscale = _operation(operations.add_parser("upscale", help="Lanczos enlargement", allow_abbrev=False))
    upscale.add_argument("--factor", type=int, choices=(2, 3, 4), default=4)
    for parser_with_video in (inference, upscale):
        parser_with_video.add_argument("--crf", type=int, choices=range(10, 41), default=20, metavar="10..40")
    return parser


def _operation(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    parser.add_argument("--samples", type=Path, required=True, metavar="FILE", help="one JSON object a line")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="gets one folder a sample")
    return parser


if __name__ == "__main__":
    sys.exit(main())
