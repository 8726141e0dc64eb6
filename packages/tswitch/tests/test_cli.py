"""Every verb on a tiny encoder, as the console script runs it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from ninefold.errors import DownloadError
from ninefold.measure import compare
from safetensors.torch import load_file
from tswitch import QuerySet, Switch, TextBank, datasets
from tswitch.datasets._given import rows_of
from tswitch.evaluation import _timing
from tswitch.models._models import TextClassifier, predict
from tswitch.routing._query_set import FILE

from . import tiny
from .checkpoints import contents
from .test_compress import adapter
from .verbs import STEPS, run

BIAS = "layers.0.out.bias"


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
    told = tswitch(*words)
    held = QuerySet.load(switch)
    assert told == {"file": str(switch / FILE), "texts": 7, "features": 16, "bytes": held.nbytes}
    assert held.words is not None
    assert held.nbytes == 7 * 16 * 2 * (1 + len(held.layers)) + held.words.nbytes
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
    told = tswitch("predict", world / "base", *switches, *words, "--method", "closed form")
    assert [row["task"] for row in told["rows"]] == ["things", "places"]
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


def test_bench_times_both_ways(world, tswitch, monkeypatch):
    monkeypatch.setattr(_timing, "compare", lambda arms, repeats: compare(arms, repeats=3))  # a round takes a second
    rows = tswitch("bench", world / "base", world / "switches" / "things")["rows"]
    assert len(rows) == 2
    assert all(row["milliseconds"] > 0 for row in rows)
    assert rows[0]["times as fast"] == 1


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"], ids=["plain", "with byte order mark"])
def test_csv_files_are_read_as_people_have_them(tmp_path, mark):
    given = tiny.csv(tmp_path / "things.csv", ("fruit", "tool"), rows=120)
    given.write_bytes(mark + given.read_bytes())
    task = rows_of(None, given)
    assert (task.name, task.classes) == ("things", ("fruit", "tool"))
    assert task.train.texts == tiny.task().train.texts


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("split", ["test", "", None], ids=["test", "all three", "no column"])
def test_eval_scores_the_rows_that_people_have(world, tswitch, tmp_path, separator, split):
    rows = [line.split(",") for line in (world / "things.csv").read_text().splitlines()]
    if split is None:
        rows = [row[1:] for row in rows if row[0] in ("split", "test")]
    elif split:
        rows = [row for row in rows if row[0] in ("split", split)]
    file = tmp_path / "mine.csv"
    file.write_text("\ufeff" + "".join(separator.join(row) + "\n" for row in rows), encoding="utf-8")
    words = ["eval", world / "base", world / "switches" / "things", "--csv"]
    given, mine = tswitch(*words, world / "things.csv"), tswitch(*words, file)
    assert {**given, "task": "mine"} == mine


def test_eval_scores_rows_of_one_class_by_the_heads_classes(world, tswitch, tmp_path):
    task = tiny.task()
    second = task.classes[1]
    texts = [text for text, label in zip(task.test.texts, task.test.labels, strict=True) if label == 1]
    file = tmp_path / "one.csv"
    file.write_text("label,text\n" + "".join(f"{second},{text}\n" for text in texts))
    told = tswitch("eval", world / "base", world / "switches" / "things", "--csv", file)
    bank = TextBank(str(world / "base"), {"one": Switch.from_pretrained(world / "switches" / "things")})
    assert told["test rows"] == len(texts) > 0
    assert told["accuracy switched"] == pytest.approx((bank.classify("one", texts) == 1).mean())


def test_predict_with_one_switch_needs_no_query_set(world, tswitch, refused, tmp_path):
    for name in ("things", "places"):
        shutil.copytree(world / "switches" / name, tmp_path / name, ignore=shutil.ignore_patterns(FILE))
    words = ["predict", world / "base", tmp_path / "things", "-t", "hammer"]
    assert [row["task"] for row in tswitch(*words)["rows"]] == ["things"]
    said = refused(*words[:3], tmp_path / "places", *words[3:])
    assert "no query set of things, places" in said
    assert "--task" in said


def test_empty_switch_is_written_with_a_warning(world, tmp_path, monkeypatch, capsys):
    words = ["compress", world / "base", world / "base", "-o", tmp_path / "out", "--json"]
    status, output, errors = run(words, monkeypatch, capsys)
    assert (status, json.loads(output)["density"]) == (0, 0)
    assert len(errors.splitlines()) == 1
    assert errors.startswith("warning: ")
    assert "the switch is empty" in errors


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


@pytest.mark.parametrize("name", ["val", "valid", "dev", "Validation"])
def test_validation_rows_of_a_csv_may_go_by_their_other_names(tmp_path, name):
    given = tiny.csv(tmp_path / "things.csv", ("fruit", "tool"), rows=120)
    given.write_text(given.read_text().replace("\nvalidation,", f"\n{name},"))
    assert rows_of(None, given).validation.texts == tiny.task().validation.texts


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
    assert len(rows_of("snips", None).train) == whole
    with pytest.raises(DownloadError):
        rows_of("sst2", None)
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


def test_a_switch_that_is_nowhere_says_where_it_was_looked_for(refused, monkeypatch):
    def offline(*_, **__):
        raise OSError("no route to the hub")

    monkeypatch.setattr("huggingface_hub.snapshot_download", offline)
    told = refused("inspect", "owner/things")
    assert f"owner/things: there is no folder {Path('owner/things').resolve()}, and no switch of this name" in told
    assert "hub (no route to the hub); check the spelling, or give the path of a folder that `tswitch compress`" in told


def test_a_merge_leaves_out_what_it_is_told_to(world, tswitch, tmp_path):
    lines = f"merge_method: averaging\nbase_model: {world / 'base'}\nmodels: [{{model: {world / 'things'}}}]\n"
    (tmp_path / "merge.yml").write_text(lines)
    tswitch("merge", tmp_path / "merge.yml", "--exclude", "classifier*", "-o", tmp_path / "out")
    assert set(load_file(tmp_path / "out" / "model.safetensors")) == set(
        load_file(world / "base" / "model.safetensors")
    )
