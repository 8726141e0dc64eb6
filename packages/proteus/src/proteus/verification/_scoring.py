"""A finished run's hypotheses under the offline rubric, as a table."""

from pathlib import Path

import numpy as np
import pandas as pd

from proteus.record._documents import judged, read_documents
from proteus.record._journal import read_journal
from proteus.record._objects import Finding, Hypothesis
from proteus.record._run_folder import Folder, read_frame
from proteus.review._rubric import Knowledge, total
from proteus.review._rubric import score as rubric
from proteus.review._rubric_text import METRICS
from proteus.statistics._detection import rank_correlation
from proteus.study._study import open_study

_FEWEST = 5  # hypotheses for a correlation


def score(run: str | Path) -> pd.DataFrame:
    """Marks from 1 to 5 of a run's hypotheses, ranked as the run ranks them.

    Args:
        run: folder of a finished run.
    Returns:
        hypothesis, grade, entity, the five metrics (NaN: unknown), the mean of those that are known, and `replicates`:
        whether it replicates in most cohorts (1, 0), or in what share of halves of the one cohort (NaN: not asked).
    Raises:
        ArtifactError: naming what of the run is missing or damaged.

    Examples:
        >>> import numpy as np
        >>> import pandas as pd
        >>> import proteus
        >>> values = np.random.default_rng(0).normal(25, 0.2, (60, 8))
        >>> values[0, ::2] += 3
        >>> sheet = pd.DataFrame({"group": ["AD", "control"] * 4}, index=[f"s{k}" for k in range(8)])
        >>> data = proteus.from_matrix(values, [f"P{k}" for k in range(60)], sheet)
        >>> report = proteus.Study(data).run(proteus.Budget(objectives=1), out="run")
        >>> proteus.score("run")[["grade", "entity"]].values.tolist()
        [['B', 'P0']]
    """
    folder = Folder(Path(run))
    study = open_study(folder.root)
    findings = {one.id: one for one in read_documents(folder.graph, "graph", Finding)}
    knowledge = Knowledge(study.sets, study.network)
    rows, again = [], _replicates(folder)
    for one in read_documents(folder.hypotheses, "hypotheses", Hypothesis):
        marks = rubric(one, findings, knowledge)
        known = [*(getattr(marks, name) for name in METRICS), total(marks), again.get(one.id)]
        rows.append([one.id, one.grade, one.entities[0], *known])
    numbers = (*METRICS, "mean", "replicates")
    return pd.DataFrame(rows, columns=["hypothesis", "grade", "entity", *numbers]).astype(dict.fromkeys(numbers, float))


def _replicates(folder: Folder) -> dict[str, float]:
    """By hypothesis that was asked again whether, or how often, it came out."""
    shares: dict[str, float] = {}
    events = read_journal(folder.events)
    steps = {(one.data["objective"], one.data["step"]["id"]): one.data for one in events if one.kind == "step"}
    for event in events:
        if event.kind == "predicted" and event.data["files"]:
            key = event.data["objective"], event.data["step"]
            frame = read_frame(folder.artifact(f"predicted.{key[0]}.{key[1]}"))
            ids = steps[key]["result"]["artifacts"]["features"] + "#" + frame["id"]
            shares |= dict(zip(ids, frame["replicates"].astype(float), strict=True))
    made = {}
    for one in read_documents(folder.hypotheses, "hypotheses", Hypothesis):
        found = shares.get(one.evidence[0]) if one.replicated is None else float(one.replicated)
        made |= {} if found is None or found != found else {one.id: found}
    return made


def beside_replication(folder: Folder) -> list[tuple[str, str, int, float]]:
    """(scored by, metric, hypotheses, Spearman's rho with replication) of the rubric, and of a model that judged."""
    again = _replicates(folder)
    marks = {one.id: one.scores.model_dump() for one in read_documents(folder.hypotheses, "hypotheses", Hypothesis)}
    model, rows = {key: one["mean"] for key, one in judged(folder.judge).items()}, []
    for judge, scores in (("rubric", marks), ("model", model)):
        for metric in METRICS:
            pairs = [(scores[key][metric], again[key]) for key in again if scores.get(key, {}).get(metric) is not None]
            if len(pairs) >= _FEWEST:
                rows.append((judge, metric, len(pairs), rank_correlation(*np.array(pairs, float).T)))
    return rows
