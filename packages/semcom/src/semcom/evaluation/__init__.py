"""Measuring: metrics (`_metrics`), arms side by side (`_compare`), speed (`_speed`), figures (`_figures`). Whole
pictures by every link: `_whole`.

Of the second system: scores of generated pictures (`_mm_metrics`), arms side by side (`_mm_compare`).

Examples:
    >>> import numpy as np
    >>> from semcom.evaluation import psnr, ssim

    >>> draw = np.random.default_rng(0)
    >>> reference = draw.integers(20, 230, (2, 32, 32, 3), dtype=np.uint8)
    >>> received = np.clip(reference + draw.normal(0, 5, reference.shape), 0, 255).astype(np.uint8)
    >>> psnr(received, reference).round(0)
    array([34., 34.])
    >>> bool((ssim(received, reference) > 0.9).all())
    True
"""

from semcom.evaluation._compare import ARMS, BOUND, compare_arms, compare_table, make_arm, measure_arm, tune_scheme
from semcom.evaluation._figures import compare_figure, curves, masked_view, picture_strip, sweep_figure
from semcom.evaluation._metrics import ms_ssim, psnr, ssim
from semcom.evaluation._mm_compare import (
    MM_ARMS,
    Contest,
    alpha_on_validation,
    compare_mm,
    compare_mm_table,
    items_of,
)
from semcom.evaluation._mm_metrics import Judged, Paired, gap_closed, joint_items, joint_score, judged, kid, paired
from semcom.evaluation._speed import channel_calls, codec_calls, decoder_call
from semcom.evaluation._whole import (
    WHOLE_ARMS,
    BaselineTask,
    baseline_csv,
    baseline_figure,
    baseline_table,
    best_rates,
    make_whole_link,
    measure_baseline,
    measure_picture,
)

__all__ = [
    "ARMS",
    "BOUND",
    "MM_ARMS",
    "WHOLE_ARMS",
    "BaselineTask",
    "Contest",
    "Judged",
    "Paired",
    "alpha_on_validation",
    "baseline_csv",
    "baseline_figure",
    "baseline_table",
    "best_rates",
    "channel_calls",
    "codec_calls",
    "compare_arms",
    "compare_figure",
    "compare_mm",
    "compare_mm_table",
    "compare_table",
    "curves",
    "decoder_call",
    "gap_closed",
    "items_of",
    "joint_items",
    "joint_score",
    "judged",
    "kid",
    "make_arm",
    "make_whole_link",
    "masked_view",
    "measure_arm",
    "measure_baseline",
    "measure_picture",
    "ms_ssim",
    "paired",
    "picture_strip",
    "psnr",
    "ssim",
    "sweep_figure",
    "tune_scheme",
]
