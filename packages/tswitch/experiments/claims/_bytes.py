"""Ways to store a fine-tuned model on one axis of measured bytes: accuracy, and divergence from the model itself.

Switches from alpha 0.6 to 0.98 under each knob, and rivals at several sizes, on the same models and rows. A switch's
bytes are those of its folder; a rival's those of its stored tensors, as they are and as an entropy coder would leave
their bits. Which knob is the default is chosen on validation rows (`choose`, in the same run and, before all claims, in
`experiments/benchmarks/choose_scale.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

import numpy as np
from ninefold.progress import progress
from ninefold_lab import Budget, Score, Scores
from torch import Tensor
from tswitch.baselines import BitDelta, Fitted, Lora, Method, MixedBits, Rescaled, TsvC
from tswitch.datasets import OPEN12
from tswitch.evaluation._evaluate import Bench, Split, divergence, macro
from tswitch.evaluation._rivals import fit
from tswitch.evaluation._suite import bench
from tswitch.models._models import base_folder
from tswitch.switch._switch import Switch
from tswitch.switch._ternary import Granularity, Scale

from ._kept import kept

BASE = "minilm"
ALPHAS = (0.6, 0.8, 0.9, 0.95, 0.97, 0.98)
SCALES: tuple[Scale, ...] = ("l2", "full", "mean")
GRANULARITIES: tuple[Granularity, ...] = ("tensor", "model")
CHOSEN_AT = (0.6, 0.9, 0.97)  # drop ratios over which the choice of the knob is averaged
_RIVALS: Mapping[str, Method] = {
    "BitDelta": BitDelta(),
    "BitDelta, every tensor": BitDelta(every=True),
    "TSV-C, 1/K": TsvC(),
    "TSV-C, 2 %": TsvC(keep=0.02),
    "mixed bits": MixedBits(),
    "mixed bits, half": MixedBits(groups=((1, 8), (15, 3), (16, 2))),
    "rescaled, 0.9": Rescaled(drop=0.9),
    "rescaled, 0.97": Rescaled(drop=0.97),
    "low rank, 4": Lora(rank=4),
    "low rank, 16": Lora(rank=16),
}
_BLOCK = 1 << 16
QUICK = ("banking77", "snips", "clinc150/banking", "clinc150/travel")


def _models(budget: Budget, seed: int) -> Bench:
    if budget.form == "full":
        return bench(OPEN12, seed)
    return bench(QUICK, seed, source="embedded", steps=60)


def one_axis(budget: Budget, seed: int) -> Scores:
    """Accuracy by task and row, KL in nats, and size in per cent of float32, of every way."""
    full = budget.form == "full"
    models = _models(budget, seed)
    rows = 200 if full else 60
    whole = sum(value.nbytes for value in models.base.values() if value.is_floating_point())
    reference: dict[str, Tensor] = {}
    for task in models.names:
        models.load(models.encoders[task])
        reference[task] = models.logits(task, "test", rows)
    arms: dict[str, Score] = {
        "individual": {task: _right(models, task, rows, logits) for task, logits in reference.items()}
    }

    def measured(name: str, states: Mapping[str, Mapping[str, Tensor]], size: float) -> dict[str, Score]:
        right, apart = {}, {}
        for task, state in states.items():
            models.load(state)
            logits = models.logits(task, "test", rows)
            right[task] = _right(models, task, rows, logits)
            apart[task] = divergence(reference[task], logits)
        return {name: right, f"{name}: KL": apart, f"{name}: % of float32": share(size)}

    def share(size: float) -> float:
        return 100 * size / (whole * len(models.names))

    def by_switches(name: str, scale: Scale, alpha: float, granularity: Granularity) -> Scores:
        switches = switches_of(models, alpha, scale, granularity)
        states = {task: switched(models, switch) for task, switch in switches.items()}
        raw = sum(raw_bytes(switch) for switch in switches.values())
        found = measured(name, states, sum(switch.nbytes for switch in switches.values()))
        return {**found, f"{name}: % of float32, not coded": share(raw)}

    def by_rival(name: str, method: Method) -> Scores:
        fitted = fit(models, method)
        states = {task: fitted.task_model(place) for place, task in enumerate(models.names)}
        found = measured(name, states, fitted.nbytes)
        return {**found, f"{name}: % of float32, entropy coded": share(coded_bytes(fitted))}

    def by_choice() -> Scores:
        found = choose(models, 100 if full else 20, CHOSEN_AT if full else (0.9,))
        return {f"validation, {way}": right for way, (right, _) in found.items()}

    parts: dict[str, Callable[[], Scores]] = {}
    for scale in SCALES:
        for alpha in ALPHAS if full and scale != "mean" else (0.9, 0.97):
            name = f"T-Switch {scale} {alpha}"
            parts[name] = partial(by_switches, name, scale, alpha, "tensor")
    for scale in SCALES[:2]:
        for alpha in (0.9, 0.97):
            name = f"T-Switch {scale} of the model {alpha}"
            parts[name] = partial(by_switches, name, scale, alpha, "model")
    for name, method in _RIVALS.items() if full else list(_RIVALS.items())[:3]:
        parts[name] = partial(by_rival, name, method)
    parts["validation"] = by_choice
    with progress(len(parts), f"by bytes, seed {seed}") as bar:
        for name, make in parts.items():
            arms |= kept(one_axis, budget, seed, name, make)
            bar.advance()
    models.load(models.base)
    return arms


Choice = Mapping[str, tuple[dict[str, np.ndarray], float]]


def choose(
    models: Bench,
    rows: int,
    alphas: tuple[float, ...] = CHOSEN_AT,
    granularities: tuple[Granularity, ...] = ("tensor",),
) -> Choice:
    """On validation rows: way -> (per cent right by task and row, averaged over alphas; mean KL in nats).

    A way is a knob, "full" say, for each tensor; or "full of the model", with knob and thresholds once for all.
    """
    split: Split = "validation"
    reference = {}
    for task in models.names:
        models.load(models.encoders[task])
        reference[task] = models.logits(task, split, rows)
    found = {}
    for scale in SCALES:
        for granularity in granularities:
            right: dict[str, list[np.ndarray]] = {task: [] for task in models.names}
            apart = []
            for alpha in alphas:
                for task, switch in switches_of(models, alpha, scale, granularity).items():
                    models.load(switched(models, switch))
                    logits = models.logits(task, split, rows)
                    right[task].append(_right(models, task, rows, logits, split))
                    apart.append(float(divergence(reference[task], logits).mean()))
            way = f"{scale} of the model" if granularity == "model" else scale
            found[way] = {task: np.mean(each, axis=0) for task, each in right.items()}, float(np.mean(apart))
    models.load(models.base)
    return found


def best(found: Choice) -> str:
    """The way of the highest accuracy; of those that are equal, the one of the lowest divergence."""
    return max(found, key=lambda way: (macro(found[way][0]), -found[way][1]))


def switches_of(models: Bench, alpha: float, scale: Scale, granularity: Granularity = "tensor") -> dict[str, Switch]:
    """The switch of each task, in memory."""
    base, folders = base_folder(BASE), models.folders
    return {task: Switch.from_checkpoints(base, folders[task], alpha, granularity, scale) for task in models.names}


def switched(models: Bench, switch: Switch) -> dict[str, Tensor]:
    """The base with a switch applied."""
    state = dict(models.base)
    for name in switch.names:
        state[name] = state[name] + switch.dequantise(name)
    return state


def _right(models: Bench, task: str, rows: int, logits: Tensor, split: Split = "test") -> np.ndarray:
    return 100.0 * (logits.argmax(1).numpy() == models.rows(task, split, rows)[1])


def coded_bytes(fitted: Fitted) -> float:
    """Bytes of what a rival stores if an ideal coder took its bits, in blocks of 65,536, at their own frequency.

    What is no bits (scales, dense tensors, factors) counts as it is.
    """
    total = 0.0
    for packed in fitted.packed.values():
        for key, held in packed.items():
            if key == "merged":
                continue
            if not key.endswith(".bits"):
                total += held.nbytes
                continue
            bits = np.unpackbits(held.reshape(-1).numpy())
            for start in range(0, bits.size, _BLOCK):
                block = bits[start : start + _BLOCK]
                share = float(block.mean())
                if 0 < share < 1:
                    total -= block.size * (share * np.log2(share) + (1 - share) * np.log2(1 - share)) / 8
                total += 2  # the share itself
    return float(total)


def raw_bytes(switch: Switch) -> int:
    """Bytes of a switch at two bits an entry of every tensor it changes, nothing coded, beside its scales."""
    coded = sum(-(-about.numel // 4) + 4 for about in switch.tensors.values())
    return coded + sum(value.nbytes for value in switch.dense.values())
