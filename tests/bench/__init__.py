"""Benchmarks: ratios measured side by side in one run, and the numbers that the documents quote. `make bench` runs them."""
