"""A small run folder made by hand, in the layout that `_run_folder` says."""

from pathlib import Path

import numpy as np
import pandas as pd
from ninefold.files import digest_file
from proteus import ProteomicsData
from proteus.record._documents import write_documents
from proteus.record._journal import Journal
from proteus.record._objects import (
    DatasetProfile,
    Experiment,
    Finding,
    Hypothesis,
    Objective,
    Ref,
    Scores,
    Step,
    StepResult,
    Workflow,
)
from proteus.record._run_folder import Folder, write_artifact

GENES = ["MAPT", "PKM", "YWHAZ", "ALDOA", "TFRC", "ALB"]
NAME = "O1.S1.v1.hits"


def frame(seed=0):
    rng = np.random.default_rng(seed)
    effect = np.array([1.5, 1.2, 0.9, 0.8, -1.1, 0.01])
    ids = [f"P{place:05d}" for place in range(len(GENES))]
    return pd.DataFrame(
        {
            "id": ids, "entity": GENES, "effect": effect, "ci_low": effect - 0.3, "ci_high": effect + 0.3,
            "p": [1e-6, 1e-5, 1e-4, 1e-3, 1e-5, 0.9], "q": [6e-6, 3e-5, 2e-4, 2e-3, 3e-5, 0.9],
            "n": rng.integers(8, 12, 6),
        }
    )  # fmt: skip


def make_run(root: Path, *, planner="expert", scores=True, seed=0) -> Folder:
    folder = Folder(root)
    root.mkdir(parents=True)
    rng = np.random.default_rng(seed)
    sheet = pd.DataFrame({"group": ["AD"] * 4 + ["control"] * 4}, index=[f"s{place}" for place in range(8)])
    features = pd.DataFrame({"gene": GENES}, index=frame()["id"])
    ProteomicsData(rng.normal(25, 1, (6, 8)), features, sheet).save(folder.input / "table")
    table = frame(seed)
    files = write_artifact(folder, NAME, table)
    findings = [
        Finding(
            id=f"{NAME}#{row.id}", objective="O1", entity=row.entity, relation="changed_in", target="AD-control",
            sign=1 if row.effect > 0 else -1, effect=row.effect, low=row.ci_low, high=row.ci_high, p=row.p, q=row.q,
            n=row.n, artifact=NAME, row=row.id, stable=True,
        )
        for row in table.itertuples()
        if row.q < 0.05
    ]  # fmt: skip
    hypotheses = [
        Hypothesis(
            id=f"H{place}", statement=f"{one.entity} is {'raised' if one.sign > 0 else 'lowered'} in AD by {{fold}} "
            "(log2, q {q})", entities=[one.entity], direction="up" if one.sign > 0 else "down", context="AD-control",
            numbers={name: Ref(artifact=NAME, row=one.row, column=column) for name, column in
                     (("fold", "effect"), ("q", "q"))},
            evidence=[one.id], grade="AABBC"[place - 1], experiment=Experiment(assay="ELISA", n_per_group=12),
            scores=Scores(reliability=5 - place * 0.5, evaluability=4) if scores else Scores(),
        )
        for place, one in enumerate(findings, 1)
    ]  # fmt: skip
    write_documents(folder.graph, "graph", findings)
    write_documents(folder.hypotheses, "hypotheses", hypotheses)
    journal = Journal(folder.events)
    aim = Objective(id="O1", template="group", question="What differs between AD and control?", contrast="AD-control")
    step = Step(id="S1", tool="test", params={"lfc": 0.0}, purpose="find changed proteins")
    profile = DatasetProfile(kind="protein", scale="log2", features=6, samples=8)
    journal.append("run", planner=planner, seed=seed, profile=profile.model_dump(), tools=["test"], version="0")
    journal.append("objective", objective=aim.model_dump(), accepted=True, reason="")
    journal.append("workflow", workflow=Workflow(objective="O1", steps=[step]).model_dump(), reason="planned")
    result = StepResult(objective="O1", step="S1", artifacts={"hits": NAME}, metrics={"hits": 5}, findings=findings)
    journal.append("step", objective="O1", step=step.model_dump(), workflow_version=1, result=result.model_dump(),
                   files=files)  # fmt: skip
    journal.append("refinement", objective="O1", action="set_params", reason="more than a fifth changed",
                   trigger={"changed": 0.83}, step="S1", params={}, target=None)  # fmt: skip
    journal.append("changed", objective="O1", step="S1", before=3, after=5, gains=2, losses=0,
                   gained=["PKM", "ALDOA"], lost=[])  # fmt: skip
    journal.append("summary", objective="O1", answer="Tau and glycolysis proteins differ.", supported=True)
    journal.append("family", objective="O1", simes=6e-6, position=1, passed=True, level=0.05, size=6, rejected=5)
    for one in hypotheses:
        journal.append("gate", statement=one.statement, accepted=True, reasons=[], turn=1)
    digests = {path.name: digest_file(path) for path in (folder.graph, folder.hypotheses)}
    journal.append("finish", hypotheses=len(hypotheses), stopped=None, fallbacks=[], digests=digests)
    return folder
