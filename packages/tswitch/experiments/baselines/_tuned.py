"""Rivals, each tuned on validation rows as its publication asks, and scored beside the method."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from ninefold.datasets import cache_dir
from ninefold.files import digest, write_text
from ninefold.progress import progress
from tswitch.baselines import Averaging, Dare, Emr, Method, Pcb, TaskArithmetic, Ties
from tswitch.evaluation._evaluate import Bench, macro

from . import BitDelta, ConsensusTaskArithmetic, PDiscard, TallMasks, TwinMerging

CANDIDATES: dict[str, Sequence[Method]] = {  # grids around each one's published setting, and lower: K is larger here
    "averaging": [Averaging()],
    "task arithmetic": [TaskArithmetic(scale=s) for s in (0.05, 0.1, 0.15, 0.2, 0.3)],
    "TIES": [Ties(keep=0.2, scale=s) for s in (0.15, 0.3, 0.6, 1.0)],
    "DARE": [Dare(drop=p, scale=s) for p in (0.5, 0.9) for s in (0.08, 0.15, 0.3)],
    "P-Discard": [PDiscard(alpha=0.6, scale=s) for s in (0.08, 0.15, 0.3)],
    "consensus TA": [ConsensusTaskArithmetic(mask_scale=m, scale=s) for m in (0.2, 0.4, 0.6) for s in (0.1, 0.2)],
    "PCB": [Pcb(keep=0.1, scale=s) for s in (0.3, 0.6, 1.2)],
    "EMR": [Emr()],
    "BitDelta": [BitDelta()],
    "BitDelta, every tensor": [BitDelta(every=True)],
    "TALL masks": [TallMasks(mask_scale=m) for m in (0.2, 0.4, 0.6)],
    "Twin-Merging": [TwinMerging(scale=s, keep=0.1) for s in (0.05, 0.1, 0.3)],
}
STATIC = ("averaging", "task arithmetic", "TIES", "DARE", "P-Discard", "consensus TA", "PCB")
PER_TASK = ("EMR", "BitDelta", "BitDelta, every tensor", "TALL masks", "Twin-Merging")


def tune(bench: Bench, name: str, rows: int) -> Method:
    """The candidate with the best mean accuracy on `rows` validation rows a task; kept, so it is found once."""
    candidates = CANDIDATES[name]
    best = _kept_best(bench, name, rows, candidates, lambda one: macro(bench.score_rival(one, "validation", rows)[0]))
    return candidates[best]


def _kept_best(bench: Bench, name: str, rows: int, candidates: Sequence[Any], accuracy: Callable[[Any], float]) -> int:
    """Position of the candidate of highest validation accuracy; found once for these models, and kept."""
    if len(candidates) == 1:
        return 0
    identity = [name, rows, [str(one) for one in candidates], sorted(folder.name for folder in bench.folders.values())]
    path = cache_dir("tswitch") / "tuned" / f"{digest(json.dumps(identity).encode())[7:23]}.json"
    if not path.exists():
        found = [accuracy(one) for one in candidates]
        record = {"method": name, "validation": dict(zip(map(str, candidates), found, strict=True))}
        write_text(path, json.dumps(record | {"best": int(np.argmax(found))}, indent=1) + "\n")
    return json.loads(path.read_text())["best"]


def scored(
    bench: Bench, tuner: Bench, names: Iterable[str], *, validation: int, test: int, seed: int = 0
) -> tuple[dict[str, dict[str, np.ndarray]], dict[str, int]]:
    """Test scores and bytes of rivals, each tuned on the validation rows of `tuner` (seed 0's models).

    Args:
        seed: of what is random in a rival (DARE's masks).
    """
    scores, sizes = {}, {}
    names = list(names)
    with progress(len(names), f"rivals, seed {seed}") as bar:
        for name in names:
            method = tune(tuner, name, validation)
            if isinstance(method, Dare):
                method = replace(method, seed=seed)  # another mask in each run
            scores[name], sizes[name] = bench.score_rival(method, "test", test)
            bar.advance()
    return scores, sizes
