"""Designs as people bring them: subjects measured once, or twice, or within a group; columns of numbers; shared levels."""

import numpy as np
import pandas as pd
from proteus import Budget, ProteomicsData, Study


def made(sheet: dict, *, features: int = 120, subject: str | None = None, own: float = 0.0, seed: int = 3):
    """Noise with the columns given; each level of `subject` has an offset of its own in every feature."""
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(sheet)
    values = rng.normal(22, 0.4, (features, len(frame)))
    if subject is not None:
        code = pd.factorize(frame[subject])[0]
        values += own * rng.standard_normal((features, code.max() + 1))[:, code]
    frame.index = [f"S{one}" for one in range(len(frame))]
    return ProteomicsData(values, pd.DataFrame(index=[f"P{one}" for one in range(features)]), frame)


def first(report, template: str):
    return next(one for one in report.answers if one.objective.template == template)


def unpaired_cells() -> ProteomicsData:
    """Eight donors of one sample each, four sick: B cells of the sick carry more pS6."""
    rng = np.random.default_rng(0)
    parts, rows = [], []
    for donor in range(8):
        sick = donor >= 4
        for kind in ("B", "T"):
            number = int(rng.integers(50, 90))
            values = rng.normal(0, 0.3, (number, 4)) + 0.1 * rng.standard_normal()
            values[:, 0 if kind == "B" else 1] += 4
            values[:, 2] += 2.0 * (kind == "B" and sick)
            parts.append(values)
            rows += [(f"s{donor}", f"d{donor}", "sick" if sick else "healthy")] * number
    sheet = pd.DataFrame(rows, columns=["sample_id", "donor", "condition"])
    sheet.index = pd.Index([f"c{one}" for one in range(len(sheet))], name="cell")
    features = pd.DataFrame(index=pd.Index(["CD20", "CD3", "pS6", "pErk"], name="id"))
    return ProteomicsData(
        (np.sinh(np.clip(np.concatenate(parts), 0, None)) * 5).T, features, sheet, "cell", "counts"
    )  # fmt: skip


def test_cells_of_donors_with_one_sample_each_are_tested():
    markers = {"CD20": "type", "CD3": "type", "pS6": "state", "pErk": "state"}
    rules = {"B cells": {"CD20": "+", "CD3": "-"}, "T cells": {"CD20": "-", "CD3": "+"}}
    report = Study(unpaired_cells(), markers=markers, rules=rules).run(Budget(objectives=2))
    for template in ("cell_state", "cell_abundance"):
        answer = first(report, template)
        assert answer.objective.design == "~ condition"
        assert not any(one.error for one in answer.results.values())
    assert report.hypotheses[0].entities == ["pS6"]
