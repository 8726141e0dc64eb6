"""The loop: same losses after a kill or in two processes, and what it refuses."""

from __future__ import annotations

import errno
import os
import signal
import socket
import textwrap
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from bnn_fsg.baselines import GRADIENTS
from bnn_fsg.datasets import Images, digits
from bnn_fsg.estimators._gradient import DivergedError
from bnn_fsg.evaluation._runs import Arm, train_arm
from bnn_fsg.layers._nets import Recipe, build, load_model, save_model
from bnn_fsg.training._scores import accuracy, predict
from bnn_fsg.training._sources import batches, crop_and_flip
from bnn_fsg.training._start import trained_start
from bnn_fsg.training._trainer import CHECKPOINT, BinaryTrainer, Schedule
from ninefold.artifacts import load_state, save_state
from ninefold.errors import ArtifactError, InputError
from ninefold_testing import warm
from torch import nn

from .train_helpers import KINDS, RECIPE, train_alike, trainer


@pytest.mark.parametrize("kind", ["ste", "fsg"])
def test_digits_are_learned_and_shuffled_labels_are_not(kind):
    one = trainer(kind, epochs=4)
    history = one.fit(digits("train"), digits("validation"))
    assert history.epochs[-1]["accuracy"] > 0.8
    assert history.epochs[-1]["loss"] < history.epochs[0]["loss"]
    assert all(0 < entry["flips"] < 0.5 for entry in history.epochs)
    whole = digits("train")
    mixed = np.random.default_rng(0).permutation(whole.labels)
    other = trainer(kind, epochs=4)
    other.fit(Images("mixed", whole.pixels, mixed, 10, 16))
    assert accuracy(other.model, digits("test")) < 0.3


def test_killed_run_goes_on_with_the_same_losses(tmp_path):
    images = digits("train").first(320)
    code = f"""
    import os, signal, sys; sys.path.insert(0, {str(Path(__file__).parent)!r})
    from pathlib import Path
    from train_helpers import trainer
    from bnn_fsg.datasets import digits
    steps = [0]
    def on_step():
        steps[0] += 1
        if steps[0] == 8:
            os.kill(os.getpid(), signal.SIGKILL)
    trainer(out=Path(sys.argv[1])).fit(digits("train").first(320), on_step=on_step)
    """
    ended = warm().run(["-c", textwrap.dedent(code), str(tmp_path / "killed")])
    assert ended.returncode == -signal.SIGKILL, ended.stderr
    whole = trainer(out=tmp_path / "whole").fit(images).losses
    assert trainer(out=tmp_path / "killed").fit(images).losses == whole
    assert (tmp_path / "killed/metrics.jsonl").read_text() == (tmp_path / "whole/metrics.jsonl").read_text()


def test_two_processes_equal_one_on_the_joined_batch(tmp_path):
    one, two = tmp_path / "one", tmp_path / "two"
    one.mkdir()
    two.mkdir()
    train_alike(one)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    alike = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "OMP_NUM_THREADS": "1"}
    words = [str(Path(__file__).with_name("train_helpers.py")), str(two)]
    with (tmp_path / "said").open("w+") as said:
        ranks = [warm().start(words, said.fileno(), said.fileno(), RANK=rank, **alike) for rank in ("0", "1")]
        assert [rank.wait(60) for rank in ranks] == [0, 0], (tmp_path / "said").read_text()
    for kind in KINDS:
        compare(load_state(one / kind, **CHECKPOINT), load_state(two / kind, **CHECKPOINT))


@pytest.mark.parametrize(("count", "processes", "sizes"), [(11, 1, [4, 4, 3]), (9, 1, [4, 4]), (11, 2, [4, 4]),
                                                          (8, 2, [4, 4]), (8, 3, [])])  # fmt: skip
def test_a_batch_has_two_images_for_each_process(count, processes, sizes):
    """One for BatchNorm to have no variance of would be an error, none a loss that is NaN."""
    assert [len(one) for one in batches(np.arange(count), 4, processes)] == sizes


def test_a_batch_too_small_for_any_step_is_refused():
    one = trainer("ste")
    one.schedule = Schedule(epochs=1, batch=1)
    with pytest.raises(InputError, match="batch: got 1, expected at least 2 images for each process"):
        one.fit(digits("train").first(8))


def compare(one, two):
    if isinstance(one, (torch.Tensor, float)):
        torch.testing.assert_close(one, two, rtol=1e-5, atol=1e-5)
    elif isinstance(one, dict):
        assert one.keys() == two.keys()
        for key in one:
            compare(one[key], two[key])
    elif isinstance(one, (list, tuple)):
        for a, b in zip(one, two, strict=True):
            compare(a, b)
    else:
        assert one == two


def test_lr_falls_by_the_schedule():
    one = trainer("ste", epochs=4, drop_every=2)
    history = one.fit(digits("train").first(130))
    assert [entry["lr"] for entry in history.epochs] == pytest.approx([3e-3, 3e-3, 3e-4, 3e-4])


def test_scheduled_derivatives_move_within_an_epoch_and_come_nearer_to_the_sign():
    one = trainer("reste", epochs=2)
    seen = []
    history = one.fit(digits("train").first(128), on_step=lambda: seen.append(one.gradient.progress))
    assert seen == [0, 0.25, 0.5, 0.75]
    first, last = history.epochs
    assert 0 < last["error"] < first["error"] < 1
    assert last["spread"] > 0


def test_full_precision_trains_with_a_plain_optimizer():
    torch.manual_seed(0)
    model = build("cnn", 10, 1, 8)
    one = BinaryTrainer(model, torch.optim.Adam(model.parameters(), lr=3e-3), Schedule(epochs=2, batch=64))
    assert one.fit(digits("train"), digits("validation")).epochs[-1]["accuracy"] > 0.8


def test_crops_are_shifted_images():
    images = np.random.default_rng(0).random((50, 1, 8, 8), np.float32)
    made = crop_and_flip(images, np.random.default_rng(1))
    padded = np.pad(images, ((0, 0), (0, 0), (4, 4), (4, 4)))
    for row in range(50):
        windows = [padded[row, 0, i : i + 8, j : j + 8] for i in range(9) for j in range(9)]
        assert any(np.array_equal(made[row, 0], w) or np.array_equal(made[row, 0], w[:, ::-1]) for w in windows)


@pytest.mark.parametrize("net", ["mlp", "cnn", "resnet8", "react-resnet8"])
def test_saved_model_comes_back_bit_for_bit(net, tmp_path):
    size = (8, 8) if "res" not in net else (32, 32)
    recipe = Recipe(net=net, classes=4, channels=2, size=size, width=4, weights="bwn", activations="rsign", skip=())
    torch.manual_seed(0)
    model = recipe.build()
    save_model(tmp_path / "m.safetensors", model, recipe)
    again, kept = load_model(tmp_path / "m.safetensors")
    assert kept == recipe
    x = torch.randn(3, 2, *size, generator=torch.Generator().manual_seed(0))
    assert torch.equal(again(x), model.eval()(x))


def test_signs_are_looked_at_on_a_picture_of_noise():
    """On a black one a trained network may well be positive in every channel of a layer, and a fresh one is zero."""
    recipe = Recipe(net="react-resnet8", classes=4, channels=2, size=(8, 8), width=4, weights="xnor",
                    activations="approx", skip=("conv1", "fc"))  # fmt: skip
    start = replace(recipe, weights=None, activations=None).build()
    block = start.get_submodule("layer1.0")
    block.bn1.weight.data.zero_()  # what is left of it are shortcuts
    block.bn2.weight.data.zero_()
    block.bn2.bias.data.fill_(0.001)
    assert recipe.binarize(start)
    with pytest.raises(InputError, match="input of layer 3: got no negative value"):
        replace(recipe, net="cnn", skip=("0",)).build()


def test_damaged_checkpoint_is_named(tmp_path):
    out = tmp_path / "run"
    trainer(out=out, epochs=1).fit(digits("train").first(64))
    path = out / "checkpoints/last.safetensors"
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(ArtifactError, match=r"last\.safetensors: is truncated"):
        trainer(out=out, epochs=1).fit(digits("train").first(64))


@pytest.mark.filterwarnings("ignore:step .* is skipped")
def test_a_run_that_diverges_keeps_its_last_checkpoint(tmp_path):
    images = digits("train").first(128)
    one = trainer(epochs=20, out=tmp_path)
    spoil(one, lambda call: call > 2)
    with pytest.raises(DivergedError, match=r"gradient of .*: NaN or infinity in 11 steps in a row"):
        one.fit(images)
    again = trainer(epochs=20, out=tmp_path)
    losses = again.fit(images).losses
    assert len(losses) == 40
    assert np.isfinite(losses[-20:]).all()


@pytest.mark.filterwarnings("ignore:step .* is skipped")
def test_a_step_that_is_skipped_leaves_the_means_finite():
    for kind in ("fsg", None):
        one = trainer(kind, epochs=2)
        spoil(one, lambda call: call == 3)
        history = one.fit(digits("train").first(320))
        assert [entry["skipped"] for entry in history.epochs] == [1, 1]
        assert np.isnan(history.losses).tolist() == [False, False, True] + 7 * [False]
        whole = np.array(history.losses)
        assert history.epochs[0]["loss"] == np.mean(whole[[0, 1, 3, 4]])
        assert history.mean_loss == np.mean(np.delete(whole, 2))


def spoil(trainer, when):
    """Make the loss NaN in some of the calls, counted from 1."""
    calls = [0]

    def loss(outputs, labels):
        calls[0] += 1
        return nn.functional.cross_entropy(outputs, labels) * (float("nan") if when(calls[0]) else 1)

    trainer.loss = loss


@pytest.mark.filterwarnings("ignore:step .* is skipped")
def test_full_precision_that_diverges_stops_with_finite_weights():
    one = trainer(None, epochs=20)
    spoil(one, lambda call: call > 7)
    with pytest.raises(DivergedError, match=r"gradient of 1\.weight: NaN or infinity in 11 steps in a row"):
        one.fit(digits("train").first(320))
    assert all(part.isfinite().all() for part in one.model.parameters())


def test_full_disk_leaves_the_last_checkpoint_whole(tmp_path, monkeypatch):
    path = tmp_path / "last.safetensors"
    save_state(path, {"w": torch.ones(3)}, package="bnn_fsg", **CHECKPOINT)

    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        save_state(path, {"w": torch.zeros(3)}, package="bnn_fsg", **CHECKPOINT)
    assert [one.name for one in tmp_path.iterdir()] == ["last.safetensors"]
    assert load_state(path, **CHECKPOINT)["w"].tolist() == [1, 1, 1]


@pytest.mark.parametrize("kind", ["fsg", None])
def test_a_checkpoint_of_another_network_is_named(tmp_path, kind):
    def another(width):
        model = replace(RECIPE, width=width, weights="dorefa" if kind else None).build()
        optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
        gradient = GRADIENTS[kind](model, optimizer) if kind else optimizer
        return BinaryTrainer(model, gradient, Schedule(epochs=1), out=tmp_path)

    another(8).fit(digits("train").first(64))
    reason = "another list of layers" if kind else "size mismatch for 1.weight"
    with pytest.raises(ArtifactError, match=rf"last\.safetensors: is of another network or estimator .*{reason}"):
        another(9).fit(digits("train").first(64))


def test_other_settings_do_not_resume(tmp_path):
    trainer(out=tmp_path, epochs=1).fit(digits("train").first(64))
    with pytest.raises(InputError, match="epochs was 1, now 2"):
        trainer(out=tmp_path, epochs=2).fit(digits("train").first(64))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Schedule(epochs=0), "epochs: got 0"),
        (lambda: Schedule(epochs=1, batch=0), "batch: got 0"),
        (lambda: build("vgg", 10, 3), "net: got 'vgg'"),
        (lambda: build("resnet9", 10, 3), "depth: got 9"),
        (lambda: trainer().fit(digits("train").first(1)), "got 1 image"),
    ],
)
def test_bad_setting_is_named(call, message):
    with pytest.raises(InputError, match=message):
        call()


def test_predictions_do_not_depend_on_the_batch():
    one = trainer("ste", epochs=1)
    images = digits("test")
    assert np.array_equal(predict(one.model, images)[:7], predict(one.model, images.first(7)))


def test_one_bit_inputs_learn_behind_hardtanh():
    """As in the demo: behind ReLU this network scored as chance does, since every sign was +1."""
    recipe = Recipe(net="cnn", classes=10, channels=1, size=(8, 8), width=16, white=16)
    schedule = Schedule(epochs=2, batch=64, drop_every=1, factor=0.4)
    start = trained_start(recipe, schedule, digits("train"), 0, nn.Hardtanh)
    recipe = replace(recipe, weights="bwn-f", activations="approx", skip=("0",))
    model, _ = train_arm(recipe, start, Arm("approx", "adam", 1e-2), schedule, digits("train"), seed=0)
    assert accuracy(model, digits("validation")) > 0.7
