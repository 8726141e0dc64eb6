"""Every verb on a tiny encoder, and what the command line says to bad input: one line, status 2."""

from __future__ import annotations

import json
import re
import sys

import pytest
import torch
from safetensors.torch import load_file, save_file
from tswitch.cli import main

from . import tiny


@pytest.fixture
def call(monkeypatch, capsys):
    """Run `tswitch WORDS`; (status, standard output, error lines)."""

    def run(*words):
        monkeypatch.setattr(sys, "argv", ["tswitch", *map(str, words)])
        with pytest.raises(SystemExit) as stopped:
            main()
        out, err = capsys.readouterr()
        return stopped.value.code, out, err.strip().splitlines()

    return run


@pytest.fixture
def good(call):
    """Run a verb that must succeed; its JSON."""

    def run(*words):
        status, out, errors = call(*words, "--json", "--quiet")
        assert status == 0, errors
        return json.loads(out)

    return run


@pytest.fixture
def place(tmp_path, good):
    """A folder with base, rows, a fine-tuned model and its switch."""
    tiny.base(tmp_path / "base")
    tiny.csv(tmp_path / "things.csv")
    good("finetune", tmp_path / "base", "--csv", tmp_path / "things.csv", "--steps", 60, "-o", tmp_path / "tuned")
    good("compress", tmp_path / "base", tmp_path / "tuned", "-o", tmp_path / "things")
    return tmp_path


def test_compress_inspect_and_verify_agree(place, good):
    facts = good("inspect", place / "things")
    assert facts["parameters"] == sum(v.numel() for v in load_file(place / "base" / "model.safetensors").values())
    assert facts["bytes on disk"] == sum(file.stat().st_size for file in (place / "things").iterdir())
    _, table = good("inspect", place / "things", "--tensors")
    active = sum(row["active"] for row in table["rows"] if row["active"] is not None)
    assert active == pytest.approx(facts["density"] * facts["parameters"], abs=0.5)
    assert good("verify", place / "things", "--base", place / "base")["verdict"] == "whole"


def test_export_is_base_plus_switch(place, good):
    from tswitch import Switch

    good("export", place / "base", place / "things", "-o", place / "exported")
    switch, base = Switch.from_pretrained(place / "things"), load_file(place / "base" / "model.safetensors")
    exported = load_file(place / "exported" / "model.safetensors")
    for name in switch.names:
        assert torch.equal(exported[name], base[name] + switch.dequantise(name))
    assert torch.equal(exported["classifier.weight"], switch.head["classifier.weight"])


def test_eval_scores_the_switched_model(place, good):
    from tswitch import TextBank

    scores = good("eval", place / "base", place / "things", "--csv", place / "things.csv")
    task = tiny.task(classes=("fruit", "tool", "sea"), rows=240)
    live = TextBank(place / "base", {"things": place / "things"})
    classes = [live.labels["things"].index(name) for name in task.classes]
    right = [
        classes[label] == found
        for label, found in zip(task.test.labels, live.classify("things", task.test.texts), strict=True)
    ]
    assert scores["accuracy switched"] == pytest.approx(sum(right) / len(right))
    assert scores["test rows"] == len(right)


def test_predict_answers_with_the_task_asked_for(place, good):
    rows = good("predict", place / "base", place / "things", "--task", "things", "-t", "see apple no 1")["rows"]
    assert [row["task"] for row in rows] == ["things"]
    assert rows[0]["label"] in ("fruit", "tool", "sea")


def test_sweep_writes_table_and_picture(place, good):
    words = ["sweep", place / "base", place / "tuned", "--csv", place / "things.csv", "--alpha", "0,0.5"]
    rows = good(*words, "-o", place / "sweep")["rows"]
    assert [row["alpha"] for row in rows] == [0.0, 0.5]
    assert rows[0]["discard low"] == rows[0]["discard high"] == rows[0]["discard random"]
    assert rows[1]["bytes"] < rows[0]["bytes"]
    assert (place / "sweep" / "sweep.png").read_bytes().startswith(b"\x89PNG")
    assert (place / "sweep" / "sweep.csv").read_text().count("\n") == 3


def test_merge_follows_a_recipe(place, good):
    (place / "merge.yml").write_text(
        f"merge_method: task_arithmetic\nbase_model: {place / 'base'}\nmodels:\n  - model: {place / 'tuned'}\n"
        "parameters: {weight: 1.0}\n"
    )
    good("merge", place / "merge.yml", "--on-mismatch", "skip", "-o", place / "merged")
    merged, tuned = (load_file(place / name / "model.safetensors") for name in ("merged", "tuned"))
    assert all(torch.allclose(merged[name], tuned[name], atol=1e-6) for name in merged)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["compress", "base", "tuned", "-o", "x", "--alpha", "60"], "alpha.*share"),
        (["compress", "base", "./nosuch", "-o", "x"], "nosuch: is not there"),
        (["compress", "base", "tuned", "-o", "x", "--scale", "huge"], "scale.*'l2' or 'mean'"),
        (["compress", "base", "tuned", "-o", "x", "--on-mismatch", "ignore"], "on_mismatch"),
        (["compress", "base", "tuned"], "--out"),
        (["compress", "base", "tuned", "-o", "things"], "things: exists already.*--force"),
        (["compress", "base", "tuned", "-o", "x", "--exclude", "none"], "not in the base: classifier"),
        (["inspect", "base"], "switch_config.json: is not there"),
        (["export", "other", "things", "-o", "x"], "base model in .*other values"),
        (["export", "base", "things", "things", "--weight", "1", "-o", "x"], "weights"),
        (["export", "base", "things", "-o", "x", "--dtype", "int4"], "dtype"),
        (["merge", "bad.yml", "-o", "x"], "bad.yml.*nosuch"),
        (["finetune", "base", "-o", "x"], "one of --task NAME and --csv FILE"),
        (["finetune", "base", "--task", "nosuch", "-o", "x"], "task.*'nosuch'"),
        (["finetune", "base", "--csv", "columns.csv", "-o", "x"], "columns.csv: lacks the column"),
        (["finetune", "base", "--csv", "things.csv", "--steps", "0", "-o", "x"], "steps"),
        (["predict", "base", "things", "-t", "see apple"], "query_set.safetensors"),
        (["predict", "base", "things", "--task", "nosuch", "-t", "see apple"], "nosuch"),
        (["predict", "base", "things", "--task", "things", "-t", " "], "--text: got an empty one"),
        (["predict", "base", "things", "things", "-t", "see apple"], "folders of different names"),
        (["finetune", "base", "--csv", "nosuch.csv", "-o", "x"], "nosuch.csv: cannot be read"),
        (["sweep", "base", "tuned", "--csv", "things.csv", "--alpha", "0:2:0.5", "-o", "x"], "alpha.*shares"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_bad_input_is_one_line_and_status_2(place, call, monkeypatch, words, message):
    monkeypatch.chdir(place)
    other = {name: value + 1 for name, value in load_file("base/model.safetensors").items()}
    (place / "other").mkdir()
    save_file(other, place / "other" / "model.safetensors")
    (place / "columns.csv").write_text("label,text\na,b\n")
    (place / "bad.yml").write_text("merge_method: nosuch\nbase_model: base\nmodels: [{model: tuned}]\n")
    status, out, errors = call(*words)
    assert (status, out) == (2, "")
    assert len(errors) == 1

    assert re.search(message, errors[0]), errors[0]
    assert not (place / "x").exists()


def test_not_finite_difference_is_named_with_its_count(place, call):
    tensors = load_file(place / "tuned" / "model.safetensors")
    name = next(key for key in tensors if "classifier" not in key)
    tensors[name].view(-1)[:2] = float("nan")
    save_file(tensors, place / "tuned" / "model.safetensors")
    status, _, errors = call("compress", place / "base", place / "tuned", "-o", place / "x")
    assert status == 2
    assert name in errors[0]
    assert "2 NaN or infinite" in errors[0]
    assert "tuned" in errors[0]


def test_truncated_switch_is_refused_by_name(place, call):
    file = place / "things" / "switch.safetensors"
    file.write_bytes(file.read_bytes()[:-3])
    status, _, errors = call("verify", place / "things")
    assert status == 2
    assert "switch.safetensors" in errors[0]


def test_quantised_base_is_refused(place, call):
    config = json.loads((place / "base" / "config.json").read_text())
    config["quantization_config"] = {"quant_method": "gptq"}
    (place / "base" / "config.json").write_text(json.dumps(config))
    status, _, errors = call("compress", place / "base", place / "tuned", "-o", place / "x")
    assert status == 2
    assert "quantised (gptq" in errors[0]


def test_model_equal_to_its_base_gives_an_empty_switch_and_a_warning(place, call):
    status, out, errors = call("compress", place / "base", place / "base", "-o", place / "empty", "--json", "-q")
    assert (status, json.loads(out)["density"]) == (0, 0.0)
    assert len(errors) == 1
    assert "the switch is empty" in errors[0]
