"""Marks of a finished run's hypotheses as tables: those of the offline rubric, and those of a model."""

from __future__ import annotations

from pathlib import Path

from ninefold.report import Table

from proteus.llm._client import Client
from proteus.llm._judge import judge_run
from proteus.record._run_folder import Folder
from proteus.review._rubric_text import METRICS
from proteus.study._study import open_study
from proteus.verification._report import write_report
from proteus.verification._scoring import score


def rubric_table(run: Path) -> Table:
    """The marks of `score`, rounded; "unknown" where there is none."""
    found = score(run)
    table = Table(list(found.columns), title="Offline rubric, 1 to 5")
    for row in found.itertuples(index=False):
        *about, mean = row
        table.rows.append([*("unknown" if one != one else one for one in about), round(mean, 2)])
    return table


def judge_table(run: Path, client: Client, seed: int = 0) -> Table:
    """Have a model judge a run's hypotheses, write judge.json and the report anew, and return the mean marks.

    Args:
        run: folder of a finished run. client: of the model. seed: of the order of hypotheses in each round.
    """
    folder = Folder(run)
    found = judge_run(folder, client, open_study(run).data, seed=seed)
    write_report(folder.root)
    table = Table(["hypothesis", *METRICS, "mean"], title=f"{client.endpoint.model} as judge, mean of three rounds")
    for name, one in found.items():
        marks = one.mean()
        cells = [*(round(marks[key], 2) for key in METRICS), round(sum(marks.values()) / len(marks), 2)]
        table.rows.append([name, *cells])
    table.notes.append("written: judge.json and report.html")
    return table
