"""How good predicted voxels are, and how heads compare.

- `_miou.py`: mIoU over the whole set under a visibility mask, and geometric IoU
- `_rayiou.py`: RayIoU by ray casting on the CPU
- `_protocol.py`: a model or a head over a data set
- `_compare.py`: all heads on one frozen encoder
- `_streets.py`, `_rivals.py`: heads on simulated streets; the rival heads that ship
- `_reports.py`: facts, tables and files of scores
- `_speed.py`: latency by stage, multiply-accumulates, memory
"""

from fastocc.evaluation._compare import (
    RATES,
    Encoded,
    choose_rate,
    compare_heads,
    encode_splits,
    make_head,
    trained_head,
)
from fastocc.evaluation._miou import MIoU, MIoUScore
from fastocc.evaluation._protocol import MASKS, Evaluation, evaluate, evaluate_head, mask_of, predict_frame
from fastocc.evaluation._rayiou import RayIoU, RayScore, query_rays, select_origins
from fastocc.evaluation._speed import (
    HeadTiming,
    Stage,
    count_macs,
    head_inputs,
    median_seconds,
    time_heads,
    time_stages,
)

__all__ = [
    "MASKS",
    "RATES",
    "Encoded",
    "Evaluation",
    "HeadTiming",
    "MIoU",
    "MIoUScore",
    "RayIoU",
    "RayScore",
    "Stage",
    "choose_rate",
    "compare_heads",
    "count_macs",
    "encode_splits",
    "evaluate",
    "evaluate_head",
    "head_inputs",
    "make_head",
    "mask_of",
    "median_seconds",
    "predict_frame",
    "query_rays",
    "select_origins",
    "time_heads",
    "time_stages",
    "trained_head",
]
