"""Exported folders: base + lambda * signs, for one switch and several, resumable, and only on the right base."""

from __future__ import annotations

import json

import pytest
import torch
from ninefold.errors import ArtifactError, InputError
from ninefold_testing import peak_rss_anon
from safetensors.torch import save_file
from tswitch import Checkpoint, Switch, compress, export

from .checkpoints import contents, finetuned, random_state, save_folder

BASE = random_state(0) | {"bn.running_mean": torch.ones(4), "bn.num_batches_tracked": torch.tensor(1)}
TUNED = [finetuned(BASE, seed) for seed in (1, 2)]


def expected(base, tuned, alpha=0.6):
    """base + lambda * signs by a full sort, for a tensor; float64."""
    tau = (tuned.double() - base.double()).reshape(-1)
    kept = torch.zeros_like(tau)
    for side in (tau > 0, tau < 0):
        count = int(side.sum() * (1 - alpha) + 1e-9) or int(side.sum())
        top = (tau.abs() * side).sort(descending=True).indices[:count]
        kept[top] = tau[top] * side[top]
    if not kept.any():
        return base.double()
    scale = tau.norm() / kept.sign().norm()
    return (base.double().reshape(-1) + scale * kept.sign()).reshape(base.shape)


@pytest.fixture
def base(tmp_path):
    return save_folder(tmp_path / "base", BASE, shards=2)


def switch_of(tuned, base=BASE, **options):
    return Switch.from_checkpoints(base, tuned, 0.6, **options)


def test_exported_folder_is_base_plus_switch(base, tmp_path):
    switch_of(TUNED[0]).save_pretrained(tmp_path / "switch")
    written = export(base, tmp_path / "switch", tmp_path / "out", max_shard_size="200B")
    got = Checkpoint.open(tmp_path / "out")
    assert set(got.names) == set(BASE)
    for name in ("layer.weight", "layer.bias", "norm.weight"):
        torch.testing.assert_close(
            got.read(name).double(), expected(BASE[name], TUNED[0][name]), atol=1e-6, rtol=0, msg=name
        )
    for name in ("scalar", "bn.running_mean", "bn.num_batches_tracked"):  # kept dense
        assert torch.equal(got.read(name), TUNED[0][name])
    assert written.shards > 1
    files = {path.name for path in (tmp_path / "out").iterdir()}
    assert {"config.json", "tokenizer.json", "README.md", "model.safetensors.index.json"} <= files
    card = (tmp_path / "out" / "README.md").read_text()
    assert "switch 0: `switch`, alpha 0.6" in card
    assert str(tmp_path) not in card


def test_several_switches_are_added_by_weight(base, tmp_path):
    switches = [switch_of(tuned) for tuned in TUNED]
    export(base, switches, tmp_path / "out", weights=[0.7, 0.3])
    got = Checkpoint.open(tmp_path / "out")
    for name in ("layer.weight", "layer.bias", "norm.weight"):
        parts = [w * (expected(BASE[name], t[name]) - BASE[name]) for w, t in zip((0.7, 0.3), TUNED, strict=True)]
        torch.testing.assert_close(got.read(name).double(), BASE[name].double() + sum(parts), atol=1e-6, rtol=0)
    mixed = BASE["scalar"] + 0.7 * (TUNED[0]["scalar"] - BASE["scalar"]) + 0.3 * (TUNED[1]["scalar"] - BASE["scalar"])
    torch.testing.assert_close(got.read("scalar"), mixed)
    assert torch.equal(got.read("bn.num_batches_tracked"), BASE["bn.num_batches_tracked"])
    with pytest.raises(InputError, match=r"weights: got 1 for 2 switches"):
        export(base, switches, tmp_path / "other", weights=[1.0])
    with pytest.raises(InputError, match=r"weights: got 0 for 0 switches"):
        export(base, [], tmp_path / "other")


def test_head_comes_along_with_a_single_switch_only(base, tmp_path):
    tuned = TUNED[0] | {"classifier.weight": torch.randn(2, 3)}
    switch = switch_of(tuned)
    export(base, switch, tmp_path / "one")
    assert torch.equal(Checkpoint.open(tmp_path / "one").read("classifier.weight"), tuned["classifier.weight"])
    export(base, [switch, switch_of(TUNED[1])], tmp_path / "two")
    assert "classifier.weight" not in Checkpoint.open(tmp_path / "two")


def test_tensors_of_another_shape_are_replaced_but_not_mixed(base, tmp_path):
    wide = TUNED[0] | {"norm.weight": torch.randn(20)}
    switch = switch_of(wide, on_mismatch=r"dense")
    export(base, switch, tmp_path / "one")
    assert torch.equal(Checkpoint.open(tmp_path / "one").read("norm.weight"), wide["norm.weight"])
    with pytest.raises(InputError, match=r"in another shape: norm.weight"):
        export(base, [switch, switch_of(TUNED[1])], tmp_path / "two")
    assert not (tmp_path / "two").exists()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_summed_in_float32_and_losses_counted(tmp_path, dtype):
    base = random_state(0, dtype)
    tuned = finetuned(base, 1, size=4e-4)
    switch = switch_of(tuned, base)
    written = export(base, switch, tmp_path / "out")
    got = Checkpoint.open(tmp_path / "out")
    moved = lost = 0
    for name, about in switch.tensors.items():
        want = (base[name].float() + switch.dequantise(name)).to(dtype)
        assert torch.equal(got.read(name), want)
        moved += about.active
        lost += int(((switch.dequantise(name) != 0) & (want == base[name])).sum())
    assert lost > 0
    assert (written.additions, written.rounded_away) == (moved, lost)


def test_chosen_dtype_is_written(base, tmp_path):
    export(base, switch_of(TUNED[0]), tmp_path / "out", dtype="float16")
    got = Checkpoint.open(tmp_path / "out")
    assert got.info("layer.weight").dtype == torch.float16
    assert got.info("bn.num_batches_tracked").dtype == torch.int64
    assert json.loads((tmp_path / "out" / "config.json").read_text())["torch_dtype"] == "float16"


def test_wrong_base_is_refused_unless_asked_for(tmp_path):
    other = {name: value + 1 if name == "norm.weight" else value for name, value in BASE.items()}
    switch = switch_of(TUNED[0])
    with pytest.raises(InputError, match=r"other values in 1 of .*norm.weight"):
        export(other, switch, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    export(other, switch, tmp_path / "out", any_base=True)
    want = expected(BASE["norm.weight"], TUNED[0]["norm.weight"]) + 1
    torch.testing.assert_close(Checkpoint.open(tmp_path / "out").read("norm.weight").double(), want, atol=1e-6, rtol=0)
    with pytest.raises(InputError, match=r"missing: norm.weight"):
        export({k: v for k, v in BASE.items() if k != "norm.weight"}, switch, tmp_path / "x", any_base=True)


def test_damaged_switch_writes_nothing(base, tmp_path):
    switch_of(TUNED[0]).save_pretrained(tmp_path / "switch")
    file = tmp_path / "switch" / "switch.safetensors"
    data = bytearray(file.read_bytes())
    data[-40] ^= 1
    file.write_bytes(data)
    with pytest.raises(ArtifactError, match=r"switch.safetensors"):
        export(base, tmp_path / "switch", tmp_path / "out")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["base", "switch"]


def test_interrupted_export_ends_with_the_same_bytes(base, tmp_path):
    switch_of(TUNED[0]).save_pretrained(tmp_path / "switch")
    export(base, tmp_path / "switch", tmp_path / "whole", max_shard_size="60B")
    seen = []

    def stop(parameters):
        seen.append(parameters)
        if len(seen) == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        export(base, tmp_path / "switch", tmp_path / "out", max_shard_size="60B", progress=stop)
    partial = tmp_path / ".out.partial"
    done = {path.name: path.stat().st_mtime_ns for path in partial.glob("*.safetensors")}
    assert done
    export(base, tmp_path / "switch", tmp_path / "out", max_shard_size="60B")
    assert contents(tmp_path / "out") == contents(tmp_path / "whole")
    assert {name: (tmp_path / "out" / name).stat().st_mtime_ns for name in done} == done
    with pytest.raises(ArtifactError, match=r"exists already"):
        export(base, tmp_path / "switch", tmp_path / "out")
    export(base, tmp_path / "switch", tmp_path / "out", max_shard_size="60B", force=True)
    assert contents(tmp_path / "out") == contents(tmp_path / "whole")


def test_tied_weight_is_changed_once(tmp_path):
    config = {"architectures": ["LlamaForCausalLM"], "tie_word_embeddings": True}
    before, after = torch.randn(2, 50, 4)
    base = save_folder(tmp_path / "base", {"model.embed_tokens.weight": before}, config=config)
    live = {"model.embed_tokens.weight": after}
    export(base, Switch.from_checkpoints(base, live | {"lm_head.weight": after}, alpha=0.6), tmp_path / "out")
    got = Checkpoint.open(tmp_path / "out")
    assert got.names == ["model.embed_tokens.weight"]
    torch.testing.assert_close(got.read("lm_head.weight").double(), expected(before, after), atol=1e-6, rtol=0)


def test_memory_is_bounded_inside_one_large_tensor(tmp_path):
    pool = torch.randn(2**20).bfloat16()
    for folder, values in (("base", pool), ("tuned", pool * 1.5)):
        (tmp_path / folder).mkdir()
        save_file({"w": values.repeat(32)}, tmp_path / folder / "model.safetensors")  # 64 MB
    compress(tmp_path / "base", tmp_path / "tuned", tmp_path / "switch", alpha=0.9)
    with peak_rss_anon() as peak:
        export(tmp_path / "base", tmp_path / "switch", tmp_path / "out")
    assert peak.above < 48 << 20


@pytest.mark.parametrize("weight", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_write_nothing(base, tmp_path, weight):
    with pytest.raises(InputError, match=r"weights: got .*expected finite numbers"):
        export(base, switch_of(TUNED[0]), tmp_path / "out", weights=[weight])
    assert not (tmp_path / "out").exists()


def test_a_sum_that_is_not_finite_names_its_tensor(base, tmp_path):
    with pytest.raises(InputError, match=r"tensor '.*': got NaN or infinity in the sum"):
        export(base, switch_of(TUNED[0]), tmp_path / "out", weights=[1e300])
    assert [path.name for path in tmp_path.iterdir()] == ["base"]


@pytest.mark.parametrize(("option", "value"), [("dtype", "int3"), ("max_shard_size", "lots")])
def test_a_bad_option_is_refused_before_the_base_is_read(base, tmp_path, monkeypatch, option, value):
    switch = switch_of(TUNED[0])
    monkeypatch.setattr(Checkpoint, "chunks", lambda *_, **__: pytest.fail("read before the check"))
    with pytest.raises(InputError, match=f"{option}: got {value}"):
        export(base, switch, tmp_path / "out", **{option: value})
