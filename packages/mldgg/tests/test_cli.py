"""Verbs beyond what the contract asks, in this process: each process of its own would load torch anew."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from mldgg import MLDGG
from mldgg.datasets import inject_edges
from ninefold_testing import run_here

from .small import SMALLER, TINY, write_folder


def done(*words, status=0):
    """What the command prints, or with another status than 0 what it complains of."""
    result = run_here("mldgg.cli", *map(str, words))
    assert result.returncode == status, result.stderr
    return result.stderr if status else result.stdout


@pytest.fixture(autouse=True, scope="module")
def few_steps():
    """These tests ask what a verb takes and writes, and not how good a gate is."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("mldgg.structure._gate.STEPS", 30)
        yield


@pytest.fixture(scope="module")
def mine(tmp_path_factory):
    """Three own graphs as CSV files; the third shows four labels a class."""
    folder = tmp_path_factory.mktemp("own") / "mine"
    return folder, write_folder(folder, hidden="south")


@pytest.fixture(scope="module")
def model(mine, tmp_path_factory):
    out = tmp_path_factory.mktemp("run") / "run"
    done("fit", mine[0], "--leave-out", "south", "-o", out)
    return out


def test_own_graphs_from_files_to_predictions(mine, model, tmp_path):
    folder, truth = mine
    adapted, out = tmp_path / "south.safetensors", tmp_path / "answers.parquet"
    told = json.loads(done("adapt", model, folder, "--graph", "south", "-o", adapted, "--json"))
    assert told["labels used"] == 12
    assert len(told["expected accuracy"]) == 3  # JSON has numbers, the terminal has words
    words = done("adapt", model, folder, "--graph", "south", "-o", adapted, "--force")
    assert re.search(r"expected accuracy, % +\d+\.\d \(\d+\.\d to \d+\.\d\)\n", words)
    assert "rehearsals switched off" in words
    assert "sources believed" not in words
    assert not re.search(r"[\[{]", words)
    done("predict", adapted, folder, "--graph", "south", "-o", out)
    rows = pq.read_table(out).to_pylist()
    assert [row["node"] for row in rows] == [f"n{i}" for i in range(150)]
    right = np.mean([row["class"] == f"topic{label}" for row, label in zip(rows, truth["south"], strict=True)])
    assert right > 0.45
    assert sum(row[f"probability of topic{k}"] for k in range(3) for row in rows[:1]) == pytest.approx(1, abs=1e-4)
    csv = tmp_path / "answers.csv"
    done("predict", adapted, folder, "--graph", "south", "-o", csv)
    assert csv.read_text().count("\n") == 151
    assert "ends in .parquet or .csv" in done(
        "predict", adapted, folder, "--graph", "south", "-o", tmp_path / "x", status=2
    )


def test_support_file_replaces_the_labels(mine, model, tmp_path):
    support = tmp_path / "support.csv"
    support.write_text("n0,topic0\nn5,topic1\n")
    words = ("adapt", model, mine[0], "--graph", "south", "--support", support, "-o", tmp_path / "a.safetensors")
    assert json.loads(done(*words, "--json"))["labels used"] == 2
    support.write_text("n0,topic0\nn5,nothing\n")
    told = done(*words[:-1], tmp_path / "b.safetensors", status=2)
    assert "support.csv, line 2: got class 'nothing'" in told
    assert "one of the two" in done(*words[:-1], tmp_path / "c.safetensors", "--shots", 1, status=2)


def test_inspect_shows_model_adapted_file_weights_and_pictures(mine, model, tmp_path):
    shown = json.loads(done("inspect", model, "--json"))
    assert shown["sources"] == "east, north"
    adapted, out = tmp_path / "south.safetensors", tmp_path / "pictures"
    words = ("inspect", adapted, "--data", mine[0], "--graph", "south", "-o", out)
    fitted = MLDGG.load(model / "model.safetensors")
    for power in (0.0, 2.0):
        fitted.solver = replace(fitted.fitted, power=power)
        fitted.save(tmp_path / "model.safetensors", force=True)
        done("adapt", tmp_path / "model.safetensors", mine[0], "--graph", "south", "-o", adapted, "--force")
        assert json.loads(done("inspect", adapted, "--json"))["adapted to"] == "south"
        assert ("off: power 0" in done(*words)) == (power == 0)
    assert {path.name for path in out.iterdir()} == {"edge-weights.npz", "edge-weights.png"}
    held = np.load(out / "edge-weights.npz")
    assert held["edge_index"].shape[1] == held["weight"].size
    assert "adapt -o" in done("inspect", model, "--data", mine[0], status=2)


def test_run_is_not_gone_on_with_other_data(mine, model, tmp_path):
    told = done("fit", mine[0], "--leave-out", "east", "-o", model, status=2)
    assert "digest was" in told
    before = (model / "model.safetensors").read_bytes()
    done("fit", mine[0], "--leave-out", "south", "-o", model)
    assert (model / "model.safetensors").read_bytes() == before


def test_data_check_lists_sizes_and_findings(mine, tmp_path):
    sizes, found = json.loads(done("data-check", mine[0], "--json"))
    assert [row["graph"] for row in sizes["rows"]] == ["east", "north", "south"]
    assert found["rows"] == []
    assert "directed" not in done("data-check", "simulated")


def test_compare_prints_rule_and_space(mine, tmp_path):
    words = ("compare", mine[0], "--methods", "centred-ridge,target-only", "--shots", "0,2", "--seeds", 1)
    assert "no labelled" not in done(*words, "-o", tmp_path / "run")
    lines = (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()
    assert len(lines) == 3 * 2 * 2
    assert json.loads(lines[0])["selection"] == "leave-one-domain-out"
    for wrong, message in (
        (("--methods", "magic"), "one of mldgg"),
        (("--methods", "erm,erm"), "different names"),
        (("--shots", "one"), "whole numbers"),
        (("--selection", "best"), "source-val"),
    ):
        assert message in done(*words[:2], *wrong, status=2)


def test_mistakes_of_a_new_user_are_one_line(mine, model, tmp_path):
    out = tmp_path / "a.safetensors"
    assert "one of east, north, south" in done("adapt", model, mine[0], "-o", out, status=2)
    assert "one of east, north, south" in done("adapt", model, mine[0], "--graph", "x", "-o", out, status=2)
    assert "citation" in done("fit", "nowhere", "-o", tmp_path / "run", status=2)
    assert "is not there" in done("adapt", tmp_path / "none", mine[0], "--graph", "east", "-o", out, status=2)
    assert "one of east, north, south" in done("fit", mine[0], "--leave-out", "x", "-o", tmp_path / "run", status=2)
    assert not (tmp_path / "run").exists()


def test_fit_says_in_words_how_well_the_model_does_on_each_source(mine, model):
    words = done("fit", mine[0], "--leave-out", "south", "-o", model)
    assert re.search(r"accuracy \d+\.\d %, each source in turn as the new graph", words)
    assert re.search(r"(?s)`mldgg inspect\s.+?`\s+lists", words)
    for riddle in ("power", "centred", "words of", "second fit", "strength of a change"):
        assert riddle not in words
    assert "edge gate" in done("inspect", model)


def test_folder_and_checkpoint_where_a_file_of_ours_is_expected_name_the_remedy(mine, model, tmp_path):
    assert "the folder that `mldgg fit -o` wrote" in done("inspect", tmp_path, status=2)
    told = done("predict", model, mine[0], "--graph", "south", status=2)
    assert "got the folder" in told
    assert "the file that `mldgg adapt -o` wrote" in told
    for name, new_format in (("gcn.pt", True), ("old.pth", False)):
        checkpoint = tmp_path / name
        torch.save({"weight": torch.ones(2)}, checkpoint, _use_new_zipfile_serialization=new_format)
        for words in (
            ("adapt", checkpoint, mine[0], "--graph", "south", "-o", tmp_path / "a.safetensors"),
            ("inspect", checkpoint), ("predict", checkpoint, mine[0], "--graph", "south"),
        ):  # fmt: skip
            told = done(*words, status=2)
            assert f"got {name}, a PyTorch checkpoint" in told
            assert "mldgg" in told.split("expected")[1]


def test_data_check_names_the_graph_whose_columns_differ(tmp_path):
    write_folder(tmp_path / "mine")
    features = tmp_path / "mine" / "south" / "features.csv"
    features.write_text("".join(f"{line},1\n" for line in features.read_text().splitlines()))
    words = " ".join(done("data-check", tmp_path / "mine").split())
    assert "south has 121 features and 3 classes; east and north have 120 features and 3 classes" in words
    assert "nothing found" not in words


def test_bench_times_an_adaptation():
    (row,) = json.loads(done("bench", "--nodes", 100, "--json"))["rows"]
    assert row["what"] == "adapt and predict"
    assert row["seconds"] > 0


@pytest.mark.filterwarnings("ignore::mldgg.meta.ReadingWarning")
def test_demo_shows_gain_table_and_pictures(monkeypatch):
    from mldgg import demo
    from mldgg.baselines import Erm

    monkeypatch.setattr(demo, "SIMULATED", SMALLER)
    monkeypatch.setattr(Erm, "steps", 10)
    result = demo.demo(0)
    assert "simulated" in result.data
    assert all(result.arms.text(name) in result.arms.headline() for name in ("mldgg", result.arms.rival))
    assert [row[0] for row in result.table.rows] == list(demo.ARMS)
    assert len(result.figures) == 3
    assert (
        result.headline.startswith("Without a single label of the new graph")
        or "without a single label" in result.headline
    )
    assert result.figures[0][1].get_size_inches()[0] <= 5
    assert inject_edges(TINY.draw(0)["north"], demo.NOISE, seed=0)[1].any()
