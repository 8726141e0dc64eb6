"""Verbs beyond what the contract asks, called in this process: each process of its own would load torch anew."""

from __future__ import annotations

import csv
import json
import re
import sys
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from mecoin import Graph, Mecoin, compare
from mecoin.cli import main
from mecoin.datasets import read_edge_list
from ninefold.errors import ArtifactError, InputError
from ninefold_graphs import read_support

from . import small


@pytest.fixture(autouse=True)
def cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("NINEFOLD_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))


@pytest.fixture(scope="module")
def mine(tmp_path_factory):
    """A folder of one's own data: nodes with names, classes 3 to 6 unlabelled; and where their labels are."""
    folder, data = tmp_path_factory.mktemp("own") / "mine", small.graph()
    folder.mkdir()
    (folder / "edges.csv").write_text("".join(f"n{a},n{b}\n" for a, b in data.edge_index.T))
    (folder / "labels.csv").write_text("".join(f"n{i},c{y}\n" for i, y in enumerate(data.y) if y < 3))
    dense = data.x.toarray()
    lines = (f"n{i}," + ",".join(f"{value:g}" for value in row) for i, row in enumerate(dense))
    (folder / "features.csv").write_text("\n".join(lines) + "\n")
    new = [i for i, y in enumerate(data.y) if y == 3]
    (folder.parent / "new.csv").write_text("".join(f"n{i},fraud\n" for i in new[:5]))
    return folder, new[5:]


@pytest.fixture
def done(monkeypatch, capsys):
    """Run the console script: what it prints, or with another status than 0 what it complains of."""

    def done(*words, status=0):
        monkeypatch.setattr(sys, "argv", ["mecoin", *map(str, words)])
        with pytest.raises(SystemExit) as end:
            main()
        shown = capsys.readouterr()
        assert end.value.code == status, shown.err
        return shown.err if status else shown.out

    return done


@pytest.mark.slow
def test_own_graph_from_files_to_predictions(done, mine, tmp_path):
    folder, new = mine
    base, grown, answers = tmp_path / "base.safetensors", tmp_path / "grown.safetensors", tmp_path / "answers.csv"
    assert re.search(r"prototypes \(grow\), bytes +[\d,]+\n", done("fit", folder, "-o", base))
    done("add", base, folder, "--support", folder.parent / "new.csv", "-o", grown)
    assert "fraud" in done("inspect", grown)
    assert "fraud" not in done("inspect", base)
    done("predict", grown, folder, "-o", answers)
    with answers.open() as file:
        rows = {row["node"]: row["class"] for row in csv.DictReader(file)}
    assert len(rows) == len(small.graph())
    assert sum(rows[f"n{i}"] == "fraud" for i in new) / len(new) > 0.5
    (row,) = json.loads(done("predict", grown, folder, "--node", f"n{new[0]}", "--json"))["rows"]
    assert row["class"] == rows[f"n{new[0]}"]
    again = done("add", grown, folder, "--support", folder.parent / "new.csv", "-o", tmp_path / "x", status=2)
    assert "'fraud'" in again
    assert "(--update replaces it by these nodes)" in again
    done("add", grown, folder, "--support", folder.parent / "new.csv", "--update", "-o", tmp_path / "x")
    sizes = json.loads(done("inspect", grown, "--json"))
    assert sizes["prototypes (grow), bytes"] > 0
    assert sizes["encoder, bytes"] > 0
    assert "n0x" in done("predict", grown, folder, "--node", "n0x", status=2)


def test_bad_support_file_is_named_by_line(done, mine, tmp_path):
    folder, _ = mine
    base, wrong = tmp_path / "base.safetensors", tmp_path / "wrong.csv"
    done("fit", folder, "-o", base)
    wrong.write_text("n1,x\nnobody,x\n")
    assert "line 2" in done("add", base, folder, "--support", wrong, "-o", tmp_path / "out", status=2)
    assert "--support or --split" in done("add", base, folder, "-o", tmp_path / "out", status=2)


@pytest.mark.slow
def test_sessions_of_a_split_one_after_another(done, tmp_path):
    split, base, grown = tmp_path / "split.json", tmp_path / "0.safetensors", tmp_path / "1.safetensors"
    done("split", "demo", "--sessions", "1", "-o", split)
    done("fit", "demo", "--split", split, "-o", base)
    done("add", base, "demo", "--split", split, "--session", "1", "-o", grown)
    rows = json.loads(done("predict", grown, "demo", "--split", split, "--session", "1", "--json"))["rows"]
    assert [row["test nodes of"] for row in rows] == ["all classes", "base classes", "novel classes"]
    assert all(20 < row["accuracy %"] <= 100 for row in rows)
    tables = json.loads(done("inspect", split, "--data", "demo", "--learner", "mecoin+", "--json"))
    assert all(row["passed"] for table in tables for row in table["rows"])


def test_comparison_leaves_figures_confusion_and_pictures(done, tmp_path):
    from pyarrow import parquet

    out = tmp_path / "run"
    words = ("compare", "demo", "--learners", "mecoin+,SGC-NCM", "--sessions", "2", "-o", out)
    done(*words)
    lines = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    assert [line["session"] for line in lines] == [0, 1, 2] * 2
    assert {path.name for path in (out / "figures").iterdir()} == {
        "accuracy.png",
        "forgetting-0.png",
        "forgetting-1.png",
        "prototypes-0.png",
    }
    table = parquet.read_table(out / "confusion.parquet").to_pylist()
    last = [row for row in table if row["learner"] == "mecoin+" and row["session"] == 2]
    right = sum(row["count"] for row in last if row["truth"] == row["predicted"]) / sum(row["count"] for row in last)
    assert 100 * right == pytest.approx(lines[2]["accuracy"])
    done(*words)  # nothing is left to do
    assert len((out / "metrics.jsonl").read_text().splitlines()) == 6
    assert "one of mecoin+" in done("compare", "demo", "--learners", "magic", status=2)


def test_bench_measures_speed(done):
    rows = json.loads(done("bench", "--json"))["rows"]
    assert all(row["seconds"] > 0 for row in rows)
    assert [row["what"] for row in rows] == ["predict", "add two classes"]


def test_unknown_data_lists_what_there_is(done):
    assert "CS" in done("split", "nowhere", status=2)


@pytest.fixture
def bare(mine, tmp_path):
    """The same folder without features, which may be written to."""
    folder = tmp_path / "bare"
    folder.mkdir()
    for name in ("edges.csv", "labels.csv"):
        (folder / name).write_bytes((mine[0] / name).read_bytes())
    return folder


def test_model_opens_data_with_the_seed_it_was_fitted_with(done, bare, tmp_path):
    base = tmp_path / "base.safetensors"
    done("fit", bare, "--seed", 7, "-o", base)
    rows = json.loads(done("predict", base, bare, "--node", "n1", "--node", "n2", "--json"))["rows"]
    for seed, same in ((7, True), (0, False)):  # without features, a node's signature depends on the seed
        graph, places = read_edge_list(bare / "edges.csv", bare / "labels.csv", seed=seed)
        likely = Mecoin.load(base).predict_proba(graph, [places["n1"], places["n2"]]).max(axis=1)
        assert np.allclose(likely, [row["probability"] for row in rows], rtol=1e-4) == same


def test_split_of_files_that_have_changed_since_is_refused(done, bare, tmp_path):
    split, words = tmp_path / "split.json", ("--base", 2, "--way", 1, "--shot", 2)
    done("split", bare, *words, "-o", split)
    labels = bare / "labels.csv"
    labels.write_text("fresh,c1\n" + labels.read_text())
    told = done("fit", bare, "--split", split, "-o", tmp_path / "model", status=2)
    assert "split.json" in told
    assert "made of other data" in told


def test_comparison_looks_at_its_words_before_it_makes_a_folder(done, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for words, told in (
        (("demo", "--learners", "magic"), "one of mecoin+"),
        (("demo", "--learners", ","), "learner: got ''"),
        (("demo", "--base", 99), "base"),
        (("nowhere",), "nowhere"),
    ):
        assert told in done("compare", *words, "-o", "run", status=2)
        assert not (tmp_path / "run").exists()


def test_comparison_goes_on_with_the_same_data_alone(done, bare, tmp_path, monkeypatch):
    monkeypatch.setattr("mecoin.evaluation._compare.write_reports", lambda *_: None)  # pictures take their time
    words = ("compare", bare, "--base", 2, "--way", 1, "--shot", 2, "--learners", "SGC-NCM", "-o", tmp_path / "run")
    done(*words)
    edges = bare / "edges.csv"
    edges.write_text(edges.read_text() + "n0,n90\n")
    assert "data digest was" in done(*words, status=2)


def test_comparison_does_not_overwrite_another_split(tmp_path):
    compare(small.stream(0), ["SGC-NCM"], out=tmp_path / "run")
    split = tmp_path / "run" / "split.json"
    small.stream(1).save(split, force=True)
    before = split.read_bytes()
    with pytest.raises(ArtifactError, match=r"split\.json: has other sessions"):
        compare(small.stream(0), ["SGC-NCM"], out=tmp_path / "run")
    assert split.read_bytes() == before


def test_name_of_a_data_set_comes_before_a_folder(done, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "demo").mkdir()
    assert "visible nodes" in done("split", "demo")


def test_place_of_the_result_is_judged_before_the_work(done, bare, tmp_path, monkeypatch):
    monkeypatch.setattr("mecoin.sessions._given.open_data", lambda *_: 1 / 0)
    monkeypatch.setattr("mecoin.evaluation._answers.model_of", lambda *_: 1 / 0)
    there = tmp_path / "there"
    there.write_text("of value")
    for verb in (("split", bare), ("fit", bare), ("add", "model", bare), ("predict", "model", bare)):
        assert "exists already" in done(*verb, "-o", there, status=2)
    assert "--out" in done("fit", bare, status=2)


def test_a_small_class_keeps_its_labels_for_training(done, bare, tmp_path):
    lines = (bare / "labels.csv").read_text().splitlines()
    many = [line for one in ("c0", "c1") for line in [line for line in lines if line.endswith(one)][:29]]
    rare = [line.replace("c2", "rare") for line in lines if line.endswith("c2")][:2]
    (bare / "labels.csv").write_text("\n".join(many + rare) + "\n")
    made = json.loads(done("fit", bare, "-o", tmp_path / "base", "--json"))
    assert (made["classes"], made["labelled nodes"]) == (3, 24 + 24 + 2)


def test_labels_to_add_are_the_known_ones_where_they_read_like_them(tmp_path):
    path, graph = tmp_path / "new.csv", Graph.of(np.eye(4), [])
    graph = replace(graph, titles={one: f"n{one}" for one in range(4)})
    path.write_text("# five a week\n n1 , 7 \n\nn2,new\nn3,7\n")
    assert read_support(path, graph, [7, "old"]) == {7: [1, 3], "new": [2]}
    path.write_text("n1,x\nn2,\n")
    with pytest.raises(InputError, match=r"new\.csv, line 2: got no label"):
        read_support(path, graph, [])


def test_session_that_the_split_has_not_is_refused(done, bare, tmp_path, monkeypatch):
    split = tmp_path / "split.json"
    done("split", bare, "--base", 2, "--way", 1, "--shot", 2, "-o", split)
    monkeypatch.setattr("mecoin.evaluation._answers.model_of", lambda *_: SimpleNamespace(settings={"seed": 0}))
    words = (bare, "--split", split, "--session", 2)
    assert "--session: got 2, expected 0 to 1" in done("predict", "model", *words, status=2)
    assert "--session: got 2, expected 0 to 1" in done("add", "model", *words, "-o", tmp_path / "new", status=2)


def test_device_that_would_not_be_used_is_refused(done):
    for verb in (
        ("split", "demo"),
        ("fit", "demo", "-o", "model"),
        ("add", "model", "demo", "-o", "new"),
        ("predict", "model", "demo"),
        ("inspect", "model"),
        ("compare", "demo"),
    ):
        assert "No such option: --device" in done(*verb, "--device", "meta", status=2)


def test_words_that_would_be_dropped_are_refused(done, tmp_path):
    split = tmp_path / "split.json"
    small.stream().save(split)
    told = done("predict", "model", "demo", "--split", split, "-o", tmp_path / "answers", status=2)
    assert "--node or --out as well" in told
    assert "--node" in done("predict", "model", "demo", "--split", split, "--node", "1", status=2)
    assert "--learner: got no --data" in done("inspect", split, "--learner", "mecoin+", status=2)
    assert "expected a split.json" in done("inspect", "model", "--data", "demo", status=2)


def test_a_folder_without_its_files_says_which_are_missing(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["mecoin", "fit", str(tmp_path), "-o", str(tmp_path / "m")])
    for file, line in (("edges.csv", "node,node"), ("labels.csv", "node,class")):
        with pytest.raises(SystemExit, match="2"):
            main()
        assert f"{tmp_path}: got no {file}, expected one with lines {line}, no header" in capsys.readouterr().err
        (tmp_path / file).write_text("a,b\n")
    monkeypatch.setattr(sys, "argv", ["mecoin", "fit", str(tmp_path / "none"), "-o", str(tmp_path / "m")])
    with pytest.raises(SystemExit, match="2"):
        main()
    assert "expected a folder that is there, or one of demo, simulated" in capsys.readouterr().err
