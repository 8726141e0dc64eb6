"""Switches beside merges of 2024 and 2025 on twelve tasks: TSV-M, Iso-C, Iso-CTS, WUDI, LiNeS over sums and TIES.

The fine-tuned models are those of the comparison with older merges (`_text.table`), and so are the validation rows of
seed 0, on which each merge's scale is chosen; what was tried is kept beside the models.

Full form, one core: 3 minutes for the choice of scales, and then about 3 a seed.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from ninefold.datasets import cache_dir
from ninefold.files import digest, write_text
from ninefold.progress import progress
from ninefold_lab import Budget, Scores
from torch import Tensor
from tswitch.baselines import Ties
from tswitch.baselines._spectral import is_matrix, iso_cts, tsv_m
from tswitch.datasets import OPEN12
from tswitch.evaluation._evaluate import Bench, macro
from tswitch_experiments.baselines._spectral import iso_c, lines, merged_changes, wudi
from tswitch_experiments.kept import kept

from ._text import _individual, _models, _switched, _switches

SCALES = (0.25, 0.5, 0.75, 1.0, 1.5)
DEPTHS = (0.1, 0.2, 0.4, 0.8)
Changes = Mapping[str, Tensor]


@dataclass(frozen=True)
class Setting:
    """One way to merge: `make` gives what is added to the base before it is scaled, and is called `made`.

    Attributes:
        made: names the changes; settings of the same name share them.
        scale: of the whole, or of the last layer beyond the first (LiNeS).
        summed: whether what is no matrix is summed over the tasks, where `make` takes their mean.
        by_depth: LiNeS.
    """

    made: str
    scale: float
    make: Callable[[Bench], Changes]
    summed: bool = False
    by_depth: bool = False

    def __str__(self) -> str:
        return f"{self.made}{', vectors summed' * self.summed} at {self.scale:g}{' by depth' * self.by_depth}"

    def changes(self, models: Bench, done: dict[str, Changes]) -> Changes:
        """What is added to the base; `done` holds what earlier settings made of these models."""
        if self.made not in done:
            done.clear()
            done[self.made] = self.make(models)
        if not self.by_depth:
            more = len(models.names) if self.summed else 1.0
            return {
                name: self.scale * (1.0 if is_matrix(name, one.shape) else more) * one
                for name, one in done[self.made].items()
            }
        if "sum" not in done:
            done["sum"] = _summed(models)
        return lines(done[self.made], done["sum"], len(models.names), self.scale)


def _by_rule(models: Bench, rule: Callable[[Tensor], Tensor]) -> Changes:
    return merged_changes(models.base, list(models.encoders.values()), rule)


def _summed(models: Bench) -> Changes:
    return {name: len(models.names) * one for name, one in _by_rule(models, lambda deltas: deltas.mean(0)).items()}


def _ties(models: Bench) -> Changes:
    fitted = Ties(keep=0.2, scale=1.0).fit(models.base, list(models.encoders.values()))
    return {name: packed["merged"].reshape(models.base[name].shape) for name, packed in fitted.packed.items()}


def settings() -> dict[str, list[Setting]]:
    """What is tried of each merge."""
    found: dict[str, list[Setting]] = {}
    rules: dict[str, Callable[[Tensor], Tensor]] = {
        "TSV-M": tsv_m,
        "Iso-C": iso_c,
        "Iso-CTS": iso_cts,
        # 300 steps of 1e-5, as published, would move entries of these models by half their sum's size at most
        "WUDI": partial(wudi, rate=3e-4, steps=100),
    }
    for name, rule in rules.items():
        make = partial(_by_rule, rule=rule)
        sums = (False, True) if name in ("TSV-M", "Iso-C") else (False,)  # it was no use to these two
        found[name] = [Setting(name, scale, make, summed) for summed in sums for scale in SCALES]
    found["LiNeS"] = [Setting("sum", deep, _summed, by_depth=True) for deep in DEPTHS]
    found["TIES, LiNeS"] = [Setting("TIES", deep, _ties, by_depth=True) for deep in (*DEPTHS, 1.2)]
    return found


MERGES = tuple(settings())


def merges(budget: Budget, seed: int) -> Scores:
    """Accuracy by task and row of each merge, of switches and of the models."""
    full = budget.form == "full"
    models = _models(budget, seed, OPEN12)
    tuner = models if seed == 0 else _models(budget, 0, OPEN12)
    rows, validation = (50, 40) if full else (60, 20)
    parts: dict[str, Callable[[], Scores]] = {
        name: partial(_one, models, tuner, name, rows, validation) for name in MERGES
    }
    parts["switches"] = partial(_own, models, rows)
    arms: dict[str, object] = {}
    with progress(len(parts), f"merges, seed {seed}") as bar:
        for name, make in parts.items():
            arms |= kept(merges, budget, seed, name, make)
            bar.advance()
    return arms  # type: ignore[return-value]


def _own(models: Bench, rows: int) -> Scores:
    with tempfile.TemporaryDirectory() as folder:
        switches = _switches(models, 0.9, Path(folder))
        return {
            "individual": _individual(models, rows),
            "T-Switch 0.9": _switched(models, switches, rows),
            "T-Switch 0.9: MB": sum(one.nbytes for one in switches.values()) / 1e6,
        }


def _one(models: Bench, tuner: Bench, name: str, rows: int, validation: int) -> Scores:
    done: dict[str, Changes] = {}
    chosen = settings()[name][best(tuner, name, validation, done)]
    changes = chosen.changes(models, done if models is tuner else {})
    return {name: models.score_one(_state(models, changes), "test", rows)}


def best(models: Bench, name: str, rows: int, done: dict[str, Changes] | None = None) -> int:
    """Position of the setting of highest validation accuracy; found once for these models, and kept."""
    done = {} if done is None else done
    tried = settings()[name]
    words = [str(one) for one in tried]
    identity = ["spectral", rows, words, sorted(folder.name for folder in models.folders.values())]
    path = cache_dir("tswitch") / "tuned" / f"{digest(json.dumps(identity).encode())[7:23]}.json"
    if not path.exists():
        states = (_state(models, one.changes(models, done)) for one in tried)
        found = [macro(models.score_one(state, "validation", rows)) for state in states]
        record = {"method": name, "validation": dict(zip(words, found, strict=True)), "best": int(np.argmax(found))}
        write_text(path, json.dumps(record, indent=1) + "\n")
    return json.loads(path.read_text())["best"]


def _state(models: Bench, changes: Changes) -> dict[str, Tensor]:
    return {
        name: value + changes[name].reshape(value.shape) if name in changes else value
        for name, value in models.base.items()
    }
