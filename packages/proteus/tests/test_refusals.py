"""What is refused in one line, cells that a spreadsheet would run, and records of a model that were tampered with."""

import json
import math

import numpy as np
import pandas as pd
import pytest
from ninefold.errors import InputError
from proteus import Budget, ProteomicsData, Study, load, moderated_test, tl
from proteus.llm._calls import Calls
from proteus.llm._client import Client
from proteus.llm._endpoint import Endpoint
from proteus.llm._planner import LLMPlanner
from proteus.statistics._ebayes import squeeze_variances
from proteus.verification._replay import replay
from proteus.verification._verify import verify
from proteus_experiments.scripted._fake_server import FakeLLM
from proteus_experiments.scripted._script import load_script

from .helpers import noise, table, write_undrawn
from .test_cli import ask

GROUPS = {"group": ["a", "a", "a", "b", "b", "b"]}


def test_an_unknown_prior_is_refused():
    with pytest.raises(InputError, match=r"prior: got 'magic', expected auto, likelihood or moment"):
        moderated_test(table(noise(20, 6), **GROUPS), "~ group", "b-a", prior="magic")
    with pytest.raises(InputError, match="prior"):
        squeeze_variances(np.ones(5), np.full(5, 4.0), prior="")


def test_text_for_the_fold_bar_is_refused():
    with pytest.raises(InputError, match=r"lfc: got 'much', expected `auto` or a log2 fold bar"):
        moderated_test(table(noise(20, 6), **GROUPS), "~ group", "b-a", lfc="much")


def test_a_table_with_samples_in_rows_is_turned_and_values_alone_are_told_to_be(tmp_path):
    frame = pd.DataFrame(2.0 ** noise(40, 6), [f"P{place}" for place in range(40)], [f"s{place}" for place in range(6)])
    frame.T.to_csv(tmp_path / "m.csv", index_label="sample")
    pd.DataFrame({"sample": frame.columns, "group": GROUPS["group"]}).to_csv(tmp_path / "s.csv", index=False)
    turned = load(tmp_path / "m.csv", tmp_path / "s.csv")
    assert turned.shape == (40, 6)
    assert "samples stand in rows: the table was transposed" in turned.notes
    np.testing.assert_allclose(turned.values, np.log2(frame.to_numpy()))
    data = table(noise(20, 6), **GROUPS)
    with pytest.raises(InputError, match=r"shape \(6, 20\).*transpose"):
        ProteomicsData(data.values.T, data.features, data.samples)


def test_log10_values_are_refused_and_log2_ones_are_not(tmp_path):
    values = noise(60, 6)
    for name, base in (("log10", math.log10(2)), ("log2", 1.0)):
        frame = pd.DataFrame(values * base, [f"P{place}" for place in range(60)], [f"s{place}" for place in range(6)])
        frame.to_csv(tmp_path / f"{name}.csv", index_label="protein")
    with pytest.raises(InputError, match=r"as log10 intensities have.*log2\(10\)"):
        load(tmp_path / "log10.csv")
    assert load(tmp_path / "log2.csv").scale == "log2"


def cells(scale):
    sheet = pd.DataFrame({"sample_id": np.repeat(["p1", "p2", "p3", "p4"], 30), "group": np.repeat(["x", "y"], 60)},
                         index=[f"c{place}" for place in range(120)])  # fmt: skip
    values = np.random.default_rng(0).gamma(2.0, 20.0, (2, 120))
    return ProteomicsData(values, pd.DataFrame(index=pd.Index(["pS6", "CD20"], name="id")), sheet, "cell", scale)


def test_raw_counts_have_no_states():
    with pytest.raises(InputError, match=r"diff_state: got raw counts.*tl\.arcsinh"):
        tl.diff_state(cells("counts"), np.zeros(120, int), ["pS6"], "~ group", "y-x")
    counts = cells("counts")
    assert len(tl.diff_state(tl.arcsinh(counts), np.zeros(120, int), ["pS6", "CD20"], "~ group", "y-x").table) == 2


@pytest.mark.parametrize("ending", ["csv", "tsv"])
def test_cells_that_a_spreadsheet_would_run_are_quoted(tmp_path, ending):
    frame = pd.DataFrame(2.0 ** noise(30, 6), columns=[f"s{place}" for place in range(6)])
    names = ["=1+1", "+x", "-y", "@z", *(f"P{place}" for place in range(26))]
    frame.insert(0, "protein", names)
    frame.to_csv(tmp_path / "m.csv", index=False)
    pd.DataFrame({"sample": frame.columns[1:], **GROUPS}).to_csv(tmp_path / "s.csv", index=False)
    ask("test", tmp_path / "m.csv", "-s", tmp_path / "s.csv", "--design", "~ group", "--contrast", "b-a",
        "-o", tmp_path / f"t.{ending}")  # fmt: skip
    written = pd.read_csv(tmp_path / f"t.{ending}", sep="\t" if ending == "tsv" else ",", dtype=str)
    firsts = {str(cell)[0] for name in ("id", "gene") for cell in written[name]}
    assert firsts <= {"'", "P"}
    assert {"'=1+1", "'+x", "'-y", "'@z"} <= set(written["id"])
    assert written["effect"].str.startswith("-").any()  # numbers stay numbers


@pytest.fixture(scope="module")
def model_run(tmp_path_factory):
    values = noise(40, 8, sd=0.2)
    values[:5, :4] += 2.0
    data = table(values, group=["AD"] * 4 + ["control"] * 4)
    out = tmp_path_factory.mktemp("model") / "run"
    with FakeLLM(load_script("good")) as fake:
        client = Client(Endpoint(fake.base_url, "fake"), Calls(out / "llm"))
        Study(data, LLMPlanner(client, data)).run(Budget(objectives=1), out=out)
    write_undrawn(out)
    return out


def test_a_run_with_a_model_is_whole_and_replays(model_run):
    assert verify(model_run).problems == []
    assert replay(model_run).differences == []


@pytest.mark.parametrize("harm", ["deleted", "altered"])
def test_a_record_of_a_model_that_is_gone_or_altered_is_found(model_run, harm):
    record = sorted((model_run / "llm").glob("*-plan_workflow-*.json"))[0]
    whole = record.read_bytes()
    if harm == "deleted":
        record.unlink()
    else:  # with a digest that fits
        from proteus.record._documents import own_digest

        body = json.loads(whole)
        body["answer"] = body["answer"].replace("S1", "S9")
        record.write_text(json.dumps(body | {"digest": own_digest(body)}, indent=1) + "\n")
    try:
        words = f"llm/{record.name}: {'is missing' if harm == 'deleted' else 'was changed'}"
        assert any(problem.startswith(words) for problem in verify(model_run).problems)
        assert any(problem.startswith(words) for problem in replay(model_run).differences)
    finally:
        record.write_bytes(whole)
