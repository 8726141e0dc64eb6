"""What the publication claims, and what we claim of `mecoin+`, as experiments.

A learner's run over a stream is kept in the cache by source, data set, seed and options: claims share runs.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

import numpy as np
from ninefold.proof import Budget, Claim, Scores, all_of, at_least, at_most

from mecoin import datasets
from mecoin.baselines import BASELINES
from mecoin.evaluation._bench import make_learner
from mecoin.evaluation._protocol import StreamResult, run_stream
from mecoin.evaluation._tune import tuned
from mecoin.graphs._simulator import DEMO, Simulated
from mecoin.memory._construction import Published
from mecoin.memory._interaction import Interaction
from mecoin.memory._memory import Memory
from mecoin.sessions._stream import SessionStream

SETS = {"CS": (5, 1), "Computers": (5, 1), "Clothing20": (10, 2)}
FREE = ("SGC-NCM", "SGC-LDA")
CONTINUAL = ("Fine-tune", "LwF", "EWC", "MAS", "GEM", "TWP", "ER-GNN")
EPOCHS = 60  # of the GCN, at most, for all arms alike; what more would bring: results/ATTEMPTS.md
PAPER = "NeurIPS 2024, arXiv 2411.06659"
_streams: dict[tuple[Any, ...], SessionStream] = {}
_runs: dict[tuple[Any, ...], StreamResult] = {}


def stream_of(budget: Budget, data: str, seed: int, shot: int = 5) -> SessionStream:
    """Sessions of a real data set, or of the simulator ("simulated"); quick forms use a small simulated graph."""
    key = (budget.form, data, seed, shot)
    if key not in _streams:
        if len(_streams) > 3:  # graphs are large, and seeds come one after another
            _streams.clear()
        base, way = (50, 2) if data == "simulated" else SETS[data]
        if budget.form == "quick":
            graph, base, way = DEMO.draw(100 * seed + len(data)), 10, 2
        else:
            graph = Simulated().draw(seed) if data == "simulated" else datasets.load(data)
        _streams[key] = SessionStream(graph, base, way, shot, seed=seed)
    return _streams[key]


def run_of(
    budget: Budget, data: str, seed: int, learner: str, *, shot: int = 5, label: str = "", **options: Any
) -> StreamResult:
    """A learner's run; `label` tells apart runs of one learner with other options.

    In full forms each rival's setting is chosen once a data set, on base classes of seed 0 (see `_tune`), where ours
    were chosen too.
    """
    key = (budget.form, data, seed, learner, shot, label)
    if key not in _runs:
        stream = stream_of(budget, data, seed, shot)
        if learner in BASELINES and budget.form == "full":
            options = {**_tuned(budget, data, learner, shot), **options}
        _runs[key] = run_stream(stream, make_learner(learner, stream[0], seed, epochs=epochs_of(budget), **options))
    return _runs[key]


@cache
def _tuned(budget: Budget, data: str, learner: str, shot: int) -> dict[str, Any]:
    stream = stream_of(budget, data, 0, shot)
    return dict(tuned(learner, stream[0], stream.split.way, shot, 0, epochs=epochs_of(budget)))


def epochs_of(budget: Budget) -> int | None:
    """Most epochs of the shared GCN: in full forms few enough for two cores, the same for all that use it."""
    return EPOCHS if budget.form == "full" else None


def accuracies(result: StreamResult) -> np.ndarray:
    """(sessions,) accuracy in per cent; their mean is the mean accuracy."""
    return np.array([one.accuracy for one in result.sessions])


def _one(value: float) -> np.ndarray:
    return np.array([value])


def _plus(budget: Budget, seed: int, sets: Mapping[str, Any] = SETS) -> Scores:
    scores: dict[str, dict[str, np.ndarray]] = {}
    for data in sets:
        ours = run_of(budget, data, seed, "mecoin+")
        rivals = [run_of(budget, data, seed, name) for name in FREE]
        best = max(rivals, key=lambda one: one.mean)
        for arm, one in (("mecoin+", ours), ("best training-free", best), *zip(FREE, rivals, strict=True)):
            scores.setdefault(arm, {})[data] = accuracies(one)
            scores.setdefault(f"{arm}: PD", {})[data] = _one(one.drop)
            scores.setdefault(f"{arm}: harmonic", {})[data] = _one(one.harmonic)
        for arm, one in (("mecoin+", ours), ("best", best)):
            scores[f"{arm} on {data}"] = {"": accuracies(one)}
    return scores


# Means over sessions, measured by hand with three seeds before the package was: our rivals must not be weaker.
MEASURED = {
    "SGC-NCM": {"CS": 90.6, "Computers": 83.3, "Clothing20": 82.8},
    "SGC-LDA": {"CS": 91.1, "Computers": 88.5, "Clothing20": 83.4},
}


def _free(budget: Budget, seed: int) -> Scores:
    """Untuned, as they were measured."""
    scores = {}
    for name, figures in MEASURED.items():
        for data in figures:
            stream = stream_of(budget, data, seed)
            scores[f"{name} on {data}"] = run_stream(stream, make_learner(name, stream[0], seed)).mean
    return scores


def _continual(budget: Budget, seed: int, sets: Mapping[str, Any] = SETS) -> Scores:
    scores: dict[str, dict[str, np.ndarray]] = {}
    for data in sets:
        for name in ("mecoin (paper)", *CONTINUAL):
            result = run_of(budget, data, seed, name)
            scores.setdefault(name, {})[data] = accuracies(result)
            scores.setdefault(f"{name}: PD", {})[data] = _one(result.drop)
    return scores


def _published(budget: Budget, seed: int) -> Scores:
    scores = {}
    for data in ("CS", "Computers"):
        result = run_of(budget, data, seed, "mecoin (paper)")
        scores[f"mean on {data}"], scores[f"PD on {data}"] = accuracies(result), result.drop
    return scores


ABLATIONS: dict[str, dict[str, Any]] = {
    "full": {},
    "no MeCs": {"published": Published(mecs=False)},
    "no GraphInfo": {"published": Published(info=False)},
    "no GKIM": {"interaction": Interaction(distil=False)},
    "no edge loss": {"published": Published(edge=0.0)},
}


def _ablations(budget: Budget, seed: int) -> Scores:
    return {
        name: {
            data: accuracies(run_of(budget, data, seed, "mecoin (paper)", label=name if options else "", **options))
            for data in SETS
        }
        for name, options in ABLATIONS.items()
    }


def _labels(budget: Budget, seed: int) -> Scores:
    return {
        f"K={shot}": {data: accuracies(run_of(budget, data, seed, "mecoin+", shot=shot)) for data in SETS}
        for shot in (1, 5, 10, 20)
    }


def _simulated(budget: Budget, seed: int) -> Scores:
    return {**_plus(budget, seed, {"simulated": None}), **_continual(budget, seed, {"simulated": None})}


def _unchanged(budget: Budget, seed: int) -> Scores:
    """Share of old prototypes, and of old rows in the columns they had, that keep every bit."""
    kept: dict[str, list[float]] = {"old prototypes, % bit-equal": [], "old rows, % bit-equal": []}
    for learner in ("mecoin+", "mecoin (paper)"):
        stream = stream_of(Budget(1, 1, "quick") if learner != "mecoin+" else budget, "Clothing20", seed)
        memory, before = make_learner(learner, stream[0], seed), None
        assert isinstance(memory, Memory)
        for session in stream:
            if before is None:
                memory.fit_base(session.graph, session.support, session.validation)
            else:
                memory.add_classes(session.graph, session.support)
                rows, old = memory.content.mram.rows, before.mram.rows
                same = memory.content.smu.prototypes[: len(old)] == before.smu.prototypes
                kept["old prototypes, % bit-equal"].append(100 * float(same.all(axis=1).mean()))
                same = rows[: len(old), : old.shape[1]] == old
                kept["old rows, % bit-equal"].append(100 * float(same.all(axis=1).mean()))
            before = memory.content
    return {arm: np.array(values) for arm, values in kept.items()}


FULL = Budget(seeds=5, minutes=12)
CLAIMS = [
    Claim(
        id="mecoin/plus-beats-training-free",
        says="mecoin+ is 0.5 above the better of SGC-NCM and SGC-LDA, nowhere 0.5 below; PD and harmonic no worse",
        source="ours (mecoin+ is not the published method); rivals measured in the same run",
        run=_plus,
        verdict=all_of(
            at_least("mecoin+", "best training-free", 0.5),
            *(at_least(f"mecoin+ on {data}", f"best on {data}", -0.5) for data in SETS),
            at_most("mecoin+: PD", "best training-free: PD"),
            at_least("mecoin+: harmonic", "best training-free: harmonic"),
        ),
        full=FULL,
    ),
    Claim(
        id="mecoin/training-free-rivals-are-as-strong-as-measured",
        says="SGC-NCM and SGC-LDA, untuned, reach what was measured for them before, less one point",
        source="three seeds, measured before the package was written",
        run=_free,
        verdict=all_of(
            *(
                at_least(f"{name} on {data}", figure - 1)
                for name, figures in MEASURED.items()
                for data, figure in figures.items()
            )
        ),
        full=Budget(seeds=10, minutes=1),  # five leave two of the six bars open, and they cost seconds
    ),
    Claim(
        id="mecoin/paper-beats-continual-rivals",
        says="the published method is 15 points of mean above seven continual rivals, and drops less than each",
        source=f"{PAPER}, main tables (not readable; independent re-run: LPMC)",
        run=_continual,
        verdict=all_of(
            *(at_least("mecoin (paper)", name, 15) for name in CONTINUAL),
            *(at_most("mecoin (paper): PD", f"{name}: PD") for name in CONTINUAL),
        ),
        full=FULL,
    ),
    Claim(
        id="mecoin/paper-reaches-published-means",
        says="the published method reaches 77.5 on CS, 74.6 on Computers, PD at most 35.6 and 23.8, on our split",
        source="LPMC's re-run of Mecoin, 5-shot",
        run=_published,
        verdict=all_of(
            at_least("mean on CS", 77.5),
            at_least("mean on Computers", 74.6),
            at_most("PD on CS", 35.6),
            at_most("PD on Computers", 23.8),
        ),
        full=FULL,
    ),
    Claim(
        id="mecoin/each-part-helps",
        says="the published method is no worse than itself without MeCs, GraphInfo, GKIM or edge loss",
        source=f"{PAPER}, ablations",
        run=_ablations,
        verdict=all_of(*(at_least("full", label) for label in ABLATIONS if label != "full")),
        full=FULL,
    ),
    Claim(
        id="mecoin/more-labels-help",
        says="mecoin+ gets better from 1 to 5, 10 and 20 labels a class",
        source="ours; the publication varies K as well",
        run=_labels,
        verdict=all_of(at_least("K=5", "K=1"), at_least("K=10", "K=5"), at_least("K=20", "K=10")),
        full=FULL,
    ),
    Claim(
        id="mecoin/same-order-with-seventy-classes",
        says="with 70 simulated classes the order is the same: mecoin+ over training-free, paper over continual",
        source="simulated stand-in for CoraFull, 50 + 10 x 2-way",
        run=_simulated,
        verdict=all_of(
            at_least("mecoin+", "best training-free"),
            *(at_least("mecoin (paper)", name) for name in CONTINUAL),
        ),
        full=FULL,
    ),
    Claim(
        id="mecoin/old-classes-keep-every-bit",
        says="adding classes changes no old prototype and no old row",
        source=f"{PAPER}, frozen rows of MRaM",
        run=_unchanged,
        verdict=all_of(at_least("old prototypes, % bit-equal", 100.0), at_least("old rows, % bit-equal", 100.0)),
        full=FULL,
    ),
]
