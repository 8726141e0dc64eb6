"""Files that 0.1.0 wrote, kept as they were: each is read, and holds what it held."""

import json
import shutil
from pathlib import Path

import pytest
from ninefold.errors import ArtifactError
from proteus import Hypothesis, ProteomicsData
from proteus.llm._calls import Calls
from proteus.record._documents import read_documents
from proteus.record._journal import read_journal
from proteus.record._objects import Finding
from proteus.record._run_folder import Folder, cell, changed_rows, read_frame
from proteus.review._rubric_text import METRICS
from proteus.verification._replay import replay
from proteus.verification._verify import verify
from proteus_experiments import review

SAMPLES = Path(__file__).parent / "samples"
RUN = Folder(SAMPLES / "run")


def test_a_table_of_0_1_has_its_values():
    data = ProteomicsData.open(RUN.table)
    assert data.shape == (40, 8)
    assert data.values[0, 0] == 26.9996
    assert data.samples["group"].tolist() == ["AD"] * 4 + ["control"] * 4


def test_a_journal_of_0_1_has_its_chain():
    events = read_journal(RUN.events)
    assert (len(events), events[-1].hash[:8]) == (34, "177de91b")


def test_hypotheses_and_graph_of_0_1_point_to_their_cells():
    first = read_documents(RUN.hypotheses, "hypotheses", Hypothesis)[0]
    assert first.grade == "A"
    ref = first.numbers["effect"]
    assert cell(read_frame(RUN.artifact(ref.artifact)), ref) == pytest.approx(1.9940375)
    assert len(read_documents(RUN.graph, "graph", Finding)) == 5


def test_a_run_of_0_1_is_verified_and_its_replay_refused_in_one_line():
    problems = verify(RUN.root).problems
    assert problems == ["report.html: is missing; `run --resume` writes it again"]
    with pytest.raises(ArtifactError, match=r"was written by proteus 0\.1\.0, and .* computes otherwise"):
        replay(RUN.root)


def test_artifacts_of_0_1_fit_the_digests_of_their_rows():
    names = sorted(path.stem for path in RUN.artifacts.glob("*.parquet"))
    assert names == ["O1.S1.v1.factors", "O1.S1.v1.samples", "O1.S2.v1.features", "O1.S3.v1.refits"]
    assert not [row for name in names for row in changed_rows(RUN.artifact(name))]


def test_recorded_calls_of_0_1_are_read():
    assert Calls(RUN.llm).spent()[0] > 0
    assert json.loads(Calls(RUN.llm).get("efa4661aeb838e19")["answer"]) == {"ok": True}


def test_a_review_of_0_1_takes_in_its_sheets(tmp_path):
    head, *rows = (SAMPLES / "review" / "sheet.csv").read_text().splitlines()
    assert head.split(",")[-6:-1] == list(METRICS)
    filled = "\n".join([head, *(row[:-6] + ",4,4,4,4,4," if row.endswith(",,,,,,") else row for row in rows)])
    (tmp_path / "anna.csv").write_text(filled)
    assert review.import_sheets(SAMPLES / "review", [tmp_path / "anna.csv"]).table.rows[0][1] == 4.0


def test_marks_of_a_model_in_0_1_join_a_new_review(tmp_path):
    shutil.copytree(RUN.root, tmp_path / "run")
    review.export_sheet([tmp_path / "run"], tmp_path / "sheets")
    key = json.loads((tmp_path / "sheets" / "key.json").read_text())["key"]
    assert {one["model"]["reliability"] for one in key.values()} == {5.0}
