"""The main job on the embedded default: four simulated graphs with injected edges, each the unseen one in turn."""

from __future__ import annotations

import importlib.util

import numpy as np
from ninefold.arms import Arms
from ninefold.cli import progress
from ninefold.systems import DemoResult
from sklearn.metrics import roc_auc_score

from mldgg.datasets import Simulated, inject_edges
from mldgg.domains import GraphDomains, leave_one_graph_out
from mldgg.evaluation import accuracy_bars, answered_graph, edge_histogram, evaluate
from mldgg.meta import MLDGG

SHOTS = (0, 1, 5, 20)
ARMS = ("mldgg", "centred-ridge", "walked-ridge", "target-only")
NOISE = 0.6  # injected edges per edge
GLOSSARY = {
    "gate": "a small network that says how likely both ends of an edge have one class; edges count accordingly",
    "centred-ridge": "linear weights of the known graphs, changed as little as the new labels ask for",
    "walked-ridge": "the same around each graph's mean, its answers spread over the new graph's edges",
    "target-only": "linear weights from the new graph's labels alone",
}
SIMULATED = Simulated(graphs=3, nodes=240, words=300, signal=0.16, homophily=0.75)


def demo(seed: int) -> DemoResult:
    """Leave-one-graph-out at 0, 1, 5 and 20 labels, and what the gate thinks of real and injected edges."""
    noisy = {
        name: inject_edges(graph, NOISE, seed=seed + k) for k, (name, graph) in enumerate(SIMULATED.draw(seed).items())
    }
    domains = GraphDomains({name: graph for name, (graph, _) in noisy.items()})
    with progress(len(ARMS) * len(domains), "fits") as bar:
        result = evaluate(ARMS, domains, shots=SHOTS, seeds=1, trials=1, advance=bar.advance)
    tasks = leave_one_graph_out(domains)
    task = tasks[0]
    model = MLDGG(seed=seed).fit(task.sources)
    adapted = model.adapt(task.target.hidden(np.zeros(len(task.target), bool)))
    weights, injected = adapted.edge_weight(), noisy[task.name][1]
    auc = roc_auc_score(~injected, weights)
    arms = Arms(
        scores={name: [result.mean(name, 5, one.name) for one in tasks] for name in ARMS}, ours="mldgg", unit="%",
        measured="accuracy on a graph never seen, 5 labels a class", margin=0.5,
    )  # fmt: skip
    table = result.table()
    table.notes.append(f"gate: real edges told from injected ones of the unseen {task.name} graph, AUC {auc:.2f}")
    figures = []
    if importlib.util.find_spec("matplotlib"):
        figures = [
            (
                f"The graph {task.name}: right and wrong answers without labels; added noise edges are left out",
                answered_graph(task.target, adapted.predict(), ~injected),
            ),
            ("Accuracy on each unseen graph, 5 labels a class", accuracy_bars(result, 5)),
            (f"Gate on the unseen {task.name} graph: real and injected edges", edge_histogram(weights, injected)),
        ]
    data = f"simulated: {len(domains)} graphs of {SIMULATED.nodes} nodes, {100 * NOISE:.0f} % injected edges"
    note = "Each graph is the unseen one in turn; one seed. Options are defaults or chosen on the sources inside fit."
    return DemoResult(
        data=data, arms=arms, table=table, figures=figures, notes=[note], glossary=GLOSSARY,
        headline=_headline(result.mean("mldgg", 0), {shots: result.mean("target-only", shots) for shots in SHOTS[1:]}),
        looking_at="Each dot is a node of a new graph without labels, classified with a model of two other graphs.",
    )  # fmt: skip


def _headline(unlabelled: float, alone: dict[int, float]) -> str:
    """What labels on the new graph would have to be paid for: accuracy without any, against training on that graph.

    Args:
        unlabelled: per cent right without labels of the new graph.
        alone: by labels per class the per cent right of a model of that graph alone.
    """
    shots = max((one for one, right in alone.items() if right < unlabelled), default=None)
    if shots is None:
        return f"{unlabelled:.0f} % of the nodes of a new graph are right without a single label of it."
    return (
        f"Without a single label of the new graph {unlabelled:.0f} % of its nodes are right; training on {shots} "
        f"labels per class of that graph gives {alone[shots]:.0f} %."
    )
