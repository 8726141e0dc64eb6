"""T-Switch (CVPR 2025, arXiv 2412.00054, section 3): a fine-tuned model as a ternary difference from its base.

Section 3.1, task vectors: `_tasks` (several models), `_delta` (one tensor). Section 3.2, pulse activation: `_pulse`,
`_select` (exact thresholds). Section 3.3, activation switch, polarity switch and switch knob: `_ternary` on one
tensor, `_plan` and `_build` on a whole model, `_compress` from disk to disk. The object itself: `_switch`; its codes:
`_codec`; its folder: `_format`. Applied for good: `_export`. Compiled loops: `_kernels`, `_decode_kernels`.
"""
