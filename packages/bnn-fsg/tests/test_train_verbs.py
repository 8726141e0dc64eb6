"""pretrain and train, as a user runs them."""

from __future__ import annotations

import json
import pickle
import socket

import numpy as np
import pytest
import torch
from bnn_fsg import datasets
from bnn_fsg.cli._training import pretrain, train
from bnn_fsg.evaluation import _runs as runs
from bnn_fsg.evaluation._runs import CURVES, Arm, Result, pictures
from bnn_fsg.layers._nets import Recipe, build, load_model
from bnn_fsg.training._chosen import BEST, CHOSEN
from bnn_fsg.training._trainer import BinaryTrainer, History, Schedule
from ninefold.cli import house_app, verb
from ninefold.errors import InputError
from ninefold_testing import command, warm
from typer.testing import CliRunner

APP = house_app("bnn_fsg", "Verbs that train.")
for function in (pretrain, train):
    verb(APP, uses=("seed", "device", "threads", "quiet", "out"), out="own")(function)


def call(*words):
    done = CliRunner().invoke(APP, [*words, "--json"])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def start(tmp_path_factory):
    folder = tmp_path_factory.mktemp("verbs") / "start"
    found = call(
        "pretrain", "--net", "mlp", "--width", "8", "--epochs", "3", "--batch", "64", "--lr", "3e-3", "-o", str(folder)
    )
    assert found["test accuracy"] > 0.8
    return folder


@pytest.mark.parametrize(
    ("gradient", "kin"),
    [*((one, one) for one in CHOSEN), ("approx", "ste")],
)
def test_train_takes_what_the_estimator_did_best_with_unless_told(start, tmp_path, gradient, kin):
    out, known = tmp_path / "run", CHOSEN[kin]
    found = call("train", str(start), "--gradient", gradient, "--epochs", "1", "-o", str(out))
    assert found["arm"] == f"{gradient}, {known.optimizer} {known.lr:g}"
    assert load_model(out / "model.safetensors")[1].weights == known.weights
    assert json.loads((out / "config.json").read_text()).get("decay", "step") == known.decay


def test_a_rate_that_is_left_out_beside_another_optimiser_is_not_that_of_the_table(start, tmp_path):
    words = ["train", str(start), "--optimizer", "sgd", "--epochs", "1"]
    assert call(*words, "-o", str(tmp_path / "a"))["arm"] == f"{BEST}, sgd 0.001"
    assert json.loads((tmp_path / "a" / "config.json").read_text()).get("decay", "step") == "step"


def test_train_writes_a_run_and_a_one_bit_model(start, tmp_path):
    out = tmp_path / "run"
    found = call("train", str(start), "--lr", "0.1", "--epochs", "2", "-o", str(out))
    lines = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    assert [line["epoch"] for line in lines] == [0, 1]
    assert found["training loss of the last epoch"] == lines[-1]["loss"]
    _, recipe = load_model(out / "model.safetensors")
    assert recipe.weights == CHOSEN[BEST].weights
    with pytest.raises(InputError, match="got a 1-bit model, expected a full-precision one"):
        call("train", str(out), "-o", str(tmp_path / "again"))


@pytest.fixture
def threads():
    """torch's number of threads, which --threads changes, afterwards as before."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def test_no_verdict_of_a_comparison_depends_on_threads(threads):
    """A convolutional network, whose sums do: without a fixed number of threads its losses differ from the second step
    on."""
    splits, found = {split: datasets.load("digits", split) for split in ("train", "test")}, []
    torch.manual_seed(0)
    start = build("cnn", 10, 1)
    for count in (1, 2, 3):
        torch.set_num_threads(count)
        recipe = Recipe(net="cnn", classes=10, channels=1, size=(8, 8), weights="dorefa")
        (result,) = runs.compare(recipe, start, [Arm("fsg", "sgd", 0.1)], Schedule(epochs=1, batch=64), splits, [0])
        found.append((result.history.mean_loss, result.test, [one.tolist() for one in result.model.parameters()]))
    assert found[0] == found[1] == found[2]


def test_pictures_have_whole_epochs_as_ticks():
    epochs = [dict.fromkeys(CURVES, 0.5) for _ in range(4)]
    result = Result(Arm("ste"), torch.nn.Identity(), History(epochs), 0.0)
    for _, made in pictures([result]):
        ticks = made.axes[0].get_xticks()
        assert len(ticks) > 2
        assert all(float(tick).is_integer() for tick in ticks)


class BegunError(Exception):
    """Training begins; `seen` is where the parameters are."""

    seen: str


def untrained(trainer, *_, **__):
    error = BegunError()
    error.seen = {one.device.type for one in trainer.model.parameters()}
    raise error


@pytest.mark.parametrize("activations", [None, "rsign"])
def test_a_network_is_binarised_and_then_trained_where_device_says(start, tmp_path, monkeypatch, activations):
    monkeypatch.setattr(BinaryTrainer, "fit", untrained)
    words = ["--device", "meta", "--skip", "1", *(["--activations", activations] if activations else [])]
    words += ["--gradient", "ste"]
    with pytest.raises(BegunError) as caught:
        call("train", str(start), *words, "-o", str(tmp_path / "out"))
    assert caught.value.seen == {"meta"}


def test_train_under_torchrun_is_one_run(start, tmp_path):
    """Two processes of the console script, with what `torchrun --nproc-per-node 2` tells each."""
    words = ["train", str(start), "--epochs", "1", "--batch", "32", "--gradient", "ste", "--optimizer", "adam"]
    words = command("bnn_fsg.cli", *words, "-o", str(tmp_path / "two"), "--json")[1:]
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    alike = {"WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    with (tmp_path / "said").open("w+") as said, (tmp_path / "errors").open("w+") as errors:
        ranks = [
            warm().start(words, said.fileno(), errors.fileno(), RANK=rank, LOCAL_RANK=rank, **alike)
            for rank in ("0", "1")
        ]
        assert [rank.wait(120) for rank in ranks] == [0, 0], (tmp_path / "errors").read_text()
    found = json.loads((tmp_path / "said").read_text())  # of one process alone
    assert found["test accuracy"] > 0.5
    (line,) = (tmp_path / "two/metrics.jsonl").read_text().splitlines()
    assert json.loads(line)["loss"] == found["mean training loss"]
    assert load_model(tmp_path / "two/model.safetensors")[1].weights == CHOSEN["ste"].weights


@pytest.fixture
def cifar(tmp_path):
    """A folder of CIFAR batches of noise."""
    draw = np.random.default_rng(0)
    for name in (*(f"data_batch_{number}" for number in range(1, 6)), "test_batch"):
        batch = {b"data": draw.integers(0, 256, (20, 3072), np.uint8), b"labels": [row % 10 for row in range(20)]}
        (tmp_path / name).write_bytes(pickle.dumps(batch, 2))
    return tmp_path


def test_a_folder_of_pictures_goes_from_start_to_end(tmp_path):
    image = pytest.importorskip("PIL.Image", reason="needs the extra data")
    draw, data = np.random.default_rng(0), tmp_path / "pictures"
    for split, count in (("train", 20), ("test", 5)):
        for label, kind in enumerate(("dark", "light")):
            (data / split / kind).mkdir(parents=True)
            for number in range(count):
                size = draw.integers(9, 20, 2)  # each of its own size
                image.fromarray(draw.integers(0, 40, size, np.uint8) + np.uint8(180 * label)).save(
                    data / split / kind / f"{number}.png"
                )
    floats, bits = tmp_path / "float", tmp_path / "bits"
    words = ["--data", str(data), "--epochs", "4", "--batch", "8"]
    with pytest.raises(
        InputError, match=r"images of .*: got shapes .* \(resize the pictures of a folder with --size 32\)"
    ):
        call("pretrain", *words, "-o", str(floats))
    found = call("pretrain", *words, "--size", "8", "--lr", "0.01", "--net", "mlp", "-o", str(floats))
    assert found["test accuracy"] == 1
    found = call("train", str(floats), *words, "--gradient", "ste", "--optimizer", "adam", "-o", str(bits))
    assert found["test accuracy"] == 1
    (data / "test/medium").mkdir()
    (data / "test/medium/1.png").write_bytes((data / "test/dark/1.png").read_bytes())
    with pytest.raises(InputError, match=r"classes of .*test: got dark, light, medium, expected those of train"):
        call("train", str(floats), *words, "-o", str(tmp_path / "again"))


@pytest.mark.parametrize("net", ["cnn", "mlp"])
def test_a_net_for_small_pictures_is_refused_for_others(cifar, net):
    with pytest.raises(InputError, match=rf"net: got '{net}' for pictures of 32x32, expected pictures of 8x8"):
        call("pretrain", "--net", net, "--data", str(cifar), "-o", str(cifar / "out"))


def test_data_that_the_start_was_not_made_for_are_refused(start, cifar):
    with pytest.raises(InputError) as caught:
        call("train", str(start), "--data", str(cifar), "-o", str(cifar / "out"))
    assert f"pictures of {cifar}: got 3 channels of 32x32 in 10 classes" in str(caught.value)
    assert "expected 1 channel of 8x8 in 10 classes, as" in str(caught.value)
    assert str(start) in str(caught.value)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--lr", "0"], "--lr: got 0.0, expected a positive number"),
        (["--gradient", "magic"], "gradient: got 'magic', expected one of fsg"),
        (["--optimizer", "lion"], "optimizer: got 'lion', expected sgd, momentum or adam"),
        (["--data", "/nowhere"], "/nowhere: is not there"),
        (["--skip", "conv9"], "skip: got 'conv9', which matches nothing"),
    ],
)
def test_bad_words_are_named(start, tmp_path, words, message):
    with pytest.raises(Exception, match=message):
        call("train", str(start), *words, "--epochs", "1", "-o", str(tmp_path / "out"))


def test_a_folder_of_pictures_needs_no_net_named(tmp_path):
    image = pytest.importorskip("PIL.Image", reason="needs the extra data")
    for split, kind, number in ((a, b, c) for a in ("train", "test") for b in ("cat", "dog") for c in range(4)):
        file = tmp_path / "pictures" / split / kind / f"{number}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        image.fromarray(np.full((32, 32, 3), 60 * number, np.uint8)).save(file)
    words = ["--data", str(tmp_path / "pictures"), "--epochs", "1"]
    found = call("pretrain", *words, "-o", str(tmp_path / "float"))
    assert (
        found["parameters"] == call("pretrain", *words, "--net", "resnet8", "-o", str(tmp_path / "same"))["parameters"]
    )
