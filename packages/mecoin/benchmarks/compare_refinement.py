"""What refinement brings to `mecoin+`, what it is without it, and how well `novelty` tells classes that are to come.

    uv run python packages/mecoin/benchmarks/compare_refinement.py >> results/refinement.jsonl

Needs NINEFOLD_DATA with `mecoin/`. For each data set and seed: mean accuracy over sessions of `mecoin+`, of `mecoin+`
without its rounds of refinement, and of SGC-LDA; and, before each session's classes are learnt, the area under the ROC
curve of `novelty` for the test nodes of those classes among all test nodes of the session.
"""

from __future__ import annotations

import json

import numpy as np
from mecoin import SessionStream, datasets
from mecoin.evaluation._bench import make_learner
from mecoin.graphs._graph import UNKNOWN
from sklearn.metrics import roc_auc_score

SETS = {"CS": (5, 1), "Computers": (5, 1), "Clothing20": (10, 2)}
ARMS = (("mecoin+", "mecoin+", {}), ("no refinement", "mecoin+", {"rounds": 0}), ("SGC-LDA", "SGC-LDA", {}))

for data, (base, way) in SETS.items():
    graph = datasets.load(data)
    for seed in range(5):
        stream = SessionStream(graph, base, way, 5, seed=seed)
        row: dict[str, object] = {"data": data, "seed": seed}
        for arm, name, options in ARMS:
            learner, accuracies, areas = make_learner(name, stream[0], seed, **options), [], []
            for session in stream:
                if session.index == 0:
                    learner.fit_base(session.graph, session.support, session.validation)
                else:
                    if arm == "mecoin+":
                        blind = session.graph.with_labels(np.full(len(session.graph), UNKNOWN))
                        far = learner.novelty(learner.encoder.embed(blind)[blind.positions(session.test)])
                        areas.append(round(float(roc_auc_score(np.isin(session.truth, session.new), far)), 4))
                    learner.add_classes(session.graph, session.support)
                accuracies.append(100 * float((learner.predict(session.graph, session.test) == session.truth).mean()))
            row[arm] = round(float(np.mean(accuracies)), 3)
            if areas:
                row["area under the ROC curve of novelty, by session"] = areas
        print(json.dumps(row), flush=True)
