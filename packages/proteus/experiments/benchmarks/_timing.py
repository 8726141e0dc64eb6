"""Timing of the statistics beside their peers, on simulated tables of the size of a large study."""

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from ninefold.errors import MissingExtraError, require
from ninefold.report import Table
from proteus.knowledge._sets import index_sets
from proteus.outcomes._cox import cox
from proteus.statistics._linear_model import fit_linear_model
from proteus.statistics._moderated_t import fit_prior, moderated_t
from proteus_experiments.baselines._set_tests import preranked_gsea
from proteus_experiments.benchmarks import _r


def timings(*, proteins: int = 10_000, samples: int = 200, seed: int = 0) -> Table:
    """Seconds of ours and of each installed peer, and how many times faster ours is."""
    table = Table(["job", "seconds", "peer", "peer seconds", "times faster"])
    for missing in (0.0, 0.2):
        _add_fit(table, proteins, samples, missing, seed)
    _add_cox(table, proteins, samples, seed)
    _add_gsea(table, seed)
    return table


def _seconds(job: Callable[[], Any], repeats: int = 3) -> float:
    taken = []
    for _ in range(repeats):
        start = time.perf_counter()
        job()
        taken.append(time.perf_counter() - start)
    return float(np.median(taken))


def _row(table: Table, job: str, own: float, peer: str, other: float | None) -> None:
    ratio = None if other is None else round(other / own, 1)
    table.rows.append([job, round(own, 3), peer, None if other is None else round(other, 3), ratio])


def _add_fit(table: Table, p: int, n: int, missing: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    values = rng.standard_normal((p, n))
    values[rng.random(values.shape) < missing] = np.nan
    design = np.stack([np.ones(n), np.arange(n) % 2], 1)
    contrast = np.array([0.0, 1.0])

    def ours() -> None:
        fit = fit_linear_model(values, design)
        moderated_t(fit, contrast, fit_prior(fit))

    other = float(_r.limma(values, design, contrast)["seconds"][0]) if _r.has_r("limma") else None
    peer = "R limma" if other is not None else "R limma is not installed"
    _row(table, f"fit + eBayes, {p} x {n}, {missing:.0%} missing", _seconds(ours), peer, other)


def _add_cox(table: Table, p: int, n: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    values = rng.standard_normal((p, n))
    follow_up, event = rng.exponential(100, n) + 0.01, (rng.random(n) < 0.5).astype(float)
    job = f"Cox regression, {p} x {n}"
    own = _seconds(lambda: cox(values, follow_up, event), 1)
    try:
        lifelines = require("lifelines", "proteus", "check")
        few = 50
        start = time.perf_counter()
        for row in values[:few]:
            frame = pd.DataFrame({"x": row, "time": follow_up, "event": event})
            lifelines.CoxPHFitter().fit(frame, "time", "event")
        _row(table, job, own, f"lifelines (from {few} fits)", (time.perf_counter() - start) * p / few)
    except MissingExtraError:
        _row(table, job, own, "lifelines is not installed", None)
    if _r.has_r("survival"):
        few = min(p, 1000)
        other = float(_r.coxph(values[:few], follow_up, event)["seconds"][0]) * p / few
        _row(table, job, own, f"R coxph (from {few} fits)", other)
    else:
        _row(table, job, own, "R survival is not installed", None)


def _add_gsea(table: Table, seed: int, *, genes: int = 10_552, count: int = 1_433, permutations: int = 1_000) -> None:
    rng = np.random.default_rng(seed)
    names = [f"G{place}" for place in range(genes)]
    score = rng.standard_normal(genes)
    sets = {
        f"S{place}": rng.choice(names, int(size), replace=False).tolist()
        for place, size in enumerate(np.clip(rng.lognormal(3.5, 0.8, count), 15, 500))
    }
    indexed = index_sets(sets, pd.Series(names), np.ones(genes, bool), smallest=15)
    own = _seconds(lambda: preranked_gsea(indexed, score, permutations=permutations), 1)
    job = f"preranked GSEA, {count} sets, {genes} genes, {permutations} permutations"
    try:
        gseapy = require("gseapy", "proteus", "gsea")
        start = time.perf_counter()
        gseapy.prerank(
            rnk=pd.Series(score, index=names), gene_sets=sets, min_size=15, max_size=500,
            permutation_num=permutations, outdir=None, seed=seed, threads=1, verbose=False,
        )  # fmt: skip
        _row(table, job, own, "gseapy", time.perf_counter() - start)
    except MissingExtraError:
        _row(table, job, own, "gseapy is not installed", None)
