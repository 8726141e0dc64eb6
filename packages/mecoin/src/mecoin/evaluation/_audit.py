"""Leak audit: does a split keep its parts apart, and does a learner see what it must not? And how well a memory tells
classes that are to come from those it knows, and how far its probabilities are true.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from ninefold.report import Table
from ninefold_graphs import UNKNOWN, Graph

from mecoin.evaluation._compare import Entry, make_learner
from mecoin.protocol._learner import MemoryLearner
from mecoin.protocol._run import SessionResult, run_stream
from mecoin.sessions._split import PARTS, Split
from mecoin.sessions._stream import Session, SessionStream


def audit_split(split: Split, data: Graph) -> Table:
    """Check a split against its graph: one row a check, with what was found.

    (That no node stands in two places is asserted whenever a split is made or read.)

    Examples:
        >>> from mecoin import SessionStream, Simulated, audit_split
        >>> data = Simulated(classes=6, topics=2, largest=40, smallest=30, vocabulary=60, sharpness=0.4).draw(0)
        >>> stream = SessionStream(data, base=4, way=1, shot=3)
        >>> [passed for _, passed, _ in audit_split(stream.split, data).rows]
        [True, True, True, True]
    """
    table = Table(["check", "passed", "found"], title="Split against graph")
    sizes = {name: int((data.y == code).sum()) for code, name in enumerate(data.classes)}
    base = split.sessions[0].classes
    largest = sorted(sizes, key=lambda name: (-sizes[name], data.code(name)))[: len(base)]
    table.rows.append(["base classes are the largest", set(base) == set(largest), f"{len(base)} of {len(sizes)}"])
    wrong = total = 0
    for session in split.sessions:
        for part in PARTS:
            for name, nodes in getattr(session, part).items():
                wrong += int((data.y[data.positions(nodes, f"nodes of {name!r}")] != data.code(name)).sum())
                total += len(nodes)
    table.rows.append(["each node is of the class it is listed under", wrong == 0, f"{wrong} of {total} are not"])
    most = max((len(nodes) for one in split.sessions[1:] for nodes in one.support.values()), default=0)
    table.rows.append([f"no new class has more than {split.shot} labels", most <= split.shot, f"at most {most}"])
    if split.mode == "inductive":
        future = 0
        for session in SessionStream.from_split(data, split):
            there = data.y[data.positions(session.graph.ids)]
            future += int((~np.isin(there, session.seen)).sum())
        table.rows.append(["no node of a future class is visible", future == 0, f"{future} are"])
    return table


def scrambled(data: Graph, nodes: np.ndarray, seed: int = 0) -> Graph:
    """The graph with the labels of these nodes (ids) permuted among them by chance."""
    y, places = data.y.copy(), data.positions(nodes)
    y[places] = np.random.default_rng(seed).permutation(y[places])
    return data.with_labels(y)


def audit_learner(entry: Entry, data: Graph, split: Split, seed: int = 0) -> Table:
    """Check a learner by scrambling labels that it must not use.

    Args:
        entry: a learner by name, a class, or a function (graph, base session) -> fresh learner, the same for the same
            arguments; see `make_learner`.
    Returns: two checks. Scrambling every label outside support, base training and base validation changes no
        prediction; accuracy on scrambled test labels is what chance gives (within 5 standard errors).

    Examples:
        >>> from mecoin import SessionStream, Simulated, audit_learner
        >>> data = Simulated(classes=6, topics=2, largest=40, smallest=30, vocabulary=60, sharpness=0.4).draw(0)
        >>> stream = SessionStream(data, base=4, way=1, shot=3)
        >>> [passed for _, passed, _ in audit_learner("SGC-LDA", data, stream.split).rows]
        [True, True]
    """
    hidden = [nodes for one in split.sessions for nodes in one.test.values()]
    hidden += [nodes for one in split.sessions[1:] for nodes in one.validation.values()]
    honest = _through(entry, data, split, seed)
    changed = _through(entry, scrambled(data, np.concatenate(hidden), seed), split, seed)
    differ = sum(int((one.predicted != two.predicted).sum()) for one, two in zip(honest, changed, strict=True))
    table = Table(["check", "passed", "found"], title="Learner")
    found = f"{differ} of {sum(one.truth.size for one in honest)} changed"
    table.rows.append(["hidden labels change no prediction", differ == 0, found])
    predicted, truth = changed[-1].predicted, changed[-1].truth
    codes = np.arange(len(data.classes))
    shares = [np.bincount(one, minlength=len(codes)) / len(one) for one in (predicted, truth)]
    chance = float(shares[0] @ shares[1])
    right = float((predicted == truth).mean())
    margin = 5 * (chance * (1 - chance) / len(truth)) ** 0.5
    found = f"{100 * right:.1f} % right, by chance {100 * chance:.1f} %"
    table.rows.append(["scrambled test labels bring accuracy to chance", abs(right - chance) <= margin, found])
    return table


def _through(entry: Entry, data: Graph, split: Split, seed: int) -> list[SessionResult]:
    stream = SessionStream.from_split(data, split)
    return run_stream(stream, make_learner(entry, stream[0], seed, graph=data)).sessions


def known_and_unknown(stream: Iterable[Session], learner: MemoryLearner) -> dict[str, np.ndarray]:
    """Take a fresh learner through the sessions, and measure novelty before, and calibration after each.

    Returns: for each later session, before its classes are learnt, "area" under the ROC curve of `novelty`, their test
        nodes against those of the classes known by then, and per cent of "known nodes called unknown" and of "unknown
        nodes called unknown", whose novelty is above 1; for each session, once its classes are learnt, "calibration
        error" of the probabilities on test nodes of all classes seen.
    """
    from sklearn.metrics import roc_auc_score

    told: list[tuple[float, float, float]] = []
    errors: list[float] = []
    for session in stream:
        if session.index == 0:
            learner.fit_base(session.graph, session.support, session.validation)
        else:
            blind: Graph = session.graph.with_labels(np.full(len(session.graph), UNKNOWN))
            far = learner.novelty(blind, blind.positions(session.test))
            new = np.isin(session.truth, session.new)
            known, unknown = (100 * float((far[some] > 1).mean()) for some in (~new, new))
            told.append((float(roc_auc_score(new, far)), known, unknown))
            learner.add_classes(session.graph, session.support)
        places = session.graph.positions(session.test)
        shares_of = learner.probabilities(learner.encoder.embed(session.graph)[places])
        right = learner.classes[shares_of.argmax(axis=1)] == session.truth
        errors.append(calibration_error(shares_of.max(axis=1), right))
    names = ("area", "known nodes called unknown", "unknown nodes called unknown")
    return {**dict(zip(names, np.array(told).T, strict=True)), "calibration error": np.array(errors)}


def calibration_error(confidence: np.ndarray, right: np.ndarray, bins: int = 15) -> float:
    """Expected calibration error: mean over bins of |share right - mean confidence|, weighted by their nodes.

    confidence: (n,) largest probability of each node; right: (n,) bool.
    """
    place = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)
    counts = np.bincount(place, minlength=bins)
    gaps = np.bincount(place, right, bins) - np.bincount(place, confidence, bins)
    return float(np.abs(gaps).sum() / max(counts.sum(), 1))
