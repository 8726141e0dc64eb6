"""A finished run's hypotheses under the offline rubric, as a table."""

from pathlib import Path

import pandas as pd

from proteus.knowledge._literature import Literature
from proteus.record._objects import Finding, Hypothesis, read_documents
from proteus.record._run_folder import Folder
from proteus.review._rubric import Knowledge, total
from proteus.review._rubric import score as rubric
from proteus.review._rubric_text import METRICS
from proteus.study._study import open_study


def score(run: str | Path) -> pd.DataFrame:
    """Marks from 1 to 5 of a run's hypotheses, ranked as the run ranks them.

    Args:
        run: folder of a finished run.
    Returns:
        hypothesis, grade, entity, the five metrics (NaN: unknown), and the mean of those that are known.
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
    knowledge = Knowledge(study.sets, study.network, Literature(study.literature) if study.literature else None)
    rows = []
    for one in read_documents(folder.hypotheses, "hypotheses", Hypothesis):
        marks = rubric(one, findings, knowledge)
        rows.append([one.id, one.grade, one.entities[0], *(getattr(marks, name) for name in METRICS), total(marks)])
    table = pd.DataFrame(rows, columns=["hypothesis", "grade", "entity", *METRICS, "mean"])
    return table.astype(dict.fromkeys((*METRICS, "mean"), float))
