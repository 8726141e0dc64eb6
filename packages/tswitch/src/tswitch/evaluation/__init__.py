"""Scoring models and switches: `_suite` (the fine-tuned models that experiments share), `_evaluate` (scores by row),
`_rivals` (tuned on validation rows), `_sweep` and `_sweep_folder` (over alpha), `_facts` (what one reads of
switches), `_traffic` (switched and routed), `_timing` (switching against loading)."""
