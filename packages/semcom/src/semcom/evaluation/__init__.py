"""Measuring: metrics (`_metrics`), arms side by side (`_compare`), speed (`_speed`), figures (`_figures`).

Of the second system: scores of generated pictures (`_mm_metrics`), arms side by side (`_mm_compare`).
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

__all__ = [
    "ARMS",
    "BOUND",
    "MM_ARMS",
    "Contest",
    "Judged",
    "Paired",
    "alpha_on_validation",
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
    "masked_view",
    "measure_arm",
    "ms_ssim",
    "paired",
    "picture_strip",
    "psnr",
    "ssim",
    "sweep_figure",
    "tune_scheme",
]
