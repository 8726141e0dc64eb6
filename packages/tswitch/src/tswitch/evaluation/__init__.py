"""Scoring models and switches: `_suite` (the fine-tuned models that experiments share), `_evaluate` (scores by row),
`_rivals` (tuned on validation rows), `_sweep` (over alpha), `_timing` (switching against loading)."""
