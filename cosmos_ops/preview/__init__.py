"""The embedded model family `preview`: classical video processing on the CPU, no neural model.

`python -m cosmos_ops.preview` is its program; see docs/preview.md for its contract and its rules.
"""

PREVIEW_VERSION = "0.1.0"
