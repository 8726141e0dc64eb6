"""Files that version 0.1.0 wrote: each format stays readable. `write` made them; a new format is sampled likewise."""

import contextlib
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from tswitch import (
    Checkpoint,
    CheckpointWriter,
    FinetuneConfig,
    QuerySet,
    Switch,
    TextBank,
    finetune,
    merge_recipe,
    ternarise,
)
from tswitch.checkpoints._checkpoint import TensorInfo
from tswitch.models._models import TextClassifier, predict
from tswitch.models._tiny_text import TinyConfig, TinyTextNet

from .test_compress import adapter
from .tiny import task

SAMPLES = Path(__file__).parent / "samples"
CONFIG = FinetuneConfig(steps=40, lr=1e-2, head_lr=5e-2, batch=16)
PROBABILITIES, HEAD_SUM = [0.7798, 0.6088, 0.9794], -0.06283
TEXTS = ("see my plum", "this drill no 7", "see the file")
LAYOUT = {name: TensorInfo(torch.bfloat16, (6,)) for name in "abcd"}
LAYOUT["b"] = TensorInfo(torch.float32, (6,))


class StoppedError(Exception):
    """Ends a run in the middle, as a kill would."""


def stop_after(count):
    """A progress callback that ends the run at its `count`-th call."""
    calls = []

    def advance(_):
        calls.append(_)
        if len(calls) == count:
            raise StoppedError

    return advance


def write(folder=SAMPLES):
    """Make the samples, but for `switch-v1` (see test_format.py), with whatever this version writes."""
    torch.manual_seed(0)
    text = folder / "text"
    TinyTextNet(TinyConfig(vocab_size=64, hidden_size=6, num_hidden_layers=1)).save_pretrained(text / "base")
    finetune(text / "base", task(), text / "tuned", CONFIG)
    Switch.from_checkpoints(text / "base", text / "tuned", alpha=0.5, scale="l2").save_pretrained(text / "switch")
    bank = TextBank(text / "base", {"things": text / "switch"})
    router = bank.router(n_queries=8, n_neighbors=2, seed=0).fit({"things": task().train.texts})
    router.query_sets["things"].save(text / "switch" / "query_set.safetensors")
    with pytest.raises(StoppedError):
        finetune(text / "base", task(), text / "half", CONFIG, checkpoint_every=10, on_step=stop_after(25))
    made = folder / "adapter"
    adapter(made / "in")
    Switch.from_adapter(made / "in").save_pretrained(made / "switch")
    shutil.rmtree(made / "in")
    with contextlib.chdir(folder):  # where the recipe's paths hold
        merge_recipe("recipe.yml", out="merged", on_mismatch="skip")
    stopped_writer(folder / "sharded")


def stopped_writer(out):
    """A checkpoint of three shards, of which a run writes one and is stopped."""
    writer = CheckpointWriter(out, LAYOUT, max_shard_size="40B", job={"sample": 1})
    with pytest.raises(StoppedError), writer:
        for name in writer.pending():
            if name == "c":
                raise StoppedError
            writer.add(torch.arange(6.0), torch.full((6,), 0.001))


def test_a_switch_of_an_adapter_goes_back_into_an_adapter(tmp_path):
    switch = Switch.from_pretrained(SAMPLES / "adapter" / "switch")
    switch.verify()
    state, config = adapter(tmp_path / "given")
    switch.save_adapter(tmp_path / "out")
    back = Checkpoint.open(tmp_path / "out")
    assert back.config == config
    for name, value in state.items():
        want = ternarise(value, 0.4, "l2").dequantise() if "lora" in name else value
        torch.testing.assert_close(back.read(name), want)


def test_text_switch_head_and_query_set_answer_as_they_did():
    folder = SAMPLES / "text"
    bank = TextBank(folder / "base", {"things": folder / "switch"})
    held = QuerySet.load(folder / "switch")
    assert held.features.shape == (8, 6)
    assert (held.settings.layer, held.settings.pooling, held.settings.model) == (-2, "mean", "base")
    router = bank.router(n_neighbors=2).use_query_sets({"things": folder / "switch"})
    answers = bank.answer(router, TEXTS)
    assert [row["label"] for row in answers] == ["fruit", "tool", "tool"]
    np.testing.assert_allclose([row["probability"] for row in answers], PROBABILITIES, atol=1e-3)


def test_finetuned_folder_keeps_classes_and_answers():
    model = TextClassifier.from_pretrained(SAMPLES / "text" / "tuned")
    assert predict(model, TEXTS).tolist() == [0, 1, 1]
    assert float(model.classifier.weight.detach().sum()) == pytest.approx(HEAD_SUM, abs=1e-4)


def test_a_run_that_was_stopped_goes_on_from_its_state(tmp_path):
    shutil.copytree(SAMPLES / "text" / "half.training", tmp_path / "half.training")
    steps = []
    out = finetune(SAMPLES / "text" / "base", task(), tmp_path / "half", CONFIG, on_step=steps.append)
    assert steps == [20] + 20 * [1]
    whole = load_file(SAMPLES / "text" / "tuned" / "model.safetensors")
    for name, value in load_file(out / "model.safetensors").items():
        torch.testing.assert_close(value, whole[name], atol=0.02, rtol=0.05)


def test_a_recipe_gives_the_folder_that_it_gave(tmp_path, monkeypatch):
    shutil.copytree(SAMPLES / "text", tmp_path / "text")
    shutil.copy(SAMPLES / "recipe.yml", tmp_path)
    monkeypatch.chdir(tmp_path)
    merge_recipe("recipe.yml", out="merged", on_mismatch="skip")
    ours, theirs = Checkpoint.open(tmp_path / "merged"), Checkpoint.open(SAMPLES / "merged")
    assert sorted(ours.names) == sorted(theirs.names)
    for name in theirs.names:
        torch.testing.assert_close(ours.read(name), theirs.read(name))


def test_a_stopped_checkpoint_goes_on_after_its_finished_shard(tmp_path):
    shutil.copytree(SAMPLES / ".sharded.partial", tmp_path / ".sharded.partial")
    with CheckpointWriter(tmp_path / "sharded", LAYOUT, max_shard_size="40B", job={"sample": 1}) as writer:
        done = []
        for name in writer.pending():
            done.append(name)
            writer.add(torch.arange(6.0), torch.full((6,), 0.001))
    assert done == ["c", "d"]
    assert (writer.written.shards, writer.written.additions) == (2, 18)
    held = Checkpoint.open(tmp_path / "sharded").read("a")
    assert torch.equal(held, (torch.arange(6.0) + 0.001).bfloat16())


def test_switch_of_format_2_with_rows_of_its_own():
    switch = Switch.from_pretrained(SAMPLES / "switch-v2")
    switch.verify()
    assert switch.rows["embed.weight"].tolist() == [[0, 1, 2, 3], [4, 5, 6, 7]]
    scale = 0.18658916652202606
    want = [[0, 0, scale, scale], [-scale, 0, -scale, 0], [scale, 0, 0, -scale]]
    np.testing.assert_allclose(switch.dequantise("out.weight"), want)
    assert switch.tensors["embed.weight"].shape == (12, 4)
