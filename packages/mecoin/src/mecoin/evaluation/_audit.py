"""Leak audit: does a split keep its parts apart, and does a learner see what it must not?"""

from __future__ import annotations

import numpy as np
from ninefold.report import Table
from ninefold_graphs import Graph

from mecoin.evaluation._compare import Entry, make_learner
from mecoin.protocol._run import SessionResult, run_stream
from mecoin.sessions._split import PARTS, Split
from mecoin.sessions._stream import SessionStream


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
