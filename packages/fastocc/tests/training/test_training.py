"""Training: resumes bit for bit, two processes agree, non-finite losses, labels and images augmented alike."""

from __future__ import annotations

import shutil
import socket
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from fastocc import FastOccConfig, OccDataset
from fastocc.datasets import segmentation_from_points
from fastocc.evaluation import (
    RATES,
    Encoded,
    _compare,
    choose_rate,
    compare_heads,
    evaluate,
    predict_frame,
    trained_head,
)
from fastocc.lifting import offset_parameters
from fastocc.models import FastOccModel
from fastocc.training import BatchMaker, BevBank, Prefetch, TrainConfig, batch_loss, learning_rate, train
from fastocc.views import project
from ninefold.errors import ArtifactError, InputError
from ninefold_testing import digests, warm

CONFIG = FastOccConfig.preset("micro")
RECIPE = TrainConfig.for_preset("micro", steps=8, every=2, ema=0.9)


@pytest.fixture(scope="module")
def data(street):
    return OccDataset(street, split="train")


class StopError(Exception):
    pass


def stop_after(count):
    left = [count]

    def advance():
        left[0] -= 1
        if left[0] == 0:
            raise StopError

    return advance


def test_broken_off_training_goes_on_bit_for_bit(data, tmp_path):
    whole = train(tmp_path / "whole", CONFIG, RECIPE, data)
    for count in (3, 6):
        with pytest.raises(StopError):
            train(tmp_path / "cut", CONFIG, RECIPE, data, advance=stop_after(count))
    resumed = train(tmp_path / "cut", CONFIG, RECIPE, data)
    for key, value in whole.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[key]), key
    assert digests(tmp_path / "cut") == digests(tmp_path / "whole")


def test_loss_falls_and_offsets_move(data, tmp_path):
    recipe = TrainConfig(steps=40, every=10, warmup=5, rate=4e-3, flip=0.0, photometric=0.0)
    model = train(tmp_path / "run", CONFIG, recipe, data)
    lines = [float(line.split('"total": ')[1].rstrip("}\n")) for line in (tmp_path / "run" / "metrics.jsonl").open()]
    assert lines[-1] < 0.85 * lines[0]
    assert model.head.conv[0].field.weight.abs().max() > 1e-3


def test_offsets_are_trained_at_a_tenth_of_the_rate(data, tmp_path, monkeypatch):
    made, real = [], torch.optim.AdamW
    monkeypatch.setattr(torch.optim, "AdamW", lambda *args, **kwargs: made.append(real(*args, **kwargs)) or made[-1])
    model = train(tmp_path / "run", CONFIG, RECIPE, data)
    rates = {id(one): group["lr"] for group in made[0].param_groups for one in group["params"]}
    slow = {id(one) for one in offset_parameters(model)}
    assert len(rates) == len(list(model.parameters()))
    (rate,) = {rates[one] for one in rates if one not in slow}
    assert [rates[one] for one in slow] == pytest.approx([rate / 10] * 2)


def test_other_settings_are_refused_in_the_same_folder(data, tmp_path):
    with pytest.raises(StopError):
        train(tmp_path / "run", CONFIG, RECIPE, data, advance=stop_after(3))
    with pytest.raises(InputError, match="training was"):
        train(tmp_path / "run", CONFIG, TrainConfig.for_preset("micro", steps=9), data)


def test_ten_losses_that_are_not_finite_end_the_run(data, tmp_path, monkeypatch):
    calls = []

    def broken(model, config, batch, weights=None):
        losses = batch_loss(model, config, batch, weights)
        calls.append(1)
        return {key: value * torch.nan for key, value in losses.items()} if len(calls) > 1 else losses

    monkeypatch.setattr("fastocc.training._trainer.batch_loss", broken)
    with pytest.raises(InputError, match="10 times in a row, at step 11"):
        train(tmp_path / "run", CONFIG, TrainConfig.for_preset("micro", steps=30), data)


def test_one_loss_that_is_not_finite_is_skipped(data, tmp_path, monkeypatch):
    calls = []

    def broken(model, config, batch, weights=None):
        losses = batch_loss(model, config, batch, weights)
        calls.append(1)
        return {key: value * torch.inf for key, value in losses.items()} if len(calls) == 2 else losses

    monkeypatch.setattr("fastocc.training._trainer.batch_loss", broken)
    model = train(tmp_path / "run", CONFIG, TrainConfig.for_preset("micro", steps=4), data)
    assert all(torch.isfinite(one).all() for one in model.parameters())


def test_too_little_memory_is_said_with_what_to_try(data, tmp_path, monkeypatch):
    def full(*_):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr("fastocc.training._trainer.batch_loss", full)
    with pytest.raises(InputError, match="smaller preset"):
        train(tmp_path / "run", CONFIG, RECIPE, data)


def test_batches_depend_on_seed_and_step_alone(data):
    one, other = (BatchMaker(data, RECIPE, 8) for _ in range(2))
    other.make(0)
    for field, value in vars(one.make(3)).items():
        if isinstance(value, torch.Tensor):
            assert torch.equal(value, getattr(other.make(3), field)), field
    assert sorted(one.indices(0) + one.indices(1) + one.indices(2) + one.indices(3)) == [0, 1, 2, 3]


def test_augmented_points_fall_on_the_same_pixels_of_the_augmented_image(data):
    recipe = TrainConfig(flip=1.0, photometric=0.0, image_resize=0.2, image_rotate=20, image_flip=0.5, steps=1)
    batch, index = BatchMaker(data, recipe, 0).make(0), BatchMaker(data, recipe, 0).indices(0)[0]
    frame = data[index]
    filled = np.argwhere(frame.labels.semantics != 17)[::40]
    points = torch.from_numpy(data.grid.centers()[tuple(filled.T)])
    plain, depth = project(points, torch.from_numpy(frame.cam2img)[None], torch.from_numpy(frame.cam2ego)[None])
    mirrored = points * torch.tensor([-1.0, -1.0, 1.0])
    moved, depths = project(mirrored, batch.cam2img, batch.cam2ego, batch.img_aug, batch.bev_aug)
    torch.testing.assert_close(depths, depth, atol=1e-4, rtol=1e-4)
    expected = torch.cat([plain, torch.ones_like(plain[..., :1])], -1) @ batch.img_aug.transpose(-1, -2)
    near = depth > 1
    torch.testing.assert_close(moved[near], expected[..., :2][near], atol=0.05, rtol=1e-3)
    index_of, inside = data.grid.index(mirrored.numpy())
    assert inside.all()
    np.testing.assert_array_equal(batch.labels[0].numpy()[tuple(index_of.T)], frame.labels.semantics[tuple(filled.T)])


def test_image_content_moves_with_its_matrix(data):
    recipe = TrainConfig(flip=0.0, photometric=0.0, image_resize=0.2, image_flip=1.0, steps=1)
    batch = BatchMaker(data, recipe, 0).make(0)
    frame = data[BatchMaker(data, recipe, 0).indices(0)[0]]
    for v, u in ((10, 20), (20, 40), (16, 8)):
        place = batch.img_aug[0, 0] @ torch.tensor([u + 0.5, v + 0.5, 1.0])
        column, row = int(place[0]), int(place[1])
        if 1 <= row < 31 and 1 <= column < 63:
            around = batch.images[0, 0, :, row - 1 : row + 2, column - 1 : column + 2].flatten(1)
            value = torch.from_numpy(frame.images[0, :, v, u].astype(np.float32))
            assert (around - value[:, None]).abs().amin(1).max() < 40


def test_segmentation_labels_follow_the_image(data):
    recipe = TrainConfig(flip=0.0, photometric=0.0, image_flip=1.0, steps=1)
    batch, index = BatchMaker(data, recipe, 8).make(0), BatchMaker(data, recipe, 8).indices(0)[0]
    frame = data[index]
    plain = segmentation_from_points(*data.points(index), frame.cam2img, frame.cam2ego, (32, 64), 8)
    assert (batch.seg[0].numpy()[:, :, ::-1] == plain).mean() > 0.95  # the edges of cells may round apart


def test_learning_rate_rises_and_falls():
    recipe = TrainConfig(steps=100, warmup=10)
    rates = [learning_rate(recipe, step) for step in (0, 10, 55, 100)]
    assert rates == pytest.approx([1 / 3, 1.0, 0.5005, 1e-3], abs=1e-3)


@pytest.mark.parametrize("changes", [{"steps": 0}, {"flip": 2}, {"rate": 0}, {"seg_source": "x"}])
def test_wrong_recipe_is_named(changes):
    with pytest.raises(InputError, match=next(iter(changes))):
        TrainConfig(**changes)


def test_points_are_asked_for_where_there_are_none(data, monkeypatch):
    monkeypatch.setattr(type(data), "points", lambda *_: None)
    recipe = TrainConfig(seg_source="points", steps=1)
    with pytest.raises(InputError, match="lidarseg"):
        BatchMaker(data, recipe, 8).make(0)
    assert (BatchMaker(data, TrainConfig(steps=1), 8).make(0).seg != 255).any()  # auto falls back on the voxels


TWO = """
import sys, torch
torch.set_num_threads(1)
from pathlib import Path
from fastocc import FastOccConfig, OccDataset
from fastocc.training import TrainConfig, train
out, street = Path(sys.argv[1]), OccDataset(sys.argv[2], split="train")
config, recipe = FastOccConfig.preset("micro"), TrainConfig(steps=4, batch=2, every=2, warmup=1, ema=0.9)
whole = train(out / "whole", config, recipe, street)

class Stopped(Exception):
    pass

def stop(done=[0]):
    done[0] += 1
    if done[0] == 2:
        raise Stopped

try:
    train(out / "run", config, recipe, street, advance=stop)
except Stopped:
    pass
again = train(out / "run", config, recipe, street, workers=1)
rank = torch.distributed.get_rank()
kept = [[one.detach() for one in model.state_dict().values()] for model in (whole, again)]
torch.save(kept, out / f"{rank}.pt")
torch.distributed.barrier()
torch.distributed.destroy_process_group()
"""


def test_two_processes_stopped_and_resumed_equal_the_unbroken_run(street, tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    ring = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "WORLD_SIZE": "2"}
    with (tmp_path / "errors").open("w+") as errors:
        started = [
            warm().start(
                ["-c", TWO, str(tmp_path), str(street)], errors.fileno(), errors.fileno(),
                **ring, RANK=str(rank), LOCAL_RANK=str(rank),
            )
            for rank in range(2)
        ]  # fmt: skip
        statuses = [process.wait(240) for process in started]
    assert statuses == [0, 0], (tmp_path / "errors").read_text()
    found = [torch.load(tmp_path / f"{rank}.pt", weights_only=True) for rank in range(2)]  # safe: own tensors
    for kept in (found[0][1], *found[1]):
        assert all(torch.equal(one, other) for one, other in zip(found[0][0], kept, strict=True))
    assert (tmp_path / "run" / "model" / "model.safetensors").exists()


def test_batches_made_ahead_are_the_same(data):
    maker = BatchMaker(data, TrainConfig(steps=4), 8)
    with Prefetch(maker, 4, 2) as ahead:
        for step in range(4):
            one, other = ahead(step), maker.make(step)
            assert torch.equal(one.images, other.images)
            assert torch.equal(one.labels, other.labels)


def test_training_in_bfloat16_stays_close_and_keeps_float_weights(data, tmp_path):
    models = [
        train(tmp_path / str(bf16), CONFIG, TrainConfig(steps=3, every=3, bf16=bf16), data) for bf16 in (False, True)
    ]
    assert all(one.dtype == torch.float32 for one in models[1].parameters())
    gaps = [
        (one - other).detach().abs().max() for one, other in zip(*(one.parameters() for one in models), strict=True)
    ]
    assert 0 < float(max(gaps)) < 0.05


def test_compared_heads_are_kept_and_read_again(data, street, tmp_path):
    val = OccDataset(street)
    arguments = (["fastocc", "c2h", "prior"], CONFIG, TrainConfig.for_preset("micro", steps=4), (data, val))
    first = compare_heads(tmp_path, *arguments, steps=4, seeds=1, search=2)
    stamps = {path.name: path.stat().st_mtime_ns for path in tmp_path.glob("head-*")}
    again = compare_heads(tmp_path, *arguments, steps=4, seeds=1)
    assert len(stamps) == 3
    assert stamps == {path.name: path.stat().st_mtime_ns for path in tmp_path.glob("head-*")}
    for name in first:
        for one, other in zip(first[name], again[name], strict=True):
            assert (one.miou.miou, one.miou.geometric) == (other.miou.miou, other.miou.geometric)
    assert first["prior"][0].miou.miou > 0


def test_rates_are_chosen_on_the_last_fifth_of_the_frames(monkeypatch):
    bev = torch.arange(10.0).reshape(10, 1, 1, 1)
    labels, used = torch.zeros(10, 2, 2, 2, dtype=torch.uint8), []
    bank = BevBank(bev, labels, labels == 0, [np.zeros((1, 3))] * 10)
    monkeypatch.setattr(_compare, "train_head", lambda head, part, *_, rate, **__: used.append(part) or rate)
    monkeypatch.setattr(_compare, "make_head", lambda *_, **__: None)
    scores = dict(zip(RATES, (0.1, 0.3, 0.2, 0.0), strict=True))

    def score(rate, part, *_, **__):
        used.append(part)
        return SimpleNamespace(miou=SimpleNamespace(miou=scores[rate]))

    monkeypatch.setattr(_compare, "evaluate_head", score)
    assert choose_rate("c2h", CONFIG, bank, SimpleNamespace(format=CONFIG.labels), 1) == RATES[1]
    assert [one.bev.flatten().tolist() for one in used[:2]] == [[0, 1, 2, 3, 4, 5, 6, 7], [8, 9]]
    scores.update({RATES[-1]: 0.4, RATES[-1] * 3: 0.5, RATES[-1] * 9: 0.5})
    assert choose_rate("c2h", CONFIG, bank, SimpleNamespace(format=CONFIG.labels), 1) == RATES[-1] * 3
    scores.update(dict.fromkeys((RATES[0] / 3, *RATES), 0.0))
    assert choose_rate("c2h", CONFIG, bank, SimpleNamespace(format=CONFIG.labels), 1) == RATES[0]


@pytest.mark.parametrize("name", ["head", "bank"])
def test_foreign_file_in_the_place_of_a_kept_one_stays(name, data, street, tmp_path):
    place = tmp_path / {"head": "head-c2h-0-2.safetensors", "bank": "bev-train.safetensors"}[name]
    place.write_bytes(b"somebody's measurements")
    splits = (data, OccDataset(street))
    with pytest.raises(ArtifactError, match=place.name):
        compare_heads(tmp_path, ["c2h"], CONFIG, TrainConfig.for_preset("micro", steps=2), splits, steps=2)
    assert place.read_bytes() == b"somebody's measurements"


def test_kept_head_of_another_form_is_named_and_stays(tmp_path):
    keep, (height, width) = tmp_path / "head.safetensors", CONFIG.spec.shape[1::-1]
    bev = torch.zeros(1, CONFIG.bev_channels, height, width)
    labels = torch.zeros(1, *CONFIG.spec.shape, dtype=torch.uint8)
    bank = BevBank(bev, labels, labels == 0, [])
    encoded = Encoded(FastOccModel(CONFIG), bank, bank, SimpleNamespace(format=CONFIG.labels))
    trained_head("fastocc", CONFIG, encoded, steps=1, seed=0, keep=keep)
    before = keep.read_bytes()
    with pytest.raises(ArtifactError, match="another form"):
        trained_head("fastocc", CONFIG, encoded, steps=1, seed=0, keep=keep, lift="conv")
    assert keep.read_bytes() == before


def test_evaluation_needs_no_lidar_files(street, tmp_path):
    root = tmp_path / "copy"
    shutil.copytree(street, root)
    shutil.rmtree(root / "lidar")
    done = evaluate(FastOccModel(CONFIG), OccDataset(root), rayiou=True)
    assert done.ray is not None
    assert done.frames == 2


def test_depth_is_learned_from_the_lidar(data, tmp_path):
    config = FastOccConfig.preset("micro", view="lss", depth=1.0)
    train(tmp_path / "run", config, TrainConfig(steps=4, every=2, warmup=1), data)
    assert '"depth"' in (tmp_path / "run" / "metrics.jsonl").read_text()
    maker = BatchMaker(data, TrainConfig(steps=1, flip=0.0), 0, depth_stride=8)
    batch, index = maker.make(0), maker.indices(0)[0]
    points = torch.from_numpy(data.sweep(index)).float()
    pixels, depth = project(points, batch.cam2img, batch.cam2ego)
    for camera in range(6):
        cells = (pixels[0, camera] / 8).floor()
        inside = (depth[0, camera] > 0.1) & (cells >= 0).all(1) & (cells[:, 0] < 8) & (cells[:, 1] < 4)
        for row, column in ((3, 4), (2, 1)):
            here = inside & (cells[:, 0] == column) & (cells[:, 1] == row)
            expected = depth[0, camera, here].min() if here.any() else torch.tensor(0.0)
            assert batch.depth[0, camera, row, column] == pytest.approx(expected.item(), abs=1e-3)


def test_queue_trains_and_predicts_with_earlier_frames(data, street, tmp_path):
    config = FastOccConfig.preset("micro", view="bevformer", queue=2)
    maker = BatchMaker(data, TrainConfig(steps=1, flip=1.0), 0, queue=2)
    steps = [step for step in range(8) if maker.indices(step)[0] % 2]  # second frames of their scenes
    batch = maker.make(steps[0])
    motion = np.linalg.inv(data.infos[maker.indices(steps[0])[0] - 1].ego2global)
    motion = motion @ data.infos[maker.indices(steps[0])[0]].ego2global
    assert len(batch.history) == 1
    assert batch.motion[0, 0, 3] == pytest.approx(-motion[0, 3], abs=1e-4)  # mirrored
    model = train(tmp_path / "run", config, TrainConfig(steps=3, every=3, warmup=1), data)
    queue = predict_frame(model, OccDataset(street), 1)
    alone = FastOccModel(FastOccConfig.preset("micro", view="bevformer")).eval()
    alone.load_state_dict(model.state_dict())
    assert queue.shape == predict_frame(alone, OccDataset(street), 1).shape == (20, 20, 8)
    with pytest.raises(InputError, match="queue"):
        BatchMaker(data, TrainConfig(steps=1, batch=2), 0, queue=2)


def test_prior_is_not_trained_by_steps(data, tmp_path):
    with pytest.raises(InputError, match="head"):
        train(tmp_path / "run", FastOccConfig.preset("micro", head="prior"), RECIPE, data)
