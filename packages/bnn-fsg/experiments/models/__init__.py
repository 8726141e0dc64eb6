"""Networks that claims and benchmarks train and keep: those of the frontier of accuracy, bytes and time."""
