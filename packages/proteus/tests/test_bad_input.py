"""What users bring that is wrong, item by item of the package's plan, with the words they get.

Elsewhere: mismatch of sheet and table, ids, decoys, dates, log data and damaged files at the loaders (`test_loaders`);
kills and resumed runs (`test_study`, `test_replay`); edited artifacts (`test_report`); servers that fail
(`test_llm_faults`); hidden text and paths (`test_injection`).
"""

import errno
import json
import os

import numpy as np
import pandas as pd
import pytest
from ninefold.cli import status_of
from ninefold.errors import InputError
from proteus import (
    Budget,
    ProteomicsData,
    Study,
    load,
    moderated_test,
    normalise,
    profile,
    tl,
)
from proteus.cli import app
from proteus.llm._calls import Calls
from proteus.llm._client import Client
from proteus.llm._endpoint import Endpoint
from proteus.llm._planner import LLMPlanner
from proteus.record._journal import read_journal
from proteus.record._run_folder import Folder
from proteus.verification._report import write_report
from proteus_experiments import published
from proteus_experiments.scripted._fake_server import FakeLLM
from proteus_experiments.scripted._script import load_script
from proteus_experiments.simulators._tables import simulate

from .helpers import needs_data, noise, table, template, undrawn  # noqa: F401  (a fixture)


def test_a_byte_order_mark_and_a_wrong_extension_are_said(tmp_path):
    rows = ["protein,s1,s2", *(f"P{k},{k}e5,{k}.5e5" for k in range(1, 5))]
    (tmp_path / "m.tsv").write_bytes(b"\xef\xbb\xbf" + "\n".join(rows).encode())
    notes = load(tmp_path / "m.tsv").notes
    assert "the file starts with a byte-order mark" in notes
    assert "columns are separated by commas, whatever the file's name says" in notes


def test_one_replicate_is_warned_of_and_cannot_be_tested():
    data = table(noise(50, 2), group=["a", "b"])
    assert "one replicate only: group a, b" in profile(data).warnings
    with pytest.raises(InputError, match=r"0 proteins with any, expected at least 2.*one replicate a group leaves no"):
        moderated_test(data, "~ group", "b-a")
    with pytest.raises(InputError, match="none that this table can answer, expected a factor with two levels of two"):
        Study(data).run()


@needs_data
@pytest.mark.data
def test_an_aliased_design_is_refused_with_its_counts():
    csf = published.csf()
    kiel = csf.take(samples=csf.samples["site"].isin(["Kiel", "Sweden"]).to_numpy())
    sheet = kiel.samples.assign(clinic=np.where(kiel.samples["site"] == "Kiel", "north", "east"))
    data = ProteomicsData(kiel.values, kiel.features, sheet)
    with pytest.raises(InputError, match=r"aliased: clinicnorth cannot be told.*site x clinic: Kiel east=0 north=\d+"):
        moderated_test(data, "~ site + clinic + group", "AD-control")
    found = [one for one in profile(csf).warnings if one.startswith("not every combination occurs, ")]
    assert any("Kiel AD=0 control=" in one for one in found)


@pytest.mark.parametrize("events", [0, 1])
def test_too_few_events_are_named_and_a_run_goes_on(events):
    values = noise(80, 14)
    data = table(values, time=list(range(1, 15)), event=[1] * events + [0] * (14 - events), group=["a", "b"] * 7)
    with pytest.raises(InputError, match=f"survival: got {events} events, expected at least two"):
        tl.survival(data, "time", "event")
    report = Study(data).run(Budget(objectives=2))
    failed = [result.error for one in report.answers for result in one.results.values() if result.status == "failed"]
    assert any(f"survival: got {events} events" in one for one in failed)
    assert len(report.answers) == 2


def test_follow_up_in_words_is_no_outcome():
    data = table(noise(80, 8), timepoint=["early", "late"] * 4, status=[0, 1] * 4, months=list(range(8)))
    assert profile(data).outcome is None
    with pytest.raises(InputError, match="survival: got 'timepoint', which is text, expected follow-up in numbers"):
        tl.survival(data, "timepoint", "status")
    assert [one.objective.template for one in Study(data).run(Budget(objectives=1)).answers] == ["group_contrast"]


def test_sets_of_other_identifiers_are_refused_not_tested():
    values = noise(100, 8)
    data = table(values, group=["a", "b"] * 4)
    sets = {f"S{k}": [f"ENSG{k}{j}" for j in range(10)] for k in range(5)}
    result = moderated_test(normalise(data), "~ group", "b-a")
    with pytest.raises(InputError, match=r"0% of 100 features in any set .*look like: f0, f1, f2.*at least 20 %"):
        tl.enrich(result, sets)
    report = Study(data, sets=sets).run(Budget(objectives=2))
    answer = next(one for one in report.answers if one.objective.template == "pathway_activity")
    assert "at least 20 %" in answer.results["S3"].error
    assert not [one for one in report.findings if one.kind == "set"]


def test_a_full_disk_is_one_line_and_leaves_no_half_file(tmp_path, monkeypatch, capsys):
    table(noise(60, 6), group=["a", "b"] * 3).save(tmp_path / "table")
    before = sorted(one.name for one in tmp_path.iterdir())

    def full(*_args, **_more):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(pd.DataFrame, "to_csv", full)
    words = ["test", str(tmp_path / "table"), "--design", "~ group", "--contrast", "b-a"]
    monkeypatch.setattr("sys.argv", ["proteus", *words, "-o", str(tmp_path / "result.csv")])
    assert status_of(app) == 2
    said = capsys.readouterr().err.strip()
    assert "No space left on device" in said
    assert "\n" not in said
    assert sorted(one.name for one in tmp_path.iterdir()) == before


def test_a_run_on_a_full_disk_is_gone_on_with_when_there_is_space(tmp_path, monkeypatch):
    data = table(noise(80, 8), group=["a", "b"] * 4)
    whole = Study(data).run(Budget(objectives=1), out=tmp_path / "whole")
    real, calls = pd.DataFrame.to_parquet, []

    def full(self, *args, **more):
        calls.append(self)
        if len(calls) == 5:  # the table's three are written, and the first artifact
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real(self, *args, **more)

    monkeypatch.setattr(pd.DataFrame, "to_parquet", full)
    with pytest.raises(OSError, match="No space left"):
        Study(data).run(Budget(objectives=1), out=tmp_path / "run")
    again = Study(data).run(Budget(objectives=1), out=tmp_path / "run", resume=True)
    assert again.statements == whole.statements
    assert Folder(tmp_path / "run").events.read_bytes() == Folder(tmp_path / "whole").events.read_bytes()


@pytest.mark.usefixtures("undrawn")
def test_a_server_that_is_down_leaves_the_run_to_the_expert_and_the_report_says_so(tmp_path):
    values = noise(80, 8)
    values[:6, ::2] += 3
    data, run = table(values, group=["a", "b"] * 4), tmp_path / "run"
    with FakeLLM(load_script("good")) as fake:
        client = Client(Endpoint(fake.base_url, "fake"), Calls(run / "llm"), sleep=lambda _: None)
    report = Study(data, LLMPlanner(client, data)).run(Budget(objectives=1), out=run)
    expert = Study(data).run(Budget(objectives=1))
    assert report.statements == expert.statements
    assert report.statements
    asked = ["propose_objectives", "plan_workflow", "refine_workflow"]
    assert set(report.fallbacks) == {*asked, "propose_hypotheses"}
    assert "the expert answered for the planner" in write_report(run).read_text()
    reasons = [one.data["reason"] for one in read_journal(Folder(run).events) if one.kind == "fallback"]
    assert any(fake.base_url in one and "refused" in one for one in reasons)


@pytest.mark.usefixtures("undrawn")
def test_a_models_budget_that_is_hit_ends_in_a_partial_report(tmp_path):
    made = simulate(template(), samples=12, features=200, effect=1.5, seed=4)
    run = tmp_path / "run"
    with FakeLLM(load_script("good")) as fake:
        client = Client(Endpoint(fake.base_url, "fake"), Calls(run / "llm"), tokens=30_000, sleep=lambda _: None)
        report = Study(made.data, LLMPlanner(client, made.data)).run(Budget(objectives=2), out=run)
    assert report.stopped is not None
    assert "the next call would pass the limit" in report.stopped
    assert report.fallbacks  # the expert, who costs nothing, went on where the model had to stop
    assert "partial: stopped by the budget" in write_report(run).read_text()
    kinds = [one.kind for one in read_journal(Folder(run).events)]
    assert kinds[-1] == "finish"
    assert "budget" in kinds


def test_an_option_that_needs_another_says_which(tmp_path):
    from typer.testing import CliRunner

    table(noise(60, 6), group=["a", "b"] * 3).save(tmp_path / "table")
    said = {
        ("--planner", "llm"): "--planner llm: expected --base-url and --model: there is no default server",
        ("--model", "x"): "--base-url, --model: got with the expert planner, expected --planner llm",
        ("--planner", "oracle"): "--planner: got 'oracle', expected expert or llm",
    }
    for words, message in said.items():
        done = CliRunner().invoke(app, ["run", str(tmp_path / "table"), *words])
        assert message in str(done.exception), json.dumps(words)
