"""What real training recipes need: published layouts, DataLoaders, schedules, weight decay and a teacher."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from bnn_fsg import STE, BinaryTrainer, Schedule, Teacher, binarize, load_weights
from bnn_fsg.datasets import digits, load
from bnn_fsg.layers._nets import build
from bnn_fsg.training._scores import accuracy
from bnn_fsg.training._start import seeing, teacher_model
from ninefold.datasets import data_dir
from ninefold.errors import ArtifactError, InputError
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from .test_train_verbs import call as run_cli

DATA = digits("train").first(64)


def published(model):
    """A state dict in MetaQuant's and FSG's layout: `downsample` in place of `shortcut`, no last BatchNorm."""
    state = {name.replace("shortcut", "downsample"): one for name, one in model.state_dict().items()}
    return {name: one for name, one in state.items() if not name.startswith("bn_last")}


@pytest.fixture
def theirs(tmp_path):
    """(file in the published layout, the network it is of)."""
    torch.manual_seed(1)
    source = build("resnet8", 10, 1, 4, last_norm=False).eval()
    torch.save({"net": published(source), "acc": 91.3}, tmp_path / "theirs.pth")
    return tmp_path / "theirs.pth", source


def test_published_layout_loads_unmodified(theirs):
    path, source = theirs
    model = load_weights(build("resnet8", 10, 1, 4), path).eval()
    x = torch.randn(3, 1, 8, 8)
    with torch.no_grad():
        assert torch.equal(model(x), source(x))


def test_linear_layer_under_another_name(tmp_path):
    source = build("resnet8", 10, 3, 4)
    state = {name.replace("fc.", "linear."): one for name, one in source.state_dict().items()}
    torch.save(state, tmp_path / "r.pth")
    assert torch.equal(load_weights(build("resnet8", 10, 3, 4), tmp_path / "r.pth").fc.weight, source.fc.weight)


def test_a_last_norm_that_is_there_in_part_is_missed(theirs, tmp_path):
    _, source = theirs
    torch.save({**published(source), "bn_last.weight": torch.ones(16)}, tmp_path / "part.pth")
    with pytest.raises(ArtifactError, match=r"bn_last\.bias is missing"):
        load_weights(build("resnet8", 10, 1, 4), tmp_path / "part.pth")


def net():
    torch.manual_seed(2)
    return build("mlp", 10, 1, 2)


def loader(**more):
    inputs = torch.from_numpy(DATA.inputs(slice(None)))
    return DataLoader(TensorDataset(inputs, torch.from_numpy(DATA.labels)), batch_size=16, **more)


def test_a_loader_gives_what_it_gives(tmp_path):
    """Unshuffled, its first epoch is that of plain steps over the same batches."""
    model, plain = net(), net()
    trainer = BinaryTrainer(model, torch.optim.SGD(model.parameters(), lr=0.1), Schedule(epochs=2))
    history = trainer.fit(loader(), loader())
    optimizer, losses = torch.optim.SGD(plain.parameters(), lr=0.1), []
    plain.train()
    for _ in range(2):
        for x, y in loader():
            loss = nn.functional.cross_entropy(plain(x), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(float(loss.detach()))
    np.testing.assert_allclose(history.losses, losses, rtol=1e-6)
    assert trainer.steps(loader()) == 8
    assert history.epochs[-1]["accuracy"] == accuracy(model, DATA)


def test_a_shuffled_loader_goes_on_after_a_kill_with_the_same_losses(tmp_path):
    def run(folder, epochs):
        model = net()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        return BinaryTrainer(model, optimizer, Schedule(epochs=epochs), out=folder).fit(loader(shuffle=True))

    def killed():
        count.append(1)
        if len(count) == 10:
            raise KeyboardInterrupt

    count = []
    model = net()
    trainer = BinaryTrainer(
        model, torch.optim.SGD(model.parameters(), lr=0.1), Schedule(epochs=3), out=tmp_path / "killed"
    )
    with pytest.raises(KeyboardInterrupt):
        trainer.fit(loader(shuffle=True), on_step=killed)
    assert run(tmp_path / "killed", 3).losses == run(tmp_path / "whole", 3).losses


@pytest.mark.parametrize(
    ("train", "match"),
    [
        (DataLoader([(torch.zeros(1, 8, 8), 1)] * 4, batch_size=1), "1 image, expected at least 2"),
        (DataLoader([torch.zeros(64)] * 4, batch_size=2), r"two tensors"),
        (DataLoader([(torch.zeros(1, 8, 8, dtype=torch.uint8), 1)] * 4, batch_size=2), "torch.uint8.*float32"),
        ([1, 2], "list, expected bnn_fsg.datasets.Images or a torch DataLoader"),
    ],
    ids=["one image", "no labels", "bytes", "list"],
)
def test_bad_batches_are_named(train, match):
    model = net()
    with pytest.raises(InputError, match=match):
        BinaryTrainer(model, torch.optim.SGD(model.parameters(), lr=0.1), Schedule(epochs=1)).fit(train)


def test_augmentation_of_a_loader_is_its_own():
    model = net()
    with pytest.raises(InputError, match="transforms"):
        BinaryTrainer(model, torch.optim.SGD(model.parameters(), lr=0.1), Schedule(epochs=1, augment=True)).fit(
            loader()
        )


@pytest.mark.parametrize("decay", ["cosine", "linear"])
def test_lr_follows_the_curve_to_zero(decay):
    model = net()
    optimizer, seen = torch.optim.SGD(model.parameters(), lr=0.2), []
    trainer = BinaryTrainer(model, optimizer, Schedule(epochs=2, batch=16, decay=decay))
    trainer.fit(DATA, on_step=lambda: seen.append(optimizer.param_groups[0]["lr"]))
    shares = np.arange(8) / 8
    expected = 0.2 * ((1 + np.cos(math.pi * shares)) / 2 if decay == "cosine" else 1 - shares)
    np.testing.assert_allclose(seen, expected, rtol=1e-12)


def test_teacher_s_loss_is_the_formula():
    torch.manual_seed(0)
    outputs, x = torch.randn(5, 3), torch.randn(5, 4)
    teacher = nn.Linear(4, 3)
    found = Teacher(teacher, share=0.3, temperature=2.0).follow(torch.tensor(1.5), outputs, x)
    p, q = torch.softmax(teacher(x) / 2, 1), torch.softmax(outputs / 2, 1)
    expected = 0.7 * 1.5 + 0.3 * 4 * (p * (p / q).log()).sum(1).mean()
    assert float(found.detach()) == pytest.approx(float(expected.detach()), rel=1e-5)


def test_a_teacher_is_followed_and_learns_nothing():
    torch.manual_seed(3)
    guide = build("mlp", 10, 1, 8)
    BinaryTrainer(guide, torch.optim.Adam(guide.parameters(), lr=1e-2), Schedule(epochs=3, batch=16)).fit(DATA)
    before = [one.clone() for one in guide.parameters()]
    x = torch.from_numpy(DATA.inputs(slice(None)))

    def apart(teacher):
        model = binarize(net(), weights="bwn", example_input=x)
        gradient = STE(model, torch.optim.Adam(model.parameters(), lr=1e-2))
        BinaryTrainer(model, gradient, Schedule(epochs=6, batch=16), teacher=teacher).fit(DATA)
        with torch.no_grad():
            return float((model(x).softmax(1) - guide.eval()(x).softmax(1)).abs().sum(1).mean())

    assert apart(Teacher(guide, share=1.0)) < apart(None)
    assert all(torch.equal(one, two) for one, two in zip(before, guide.parameters(), strict=True))


@pytest.mark.parametrize(("share", "temperature"), [(0.0, 1.0), (1.5, 1.0), (0.5, 0.0)])
def test_settings_of_a_teacher_are_checked(share, temperature):
    with pytest.raises(InputError, match=r"share|temperature"):
        Teacher(nn.Identity(), share, temperature)


def test_teacher_of_other_classes_is_named():
    with pytest.raises(InputError, match=r"teacher: got outputs of shape \(2, 4\), expected \(2, 3\)"):
        Teacher(nn.Linear(4, 4)).follow(torch.tensor(0.0), torch.zeros(2, 3), torch.zeros(2, 4))


def test_verbs_take_the_recipe_s_options(tmp_path):
    run_cli("pretrain", "--net", "mlp", "--epochs", "1", "--schedule", "cosine", "-o", str(tmp_path / "float"))
    words = ["train", str(tmp_path / "float"), "--epochs", "1", "--gradient", "fsg", "--schedule", "cosine",
             "--teacher", str(tmp_path / "float"), "--teacher-share", "0.7"]  # fmt: skip
    shown = run_cli(*words, "-o", str(tmp_path / "bits"))
    assert shown["arm"] == "fsg, adam 0.001"
    config = json.loads((tmp_path / "bits" / "config.json").read_text())
    assert config["decay"] == "cosine"
    assert config["teacher_share"] == 0.7


def test_a_teacher_may_be_a_1_bit_network(tmp_path):
    run_cli("pretrain", "--net", "mlp", "--epochs", "1", "-o", str(tmp_path / "float"))
    words = ["train", str(tmp_path / "float"), "--gradient", "ste", "--epochs", "1"]
    run_cli(*words, "-o", str(tmp_path / "one"))
    run_cli(*words, "--teacher", str(tmp_path / "one"), "-o", str(tmp_path / "two"))
    assert json.loads((tmp_path / "two" / "config.json").read_text())["teacher"] == str(tmp_path / "one")


def test_a_teacher_sees_pictures_as_it_was_trained_to():
    pixels = torch.rand(4, 3, 5, 5, generator=torch.Generator().manual_seed(0))
    given, own = ((0.5,), (0.25,)), ((0.4, 0.5, 0.6), (0.2, 0.3, 0.1))

    def normalised(mean, std):
        return (pixels - torch.tensor(mean)[:, None, None]) / torch.tensor(std)[:, None, None]

    torch.testing.assert_close(seeing(nn.Identity(), given, own, 3)(normalised(*given)), normalised(*own))


def test_a_teacher_of_other_pictures_is_refused(tmp_path):
    run_cli("pretrain", "--net", "mlp", "--epochs", "1", "-o", str(tmp_path / "float"))
    other = replace(DATA, pixels=np.zeros((64, 3, 8, 8), np.uint8), mean=(0.5,), std=(0.5,))
    with pytest.raises(InputError, match="got pictures of 1 x 8 x 8 in 10 classes, expected pictures of 3 x"):
        teacher_model(tmp_path / "float", other)


@pytest.mark.data
def test_the_published_network_is_a_teacher_of_cifar_pictures():
    root = data_dir("bnn-fsg")
    if root is None or not (root / "cifar10-lossless-14k").is_dir():
        pytest.skip("needs bnn-fsg/cifar10-lossless-14k under NINEFOLD_DATA")
    images = load(str(root / "cifar10-lossless-14k"), "test").first(200)
    teacher = teacher_model(Path("adabin"), images)
    with torch.no_grad():
        right = teacher(torch.from_numpy(images.inputs(slice(None)))).argmax(1).numpy() == images.labels
    assert right.mean() > 0.8
    with pytest.raises(InputError, match="adabin"):
        teacher_model(Path("adabin"), DATA)
