"""Whether the published stages pay: a searched schedule, a learnt router and a refinement, above what needs none.

All are fitted to mixed sequences (text, long-context tasks of each kind, solved questions) with the templates and
texts of training, choose on those of validation, and are scored on those of test. The training-free pruner as
it comes is the floor; the schedules that the search started from are scored, too.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from tokenprune.evaluation._evaluate import text_divergence
from tokenprune.executor._executor import Executor
from tokenprune.pruner._config import FTPConfig
from tokenprune.pruner._pruner import TokenPruner
from tokenprune.routers._schedule import uniform
from tokenprune.routers._static_router import StaticRouter
from tokenprune_experiments.models._arms import BASE, each_sequence
from tokenprune_experiments.models._mixed import MixedArms

FLOOR = "training-free"
BEST_STARTS = 3  # of eight, by the calibration data


def stages_pay(arms: MixedArms) -> dict[str, Any]:
    """KL to the dense model of held-out mixed sequences, by arm and sequence."""
    model = arms.layout.model

    def static(schedule: Any) -> Executor:
        return Executor(arms.layout, StaticRouter(schedule))

    makers: dict[str, Callable[[], Executor]] = {
        FLOOR: lambda: TokenPruner(model, FTPConfig(target_sparsity=BASE)).executor(),
        "truncation": lambda: static(uniform(BASE, len(arms.layout.blocks))),
        "searched": lambda: static(arms.searched().schedule), "searched and learnt": lambda: arms.learnt().executor(),
        "full": lambda: arms.full().executor(), "without search": lambda: arms.without_search().executor(),
        "without learning": lambda: arms.without_learning().executor(),
    }  # fmt: skip
    scores = {name: _kept(arms, name, make) for name, make in makers.items()}
    starts = [
        _kept(arms, f"start {at}", lambda one=one: static(one)) for at, one in enumerate(arms.starts[:BEST_STARTS])
    ]
    scores["best schedule the search started from"] = min(starts, key=lambda kl: float(kl.mean()))
    return scores


def _kept(arms: MixedArms, name: str, make: Callable[[], Executor]) -> np.ndarray:
    def score() -> dict[str, np.ndarray]:
        data = arms.held_out
        return {"kl": each_sequence(text_divergence({name: make()}, data)[name], data)}

    return np.asarray(arms.scores(f"kl-{name.replace(' ', '-')}", score)["kl"])
