"""Rivals, each tuned on validation rows as its publication asks, and scored beside the method."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from ninefold.datasets import cache_dir
from ninefold.files import digest, write_text
from ninefold.progress import progress
from torch import Tensor
from torch.func import functional_call
from torch.nn import functional

from tswitch.baselines import (
    AdaMerging,
    Averaging,
    BitDelta,
    ConsensusTaskArithmetic,
    Dare,
    Emr,
    Fitted,
    Merger,
    Method,
    Pcb,
    PDiscard,
    TallMasks,
    TaskArithmetic,
    Ties,
    TwinMerging,
)
from tswitch.evaluation._evaluate import Bench, Split, entropy_inputs, macro
from tswitch.models._finetune import fast_bfloat16
from tswitch.models._models import mean_pool

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
    "Twin-Merging": [TwinMerging(scale=s, compress="magnitude", keep=0.1) for s in (0.05, 0.1, 0.3)],
}
ADAMERGING_RATES = (1e-3, 3e-3, 1e-2)
STATIC = ("averaging", "task arithmetic", "TIES", "DARE", "P-Discard", "consensus TA", "PCB", "AdaMerging")
PER_TASK = ("EMR", "BitDelta", "BitDelta, every tensor", "TALL masks", "Twin-Merging")


def fit(bench: Bench, method: Method) -> Fitted:
    """A rival over all tasks of a bench, in memory."""
    return method.fit(bench.base, list(bench.encoders.values()))


def score(bench: Bench, method: Method, split: Split, rows: int) -> tuple[dict[str, np.ndarray], int]:
    """(scores by task, bytes stored beyond one model)."""
    fitted = fit(bench, method)
    if isinstance(method, Merger):
        return bench.score_one(fitted.task_model(0), split, rows), fitted.nbytes
    index = {task: position for position, task in enumerate(bench.names)}
    return bench.score_each(lambda task: fitted.task_model(index[task]), split, rows), fitted.nbytes


def tune(bench: Bench, name: str, rows: int) -> Method:
    """The candidate with the best mean accuracy on `rows` validation rows a task; kept, so it is found once."""
    candidates = CANDIDATES[name]
    best = _kept_best(bench, name, rows, candidates, lambda one: macro(score(bench, one, "validation", rows)[0]))
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


def learn_coefficients(
    bench: Bench, initial: float, *, rows: int, rate: float, size: int = 8, steps: int = 40
) -> tuple[AdaMerging, list[float]]:
    """AdaMerging on unlabelled test inputs, as published: layer-wise, by the entropy of the predictions.

    It starts from Task Arithmetic's best scale (0.3 in the publication, which is that for its models). Each step needs
    a backward pass through every task; the claims take the published 500 steps, and may take a higher rate than 1e-3.
    All tasks share one forward pass, in bfloat16 where the processor multiplies in it: 0.65 s a step of twelve tasks.
    Coefficients are found once for these models and kept; a run that was killed loses 50 steps at most.

    Returns: the method with its coefficients, and the loss of each step.
    """
    fast = fast_bfloat16()
    identity = [initial, rows, rate, size, steps, fast, sorted(folder.name for folder in bench.folders.values())]
    path = cache_dir("tswitch") / "tuned" / f"adamerging-{digest(json.dumps(identity).encode())[7:23]}.json"
    if path.exists():
        held = json.loads(path.read_text())
        coefficients = {name: tuple(row) for name, row in held["coefficients"].items()}
        return AdaMerging(initial=initial, coefficients=coefficients), held["losses"]
    batches = entropy_inputs(bench, rows, size)
    batches = [batches[step % len(batches)] for step in range(steps)]
    heads = list(bench.heads.values())

    def together(state: Mapping[str, Tensor], pairs: Sequence[tuple[int, dict[str, Tensor]]]) -> list[Tensor]:
        inputs = _stacked([given for _, given in pairs])
        with torch.autocast("cpu", torch.bfloat16, enabled=fast):
            hidden = functional_call(bench.encoder, dict(state), kwargs=inputs).last_hidden_state
        pooled = mean_pool(hidden.float(), inputs["attention_mask"])
        parts = pooled.split([len(given["input_ids"]) for _, given in pairs])
        return [heads[task](part) for (task, _), part in zip(pairs, parts, strict=True)]

    def predict(state: Mapping[str, Tensor], task: int, inputs: dict[str, Tensor]) -> Tensor:
        return together(state, [(task, inputs)])[0]

    bench.load(bench.base)
    for head in heads:
        head.requires_grad_(False)
    losses: list[float] = []
    path.parent.mkdir(parents=True, exist_ok=True)
    kept = path.with_suffix(".state.safetensors")
    with torch.enable_grad(), progress(steps, f"AdaMerging at rate {rate:g}") as bar:

        def count(loss: float) -> None:
            losses.append(loss)
            bar.advance()

        base, encoders = bench.base, list(bench.encoders.values())
        learned = AdaMerging(initial=initial).learn(
            base, encoders, batches, predict, rate=rate, together=together, kept=kept, on_step=count
        )
    write_text(path, json.dumps({"coefficients": dict(learned.coefficients), "losses": losses}) + "\n")
    kept.unlink(missing_ok=True)
    return learned, losses


def _stacked(batches: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """Padded batches as one, (rows, tokens) as wide as the widest."""
    width = max(batch["input_ids"].shape[1] for batch in batches)
    return {
        name: torch.cat([functional.pad(batch[name], (0, width - batch[name].shape[1])) for batch in batches])
        for name in ("input_ids", "attention_mask")
    }


def _adamerging(
    bench: Bench, tuner: Bench, *, validation: int, test: int, steps: int
) -> tuple[AdaMerging, dict[str, float]]:
    """AdaMerging with the learning rate that serves `tuner`'s validation rows best, and how far it has converged."""
    arithmetic = tune(tuner, "task arithmetic", validation)
    assert isinstance(arithmetic, TaskArithmetic)

    def learned(models: Bench, rate: float) -> tuple[AdaMerging, list[float]]:
        return learn_coefficients(models, arithmetic.scale, rows=test, rate=rate, steps=steps)

    def accuracy(rate: float) -> float:
        return macro(score(tuner, learned(tuner, rate)[0], "validation", validation)[0])

    best = _kept_best(tuner, f"AdaMerging, {steps} steps of {test} rows", validation, ADAMERGING_RATES, accuracy)
    method, losses = learned(bench, ADAMERGING_RATES[best])
    tenth = max(len(losses) // 10, 1)
    parts = {"first": losses[:tenth], "last but one": losses[-2 * tenth : -tenth], "last": losses[-tenth:]}
    notes = {f"AdaMerging: entropy, {name} tenth of its steps": float(np.mean(part)) for name, part in parts.items()}
    return method, notes | {"AdaMerging: rate": ADAMERGING_RATES[best]}


def scored(
    bench: Bench, tuner: Bench, names: Iterable[str], *, validation: int, test: int, steps: int, seed: int = 0
) -> tuple[dict[str, dict[str, np.ndarray]], dict[str, int], dict[str, float]]:
    """Test scores, bytes and notes of rivals, each tuned on the validation rows of `tuner` (seed 0's models).

    Args:
        steps: of AdaMerging.
        seed: of what is random in a rival (DARE's masks).
    """
    scores, sizes, notes = {}, {}, {}
    names = list(names)
    with progress(len(names), f"rivals, seed {seed}") as bar:
        for name in names:
            if name == "AdaMerging":
                method: Method
                method, notes = _adamerging(bench, tuner, validation=validation, test=test, steps=steps)
            else:
                method = tune(tuner, name, validation)
            if isinstance(method, Dare):
                method = replace(method, seed=seed)  # another mask in each run
            scores[name], sizes[name] = score(bench, method, "test", test)
            bar.advance()
    return scores, sizes, notes
