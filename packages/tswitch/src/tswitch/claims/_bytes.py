"""Ways to store a fine-tuned model on one axis of measured bytes: accuracy, and divergence from the model itself.

Switches from alpha 0.6 to 0.98 under each knob, and rivals at several sizes, on the same models and rows. A switch's
bytes are those of its folder; a rival's those of its stored tensors, as they are and as an entropy coder would leave
their bits.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from ninefold.proof import Budget, Scores
from torch import Tensor

from tswitch.baselines import BitDelta, Fitted, Lora, Method, MixedBits, Rescaled, TsvC
from tswitch.datasets import OPEN12
from tswitch.evaluation._evaluate import Bench, Split, divergence, macro
from tswitch.evaluation._rivals import fit
from tswitch.evaluation._suite import bench
from tswitch.models._models import base_folder
from tswitch.switch._switch import Switch
from tswitch.switch._ternary import Scale

BASE = "minilm"
ALPHAS = (0.6, 0.8, 0.9, 0.95, 0.97, 0.98)
SCALES: tuple[Scale, ...] = ("l2", "full", "mean")
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
    arms: dict[str, dict[str, np.ndarray] | float] = {}
    reference: dict[str, Tensor] = {}
    for task in models.names:
        models.load(models.encoders[task])
        reference[task] = models.logits(task, "test", rows)
    arms["individual"] = {task: _right(models, task, rows, reference[task]) for task in models.names}

    def measure(name: str, states: Mapping[str, Mapping[str, Tensor]], size: float) -> None:
        right, apart = {}, {}
        for task, state in states.items():
            models.load(state)
            logits = models.logits(task, "test", rows)
            right[task] = _right(models, task, rows, logits)
            apart[task] = divergence(reference[task], logits)
        arms[name] = right
        arms[f"{name}: KL"] = apart
        arms[f"{name}: % of float32"] = 100 * size / (whole * len(models.names))

    for scale in SCALES:
        for alpha in ALPHAS if full else (0.9, 0.97):
            switches = switches_of(models, alpha, scale)
            states = {task: switched(models, switch) for task, switch in switches.items()}
            name = f"T-Switch {scale} {alpha}"
            measure(name, states, sum(switch.nbytes for switch in switches.values()))
            raw = sum(raw_bytes(switch) for switch in switches.values())
            arms[f"{name}: % of float32, not coded"] = 100 * raw / (whole * len(models.names))
    for name, method in _RIVALS.items() if full else list(_RIVALS.items())[:3]:
        fitted = fit(models, method)
        measure(name, {task: fitted.task_model(place) for place, task in enumerate(models.names)}, fitted.nbytes)
        arms[f"{name}: % of float32, entropy coded"] = 100 * coded_bytes(fitted) / (whole * len(models.names))
    models.load(models.base)
    return arms


def choose(models: Bench, rows: int, alphas: tuple[float, ...] = (0.6, 0.9, 0.97)) -> dict[str, tuple[float, float]]:
    """On validation rows: "scale alpha" -> (mean accuracy in per cent, mean KL in nats), to choose the default knob by.

    One knob a tensor, and one for the whole model.
    """
    split: Split = "validation"
    found = {}
    reference = {}
    for task in models.names:
        models.load(models.encoders[task])
        reference[task] = models.logits(task, split, rows)
    for scale in SCALES:
        for alpha in alphas:
            right, apart = {}, {}
            for task, switch in switches_of(models, alpha, scale).items():
                models.load(switched(models, switch))
                logits = models.logits(task, split, rows)
                right[task] = _right(models, task, rows, logits, split)
                apart[task] = divergence(reference[task], logits)
            found[f"{scale} {alpha}"] = macro(right), macro(apart)
    models.load(models.base)
    return found


def switches_of(models: Bench, alpha: float, scale: Scale) -> dict[str, Switch]:
    """The switch of each task, in memory."""
    base = base_folder(BASE)
    return {task: Switch.from_checkpoints(base, models.folders[task], alpha, scale=scale) for task in models.names}


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
