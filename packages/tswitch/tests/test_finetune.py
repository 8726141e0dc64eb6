import resource
from collections import Counter

import numpy as np
import pytest
import torch
from ninefold.errors import ArtifactError, InputError
from safetensors.torch import load_file
from tswitch.models._finetune import FinetuneConfig, fast_bfloat16, finetune, length_batches, run_key
from tswitch.models._models import TextClassifier, predict

from . import tiny

CONFIG = FinetuneConfig(steps=80, lr=1e-2, head_lr=5e-2, batch=16)


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return tiny.base(tmp_path_factory.mktemp("finetune") / "tiny")


def weights(folder):
    return load_file(folder / "model.safetensors")


def same(one, two):
    return set(one) == set(two) and all(torch.equal(one[name], two[name]) for name in one)


def test_finetuning_learns_the_task(base, tmp_path):
    task = tiny.task()
    out = finetune(base, task, tmp_path / "out", CONFIG)
    model = TextClassifier.from_pretrained(out)
    assert (predict(model, task.test.texts) == task.test.labels).mean() >= 0.9


def test_same_seed_gives_the_same_weights_and_another_does_not(base, tmp_path):
    runs = [finetune(base, tiny.task(), tmp_path / str(i), CONFIG, seed=seed) for i, seed in enumerate((3, 3, 4))]
    assert same(weights(runs[0]), weights(runs[1]))
    assert not same(weights(runs[0]), weights(runs[2]))


def test_unused_embedding_rows_do_not_move(base, tmp_path):
    out = finetune(base, tiny.task(), tmp_path / "out", CONFIG)
    before, after = weights(base)["embeddings.weight"], weights(out)["embeddings.weight"]
    model = TextClassifier.from_base(base, 2)
    used = {token for row in model.encode(tiny.task().train.texts) for token in row} | {0}
    still = [row for row in range(len(before)) if row not in used]
    assert len(still) > 5
    assert torch.equal(before[still], after[still])
    assert not torch.equal(before, after)


class StoppedError(Exception):
    pass


@pytest.mark.parametrize("at", [9, 10, 35])
def test_interrupted_run_resumes_to_the_same_weights(base, tmp_path, at):
    whole = finetune(base, tiny.task(), tmp_path / "whole", CONFIG, checkpoint_every=10)
    done = 0

    def stop(count):
        nonlocal done
        done += count
        if done == at:
            raise StoppedError

    with pytest.raises(StoppedError):
        finetune(base, tiny.task(), tmp_path / "out", CONFIG, checkpoint_every=10, on_step=stop)
    counted = []
    finetune(base, tiny.task(), tmp_path / "out", CONFIG, checkpoint_every=10, on_step=counted.append)
    assert sum(counted) == CONFIG.steps
    assert at < 10 or counted[0] == at // 10 * 10
    assert same(weights(whole), weights(tmp_path / "out"))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "whole"]


def test_state_of_another_run_is_refused(base, tmp_path):
    def stop(_):
        if (tmp_path / "out.training").exists():
            raise StoppedError

    with pytest.raises(StoppedError):
        finetune(base, tiny.task(), tmp_path / "out", CONFIG, checkpoint_every=5, on_step=stop)
    with pytest.raises(ArtifactError, match="another run"):
        finetune(base, tiny.task(), tmp_path / "out", CONFIG, seed=1)


def test_damaged_state_is_refused(base, tmp_path):
    def stop(_):
        if (tmp_path / "out.training").exists():
            raise StoppedError

    with pytest.raises(StoppedError):
        finetune(base, tiny.task(), tmp_path / "out", CONFIG, checkpoint_every=5, on_step=stop)
    state = tmp_path / "out.training" / "state.safetensors"
    data = bytearray(state.read_bytes())
    data[-10] ^= 1
    state.write_bytes(data)
    with pytest.raises(ArtifactError, match=r"state\.safetensors.*damaged"):
        finetune(base, tiny.task(), tmp_path / "out", CONFIG)


def test_existing_result_is_refused_before_any_work(base, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine").write_text("x")
    with pytest.raises(ArtifactError, match="exists"):
        finetune(base, tiny.task(), tmp_path / "out", CONFIG, on_step=pytest.fail)


@pytest.mark.parametrize("field", ["steps", "lr", "head_lr", "batch", "max_length"])
def test_useless_settings_are_refused_by_name(field):
    with pytest.raises(InputError, match=field):
        FinetuneConfig(**{field: 0})


def test_divergence_is_an_error_that_names_the_step(base, tmp_path):
    wild = FinetuneConfig(steps=200, lr=1e30, head_lr=1e30)
    with pytest.raises(InputError, match=r"loss.*step"):
        finetune(base, tiny.task(), tmp_path / "out", wild)


def test_key_follows_everything_that_changes_the_result(base):
    task, other = tiny.task(), tiny.task("other things", ("fruit", "sea"))
    keys = [
        run_key(base, task, CONFIG, 0),
        run_key(base, task, CONFIG, 1),
        run_key(base, other, CONFIG, 0),
        run_key(base, task, FinetuneConfig(steps=81), 0),
    ]
    assert len(set(keys)) == len(keys)
    assert keys[0] == run_key(base, tiny.task(), CONFIG, 0)


def test_batches_of_an_epoch_hold_each_row_once_and_like_lengths():
    lengths = np.random.default_rng(0).integers(3, 30, 1000).tolist()
    batches = length_batches(lengths, 32, np.random.default_rng(1))
    assert all(len(batch) == 32 for batch in batches)
    assert max(Counter(np.concatenate(batches).tolist()).values()) == 1
    assert len(batches) == 1000 // 32
    spread = np.mean([np.ptp(np.asarray(lengths)[batch]) for batch in batches])
    assert spread < 5
    other = length_batches(lengths, 32, np.random.default_rng(2))
    assert not np.array_equal(np.concatenate(batches), np.concatenate(other))


def test_fewer_rows_than_a_batch_are_repeated():
    batches = length_batches([4, 5, 6], 8, np.random.default_rng(0))
    assert [len(batch) for batch in batches] == [8]
    assert set(batches[0]) == {0, 1, 2}


def test_a_disk_that_is_full_at_the_end_is_one_error(base, tmp_path):
    config = FinetuneConfig(steps=2, batch=16)
    held = resource.getrlimit(resource.RLIMIT_FSIZE)

    def fill(count):  # the work is done; from here on no file may grow beyond a kilobyte
        resource.setrlimit(resource.RLIMIT_FSIZE, (1024, held[1]))

    try:
        with pytest.raises(ArtifactError, match="could not be written"):
            finetune(base, tiny.task(), tmp_path / "out", config, on_step=fill)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, held)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("able", "fast"), [({"avx512_bf16": True}, True), ({"amx_bf16": True}, True), ({"avx2": True}, False)]
)
def test_bfloat16_is_for_processors_that_multiply_in_it(able, fast, monkeypatch):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: able, raising=False)
    assert fast_bfloat16() == fast


def test_a_torch_that_does_not_tell_its_processor_means_float32(monkeypatch):
    monkeypatch.delattr(torch.cpu, "get_capabilities", raising=False)
    assert not fast_bfloat16()
