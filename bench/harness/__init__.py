"""The harness of the benchmarks. Python's standard library only."""
