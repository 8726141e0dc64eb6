"""Switches beside merges of 2024 and 2025 on twelve tasks: TSV-M, Iso-C, Iso-CTS, WUDI, LiNeS over sums and TIES.

The fine-tuned models, rows and validation rows are those of the comparison with older merges (`_text.table`). Each
merge's scale, and its own settings where it has any, are chosen on the validation rows of seed 0's models; what was
tried is kept beside the models.

Full form, one core: 6 minutes for the choice of settings, and then about 3 a seed.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterator, Mapping
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
from tswitch.datasets import OPEN12
from tswitch.evaluation._evaluate import Bench, macro
from tswitch_experiments.baselines._spectral import (
    is_matrix,
    iso_c,
    iso_cts,
    lines,
    merged_changes,
    tsv_m,
    wudi,
)

from ._kept import kept
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
                name: self.scale * (1.0 if is_matrix(name, one) else more) * one
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
    rules = {
        "TSV-M": {"": tsv_m},
        "Iso-C": {"": iso_c},
        "Iso-CTS": {f" {share}": partial(iso_cts, common=share) for share in (0.6, 0.8)},
        "WUDI": {f" {rate:g}": partial(wudi, rate=rate) for rate in (1e-5, 1e-4)},
    }
    for name, forms in rules.items():
        found[name] = [
            Setting(f"{name}{form}", scale, partial(_by_rule, rule=rule), summed)
            for form, rule in forms.items()
            for summed in (False, True)
            for scale in SCALES
        ]
    found["task arithmetic"] = [Setting("sum", scale, _summed) for scale in (0.05, 0.1, 0.15, 0.2, 0.3)]
    found["LiNeS"] = [Setting("sum", deep, _summed, by_depth=True) for deep in DEPTHS]
    found["TIES"] = [Setting("TIES", scale, _ties) for scale in (0.15, 0.3, 0.6, 1.0)]
    found["TIES, LiNeS"] = [Setting("TIES", deep, _ties, by_depth=True) for deep in (*DEPTHS, 1.2)]
    return found


MERGES = tuple(settings())


def merges(budget: Budget, seed: int) -> Scores:
    """Accuracy by task and row of each merge, of switches at two drop ratios, and of the models."""
    full = budget.form == "full"
    models = _models(budget, seed, OPEN12)
    tuner = models if seed == 0 else _models(budget, 0, OPEN12)
    rows, validation = (120, 40) if full else (60, 20)
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
    arms: dict[str, dict[str, np.ndarray] | float] = {"individual": _individual(models, rows)}
    with tempfile.TemporaryDirectory() as folder:
        for alpha in (0.6, 0.9):
            switches = _switches(models, alpha, Path(folder))
            arms[f"T-Switch {alpha}"] = _switched(models, switches, rows)
            arms[f"T-Switch {alpha}: MB"] = sum(one.nbytes for one in switches.values()) / 1e6
    return arms


def _one(models: Bench, tuner: Bench, name: str, rows: int, validation: int) -> Scores:
    chosen = settings()[name][best(tuner, name, validation)]
    return {name: models.score_one(_state(models, chosen.changes(models, {})), "test", rows)}


def best(models: Bench, name: str, rows: int) -> int:
    """Position of the setting of highest validation accuracy; found once for these models, and kept."""
    tried = settings()[name]
    words = [str(one) for one in tried]
    identity = ["spectral", rows, words, sorted(folder.name for folder in models.folders.values())]
    path = cache_dir("tswitch") / "tuned" / f"{digest(json.dumps(identity).encode())[7:23]}.json"
    if not path.exists():
        found = list(_accuracies(models, tried, rows))
        record = {"method": name, "validation": dict(zip(words, found, strict=True)), "best": int(np.argmax(found))}
        write_text(path, json.dumps(record, indent=1) + "\n")
    return json.loads(path.read_text())["best"]


def _accuracies(models: Bench, tried: list[Setting], rows: int) -> Iterator[float]:
    done: dict[str, Changes] = {}
    for one in tried:
        yield macro(models.score_one(_state(models, one.changes(models, done)), "validation", rows))


def _state(models: Bench, changes: Changes) -> dict[str, Tensor]:
    return {
        name: value + changes[name].reshape(value.shape) if name in changes else value
        for name, value in models.base.items()
    }
