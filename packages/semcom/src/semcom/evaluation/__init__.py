"""Measuring: metrics of pictures (`_metrics`), whole pictures by every link (`_whole`), coders of a user's own
(`_compare`), figures (`_figures`), runs with table and picture (`_campaigns`).

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

from semcom.evaluation._compare import Comparison, compare
from semcom.evaluation._figures import curves, masked_view, picture_grid, picture_strip, sweep_figure, sweep_table
from semcom.evaluation._metrics import psnr, ssim
from semcom.evaluation._whole import (
    WHOLE_ARMS,
    BaselineTask,
    arm_name,
    baseline_csv,
    baseline_figure,
    baseline_table,
    best_rates,
    check_pictures,
    make_whole_link,
    measure_baseline,
    measure_picture,
    picture_scores,
)  # fmt: skip

__all__ = [
    "WHOLE_ARMS", "BaselineTask", "Comparison", "arm_name", "baseline_csv", "baseline_figure", "baseline_table",
    "best_rates", "check_pictures", "compare", "curves", "make_whole_link", "masked_view", "measure_baseline",
    "measure_picture", "picture_grid", "picture_scores", "picture_strip", "psnr", "ssim", "sweep_figure", "sweep_table",
]  # fmt: skip
