"""Merging on disk: the same as in memory, whatever the layout; mismatches, kills, memory."""

from __future__ import annotations

import shutil
import signal

import pytest
import torch
from ninefold.errors import ArtifactError, InputError, NinefoldError
from ninefold_testing import peak_rss_anon, warm
from safetensors.torch import save_file
from tswitch import Checkpoint, merge
from tswitch.baselines import METHODS, Averaging, Merger, TaskArithmetic, Ties
from tswitch.switch._tasks import TaskVectors
from tswitch_experiments.baselines import Individual

from .checkpoints import BASE, MODELS, contents, finetuned, random_state, save_folder


@pytest.mark.parametrize("name", METHODS)
def test_folder_holds_what_the_method_gives_in_memory(name, folders, tmp_path):
    base, models = folders
    task = None if issubclass(METHODS[name], Merger) else 1
    written = merge(base, models, name, out=tmp_path / "out", task=task, max_shard_size="200B")
    want = METHODS[name]().fit(BASE, MODELS).task_model(task or 0)
    got = Checkpoint.open(tmp_path / "out")
    assert set(got.names) == set(want)
    for key in want:
        torch.testing.assert_close(got.read(key), want[key], atol=2e-6, rtol=0)
    assert written.shards == len(list((tmp_path / "out").glob("*.safetensors"))) > 1
    assert written.parameters == 1249
    files = {path.name for path in (tmp_path / "out").iterdir()}
    assert {"config.json", "tokenizer.json", "1_Pooling", "README.md", "model.safetensors.index.json"} <= files
    card = (tmp_path / "out" / "README.md").read_text()
    assert METHODS[name].source in card
    assert "- base: `base`" in card
    assert str(tmp_path) not in card


def test_models_in_memory_are_merged_too(tmp_path):
    merge(torch.nn.Linear(3, 2), [torch.nn.Linear(3, 2), torch.nn.Linear(3, 2)], "averaging", out=tmp_path / "out")
    assert set(Checkpoint.open(tmp_path / "out").names) == {"weight", "bias"}


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision_sums_in_float32_and_counts_what_rounds_away(tmp_path, dtype):
    half = getattr(torch, dtype)
    base = random_state(0, half)
    models = [finetuned(base, seed, size=0.004) for seed in (1, 2)]
    written = merge(base, models, "task_arithmetic", out=tmp_path / "out", scale=0.3)
    got = Checkpoint.open(tmp_path / "out")
    lost = moved = 0
    for name, value in base.items():
        if value.is_floating_point():
            delta = 0.3 * sum(m[name].float() - value.float() for m in models)
            want = (value.float() + delta).to(half)
            assert got.info(name).dtype == half
            torch.testing.assert_close(got.read(name), want)
            moved += int((delta != 0).sum())
            lost += int(((delta != 0) & (want == value)).sum())
    assert lost > 0
    assert (written.additions, written.rounded_away) == (moved, pytest.approx(lost, abs=2))


def test_chosen_dtype_is_written_to_tensors_and_config(folders, tmp_path):
    base, models = folders
    merge(base, models, "averaging", out=tmp_path / "out", dtype="bfloat16")
    got = Checkpoint.open(tmp_path / "out")
    dtypes = {name: got.info(name).dtype for name in got.names}
    assert dtypes.pop("steps") == torch.int64
    assert set(dtypes.values()) == {torch.bfloat16}
    assert got.config is not None
    assert got.config["torch_dtype"] == "bfloat16"
    with pytest.raises(InputError, match=r"dtype: got int4, expected one of float16"):
        merge(base, models, "averaging", out=tmp_path / "other", dtype="int4")


def mismatched():
    """A model with a larger vocabulary, one with a head of its own, one that lacks a tensor."""
    base = {"embed.weight": torch.ones(4, 2), "w": torch.ones(3), "b": torch.ones(2)}
    wide = {"embed.weight": torch.full((5, 2), 7.0), "w": torch.full((3,), 2.0), "b": torch.full((2,), 2.0)}
    headed = {"embed.weight": torch.full((4, 2), 3.0), "w": torch.full((3,), 3.0), "b": torch.full((2,), 3.0)}
    headed["head.weight"] = torch.full((1,), 9.0)
    lacking = {"embed.weight": torch.full((4, 2), 4.0), "w": torch.full((3,), 4.0)}
    return base, [wide, headed, lacking]


def test_mismatches_are_all_listed_with_tensor_and_file(tmp_path):
    base, models = mismatched()
    paths = [save_folder(tmp_path / f"m{i}", model) for i, model in enumerate(models)]
    with pytest.raises(InputError) as caught:
        merge(save_folder(tmp_path / "base", base), paths, "averaging", out=tmp_path / "out")
    text = str(caught.value)
    assert "tensor 'embed.weight': shape [4, 2] in" in text
    assert "[5, 2] in" in text
    assert "m0/model.safetensors" in text
    assert "tensor 'head.weight': in" in text
    assert "m1/model.safetensors" in text
    assert f"tensor 'b': not in {tmp_path / 'm2'}" in text
    assert "\n" not in text
    assert not (tmp_path / "out").exists()


def test_skip_counts_a_mismatched_task_vector_as_zero(tmp_path):
    base, models = mismatched()
    merge(base, models, "averaging", out=tmp_path / "out", on_mismatch=r"skip")
    got = Checkpoint.open(tmp_path / "out")
    assert set(got.names) == set(base)
    torch.testing.assert_close(got.read("w"), torch.full((3,), 3.0))
    torch.testing.assert_close(got.read("embed.weight"), torch.full((4, 2), 1 + (0 + 2 + 3) / 3))
    torch.testing.assert_close(got.read("b"), torch.full((2,), 1 + (1 + 2 + 0) / 3))


def test_dense_takes_mismatched_tensors_from_the_first_model_that_has_them(tmp_path):
    base, models = mismatched()
    merge(base, models, "averaging", out=tmp_path / "out", on_mismatch=r"dense")
    got = Checkpoint.open(tmp_path / "out")
    assert torch.equal(got.read("embed.weight"), models[0]["embed.weight"])
    assert torch.equal(got.read("head.weight"), models[1]["head.weight"])
    in_memory = Averaging().fit(base, models, on_mismatch="dense").task_model(0)
    assert all(torch.equal(got.read(name), value) for name, value in in_memory.items())
    apart = Individual().fit(base, models, on_mismatch="dense")
    assert torch.equal(apart.task_model(1)["embed.weight"], models[1]["embed.weight"])
    torch.testing.assert_close(got.read("b"), torch.full((2,), 1 + (1 + 2 + 0) / 3))


def test_tied_lm_head_left_out_by_some_models_is_no_mismatch(tmp_path):
    # mergekit issue 350
    config = {"architectures": ["LlamaForCausalLM"], "tie_word_embeddings": True}
    name, head = "model.embed_tokens.weight", "lm_head.weight"
    base, one, two = torch.randn(3, 4, 2)
    tied = save_folder(tmp_path / "tied", {name: base}, config=config)
    stored = save_folder(tmp_path / "stored", {name: one, head: one.clone()}, config=config)
    merge(tied, [stored], "averaging", out=tmp_path / "a")
    assert Checkpoint.open(tmp_path / "a").names == [name]
    merge(stored, [save_folder(tmp_path / "two", {name: two}, config=config)], "averaging", out=tmp_path / "b")
    got = Checkpoint.open(tmp_path / "b")
    torch.testing.assert_close(got.read(head), two)
    untied = save_folder(tmp_path / "untied", {name: one, head: two}, config=config)
    with pytest.raises(InputError, match=rf"'{head}'.*there tied to '{name}', here not"):
        merge(tied, [untied], "averaging", out=tmp_path / "c")


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_values_that_are_not_finite_are_named_and_counted(folders, tmp_path, bad):
    base, models = folders
    spoiled = {name: value.clone() for name, value in MODELS[1].items()}
    spoiled["layer.bias"][[3, 5]] = bad
    save_file(spoiled, models[1] / "model.safetensors")
    want = r"tensor 'layer.bias' in .*m1.model.safetensors: got 2 NaN or infinite values"
    with pytest.raises(InputError, match=want):
        merge(base, models, "ties", out=tmp_path / "out")
    assert not (tmp_path / "out").exists()
    assert not list(tmp_path.glob(".*"))
    spoiled = {name: value.clone() for name, value in BASE.items()}
    spoiled["norm.weight"][2] = bad
    with pytest.raises(InputError, match=r"tensor 'norm.weight' in memory: got 1 NaN"):
        merge(spoiled, MODELS, "averaging", out=tmp_path / "out")


def test_difference_beyond_float32_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"tensor 'w' in memory: got a difference that float32 cannot hold"):
        merge({"w": torch.tensor([3e38])}, [{"w": torch.tensor([-3e38])}], "averaging", out=tmp_path / "out")
    large = {"w": torch.full((100,), 3e38)}
    merge({"w": torch.zeros(100)}, [large], "averaging", out=tmp_path / "out")  # the sum overflows, no value does
    assert torch.equal(Checkpoint.open(tmp_path / "out").read("w"), large["w"])


@pytest.mark.parametrize(
    ("method", "options", "message"),
    [
        ("karcher", {}, "merge method: got 'karcher', expected one of averaging"),
        ("ties", {"density": 0.2}, "setting of ties: got 'density', expected one of keep, scale, scope"),
        ("averaging", {"keep": 1}, "setting of averaging: got 'keep', expected one of weights"),
        ("ties", {"task": 1}, "task: got 1, expected none: ties makes one model"),
        ("emr", {}, "task: expected 0 to 2: emr keeps a model for each task"),
        ("emr", {"task": 3}, "task: got 3, expected 0 to 2: emr keeps a model for each task"),
        (Ties(), {"keep": 0.1}, "options: got keep, expected none beside a method object"),
        ("ties", {"on_mismatch": "ignore"}, "on_mismatch: got ignore"),
        ("ties", {"max_shard_size": "many"}, "max_shard_size: got many"),
    ],
)
def test_bad_arguments_are_refused_by_name(tmp_path, method, options, message):
    with pytest.raises(InputError, match=message):
        merge(BASE, MODELS, method, out=tmp_path / "out", **options)
    with pytest.raises(InputError, match=r"models: got none"):
        merge(BASE, [], "ties", out=tmp_path / "out")
    assert not list(tmp_path.iterdir())


def test_existing_folder_is_kept_unless_forced(folders, tmp_path):
    base, models = folders
    before = contents(base)
    with pytest.raises(ArtifactError, match=r"exists already"):
        merge(base, models, "ties", out=base)
    assert contents(base) == before


KILLED_MERGE = """
import os, signal, sys
from pathlib import Path
import tswitch
work, seen = Path(sys.argv[1]), []
def progress(_):
    seen.append(_)
    if len(seen) == 7:
        os.kill(os.getpid(), signal.SIGKILL)
models = [work / "m0", work / "m1"]
tswitch.merge(work / "base", models, "ties", out=work / "out", max_shard_size="1KB", progress=progress)
"""


def test_killed_merge_goes_on_and_ends_with_the_same_bytes(tmp_path):
    base = {f"layer.{i:02d}": torch.randn(16, 16).bfloat16() for i in range(24)}
    save_folder(tmp_path / "base", base)
    for index in (0, 1):
        save_folder(tmp_path / f"m{index}", finetuned(base, index, size=0.01))
    models = [tmp_path / "m0", tmp_path / "m1"]
    reference = merge(tmp_path / "base", models, "ties", out=tmp_path / "whole", max_shard_size="1KB")
    partial = tmp_path / ".out.partial"
    killed = warm().run(["-c", KILLED_MERGE, str(tmp_path)])
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert not (tmp_path / "out").exists()
    done = {path.name: path.stat().st_mtime_ns for path in partial.glob("*.safetensors")}
    assert len(done) == 6  # the seventh was written, but not yet whole on disk
    again = merge(tmp_path / "base", models, "ties", out=tmp_path / "out", max_shard_size="1KB")
    assert contents(tmp_path / "out") == contents(tmp_path / "whole")
    assert {name: (tmp_path / "out" / name).stat().st_mtime_ns for name in done} == done  # not written again
    assert (again.additions, again.rounded_away) == (reference.additions, reference.rounded_away)
    assert not partial.exists()


def test_changed_input_is_not_mixed_with_shards_of_the_old_one(tmp_path):
    base = save_folder(tmp_path / "base", BASE)
    model = save_folder(tmp_path / "m", MODELS[0])

    def stop(done):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        merge(base, [model], "averaging", out=tmp_path / "out", max_shard_size="60B", progress=stop)
    shutil.rmtree(model)
    save_folder(tmp_path / "m", MODELS[1])
    merge(base, [model], "averaging", out=tmp_path / "out", max_shard_size="60B")
    got = Checkpoint.open(tmp_path / "out")
    for name, value in MODELS[1].items():
        torch.testing.assert_close(got.read(name).float(), value.float(), atol=1e-6, rtol=0)


@pytest.mark.parametrize("single", [False, True])
def test_memory_does_not_grow_with_the_model(tmp_path, single):
    shape = (2**14, 2**11) if single else (2**11, 2**11)  # 64 MB of bfloat16, base and model together 128 MB
    names = ["w"] if single else [f"w{i}" for i in range(8)]
    pool = torch.randn(2**20).bfloat16()
    for index, folder in enumerate(("base", "m0")):
        values = (pool * (1 + index)).repeat(torch.Size(shape).numel() // pool.numel()).reshape(shape)
        (tmp_path / folder).mkdir()
        save_file({name: values.clone() for name in names}, tmp_path / folder / "model.safetensors")
        del values
    method = "ties" if single else "task_arithmetic"
    with peak_rss_anon() as peak:
        merge(tmp_path / "base", [tmp_path / "m0"], method, out=tmp_path / "out", max_shard_size="40MB")
    assert peak.above < 64 << 20
    tasks = TaskVectors(tmp_path / "base", [tmp_path / "m0"] * 64)  # 8 GB of models
    with peak_rss_anon() as peak:
        for piece in tasks.chunks(names[0]):
            assert piece.deltas.shape[0] == 64
            break
    assert peak.above < 64 << 20


def test_errors_of_merging_are_the_users_kind(tmp_path):
    with pytest.raises(NinefoldError):
        merge(tmp_path / "nosuch", [tmp_path / "nosuch"], out=tmp_path / "out")


@pytest.mark.parametrize(
    ("method", "message"),
    [
        (Averaging(weights=(1.0, -1.0)), "weights: got a sum of 0"),
        (Averaging(weights=0.0), "weights: got a sum of 0"),
        (TaskArithmetic(weights=(float("nan"), 1.0)), "weights: got nan, 1, expected finite numbers"),
        (Ties(weights=(1.0, 2.0, 3.0)), "weights: got 3 values, expected one, or 2"),
        (Ties(scale=float("nan")), "tensor .*: got NaN or infinity in the sum"),
    ],
)
def test_settings_that_would_write_nonsense_write_nothing(tmp_path, monkeypatch, method, message):
    with monkeypatch.context() as patched:
        if "tensor" not in message:  # refused before the passes over the models
            patched.setattr(type(method), "prepare", lambda *_: pytest.fail("work before the check"))
        with pytest.raises(InputError, match=message):
            merge(BASE, MODELS[:2], method, out=tmp_path / "out")
    assert not list(tmp_path.iterdir())


def test_a_model_without_values_is_refused(tmp_path):
    with torch.device("meta"):
        empty = torch.nn.Linear(3, 2)
    with pytest.raises(InputError, match="tensor 'weight': got a meta tensor"):
        merge(empty, [empty], "averaging", out=tmp_path / "out")
