"""Measuring: metrics (`_metrics`), arms side by side (`_compare`), speed (`_speed`), figures (`_figures`)."""

from semcom.evaluation._compare import ARMS, compare_arms, compare_table, make_arm, measure_arm, tune_scheme
from semcom.evaluation._figures import compare_figure, curves, masked_view, picture_strip, sweep_figure
from semcom.evaluation._metrics import ms_ssim, psnr, ssim
from semcom.evaluation._speed import channel_calls, codec_calls, decoder_call

__all__ = [
    "ARMS",
    "channel_calls",
    "codec_calls",
    "compare_arms",
    "compare_figure",
    "compare_table",
    "curves",
    "decoder_call",
    "make_arm",
    "masked_view",
    "measure_arm",
    "ms_ssim",
    "picture_strip",
    "psnr",
    "ssim",
    "sweep_figure",
    "tune_scheme",
]
