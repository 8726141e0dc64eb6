import json
import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ninefold.errors import ArtifactError, InputError
from proteus.record._documents import read_documents, write_documents
from proteus.record._objects import Hypothesis, Objective, Ref, Step, Workflow
from proteus.record._planner import QUESTIONS
from proteus.record._run_folder import Folder, cell, changed_rows, read_frame, shown, write_artifact
from proteus.record._words import words
from proteus.tools import _registry
from proteus.tools._registry import Output, Params, check_workflow, register_tool
from proteus.tools._registry import Tool as RegisteredTool
from pydantic import ValidationError


def hypothesis(**changes) -> Hypothesis:
    values = {
        "statement": "TFRC is up by {effect}", "entities": ["TFRC"], "direction": "up", "context": "a-b",
        "numbers": {"effect": Ref(artifact="O1.S1.v1.features", row="TFRC", column="effect")}, "evidence": ["x#TFRC"],
    }  # fmt: skip
    return Hypothesis(**(values | changes))


def test_documents_come_back_as_they_were(tmp_path):
    items = [hypothesis(), hypothesis(statement="other")]
    write_documents(tmp_path / "h.json", "hypotheses", items)
    assert read_documents(tmp_path / "h.json", "hypotheses", Hypothesis) == items


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "no JSON"),
        ("[]", "no proteus.hypotheses"),
        ('{"format": "proteus.graph", "format_version": 1, "items": []}', "no proteus.hypotheses"),
        ('{"format": "proteus.hypotheses", "format_version": 2, "items": []}', "version 2"),
        ('{"format": "proteus.hypotheses", "format_version": 1, "items": [{"statement": "x"}]}', "damaged"),
    ],
)
def test_a_damaged_foreign_or_newer_document_is_refused(tmp_path, text, reason):
    (tmp_path / "h.json").write_text(text)
    with pytest.raises(ArtifactError, match=reason):
        read_documents(tmp_path / "h.json", "hypotheses", Hypothesis)


def test_objects_refuse_what_they_do_not_know():
    with pytest.raises(ValidationError):
        Objective(id="O1", template="x", question="?", path="x")  # pyright: ignore[reportCallIssue]
    with pytest.raises(ValidationError):
        Objective(id="../O1", template="x", question="?")


@pytest.mark.parametrize("inputs", [["S2"], ["S1"], ["S9"]])
def test_a_workflow_reads_earlier_steps_only(inputs):
    with pytest.raises(ValidationError, match="no earlier step"):
        Workflow(objective="O1", steps=[Step(id="S1", tool="a", inputs=inputs), Step(id="S2", tool="b")])


def test_every_question_names_its_answer():
    assert len(QUESTIONS) == 5
    for question in QUESTIONS.values():
        assert json.dumps(question.answer.model_json_schema())
        assert words("prompts")[question.role]


class _Nothing(Params):
    cut: float = 1.0


def _tool(name: str, **more) -> RegisteredTool:
    return RegisteredTool(name, "x", _Nothing, {}, lambda *_: Output({}), **more)


def test_a_workflow_is_checked_against_the_registry():
    known = {"a": _tool("a"), "b": _tool("b", reads=("a",))}
    good = Workflow(objective="O1", steps=[Step(id="S1", tool="a"), Step(id="S2", tool="b", inputs=["S1"])])
    assert check_workflow(good, known) == []
    bad = Workflow(
        objective="O1",
        steps=[
            Step(id="S1", tool="shell"),
            Step(id="S2", tool="a", params={"cut": "; rm"}),
            Step(id="S3", tool="a", params={"path": "../x"}),
            Step(id="S4", tool="b"),
        ],
    )
    wrong = check_workflow(bad, known)
    assert [line.split(":")[0] for line in wrong] == ["S1", "S2", "S3", "S4"]
    assert "no tool 'shell'" in wrong[0]
    assert "needs a step of a" in wrong[3]


def test_tools_are_registered_under_a_plain_name_with_known_requirements():
    with pytest.raises(InputError, match="tool name"):
        register_tool("../x", params=_Nothing, tables={})
    with pytest.raises(InputError, match="requirement 'internet'"):
        register_tool("x", params=_Nothing, tables={}, requires=("internet",))


def test_an_edited_artifact_names_its_row(tmp_path):
    folder = Folder(tmp_path)
    frame = pd.DataFrame({"id": ["a", "b", "c"], "p": [0.1, np.nan, 0.3], "gene": ["x", None, "z"], "n": [1, 2, 3]})
    first = write_artifact(folder, "O1.S1.v1.features", frame)
    assert first == write_artifact(folder, "O1.S1.v1.features", frame)
    path = folder.artifact("O1.S1.v1.features")
    assert changed_rows(path) == []
    edited = frame.copy()
    edited.loc[1, "p"] = 0.01
    edited.to_parquet(path, index=False)
    assert changed_rows(path) == ["b"]
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(ArtifactError, match="damaged"):
        read_frame(path)


@pytest.mark.parametrize("name", ["../x", "a/b", "..", "", ".hidden", "/etc/passwd", "a..b"])
def test_artifact_names_cannot_leave_the_folder(tmp_path, name):
    with pytest.raises(ArtifactError):
        Folder(tmp_path).artifact(name)


def test_cells_are_found_by_row_and_column():
    frame = pd.DataFrame({"id": ["a"], "p": [0.1]})
    assert cell(frame, Ref(artifact="x", row="a", column="p")) == 0.1
    for ref in (Ref(artifact="x", row="b", column="p"), Ref(artifact="x", row="a", column="q")):
        with pytest.raises(KeyError):
            cell(frame, ref)


@given(st.floats(-1e300, 1e300) | st.just(math.nan))
def test_shown_numbers_are_near_the_cell(value):
    text = shown(value)
    if math.isnan(value):
        assert text == "unknown"
    else:
        assert float(text) == pytest.approx(value, rel=0.006)


def test_tools_stand_in_one_order_whatever_was_imported_first(monkeypatch):
    """Else two processes of a shared run disagree on what it began with."""
    known = _registry.tools()
    late = {name: tool for name, tool in known.items() if tool.run.__module__.endswith("_tools_cells")}
    assert 0 < len(late) < len(known)
    monkeypatch.setattr(_registry, "_TOOLS", late | known)
    assert list(_registry.tools()) == list(known)
