"""Measuring: metrics (`_metrics`), error rates of the physical layer (`_phy`), the arms side by side (`_compare`),
speed (`_speed`), pictures of results (`_figures`).
"""

from semcom.evaluation._compare import ARMS, compare_arms, compare_table, make_arm, measure_arm, tune_scheme
from semcom.evaluation._figures import compare_figure, curves, masked_view, picture_strip, sweep_figure
from semcom.evaluation._metrics import error_interval, ms_ssim, psnr, ssim
from semcom.evaluation._phy import Point, measure, parse_range, sweep
from semcom.evaluation._speed import channel_calls, codec_calls, decoder_call

__all__ = [
    "ARMS",
    "Point",
    "channel_calls",
    "codec_calls",
    "compare_arms",
    "compare_figure",
    "compare_table",
    "curves",
    "decoder_call",
    "error_interval",
    "make_arm",
    "masked_view",
    "measure",
    "measure_arm",
    "ms_ssim",
    "parse_range",
    "picture_strip",
    "psnr",
    "ssim",
    "sweep",
    "sweep_figure",
    "tune_scheme",
]
