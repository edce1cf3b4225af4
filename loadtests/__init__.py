"""Load, chaos and benchmarks against real processes, through the doors clients use."""
