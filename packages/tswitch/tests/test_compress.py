import json
import os
import signal

import numpy as np
import pytest
import torch
from ninefold import artifacts
from ninefold.errors import ArtifactError, InputError
from ninefold.files import _atomic
from ninefold_testing import warm
from tswitch import Checkpoint, Switch, compress, ternarise
from tswitch.switch import _build, _compress, _delta
from tswitch.switch._tasks import TaskVectors

from .models import contents, pair, write
from .oracle import knob_of, mask_of


def values(switch, name):
    return torch.cat([chunk for _, chunk in switch.ternary(name)]).reshape(switch.tensors[name].shape)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16, torch.float64])
@pytest.mark.parametrize("scale", ["l2", "mean", "full"])
def test_each_tensor_is_coded_by_its_own_thresholds_in_float32(dtype, scale):
    base, tuned = pair(dtype=dtype)
    switch = Switch.from_checkpoints(base, tuned, alpha=0.6, scale=scale)
    assert switch.names == ["embed.weight", "layer.bias", "layer.weight"]
    for name in switch.names:
        tau = (tuned[name].float() - base[name].float()).numpy()
        mask = mask_of(tau, 0.6)
        assert np.array_equal(values(switch, name), np.where(mask, np.sign(tau), 0))
        assert np.float32(switch.tensors[name].scale) == knob_of(tau, mask, scale)
        assert switch.tensors[name].dtype == dtype
        direct = ternarise(torch.from_numpy(tau), 0.6, scale)
        assert torch.equal(switch.dequantise(name), direct.dequantise())


def test_model_granularity_has_one_pair_of_thresholds_and_one_scale():
    base, tuned = pair()
    switch = Switch.from_checkpoints(base, tuned, alpha=0.6, granularity="model")
    names = ["embed.weight", "layer.bias", "layer.weight"]
    tau = np.concatenate([(tuned[name] - base[name]).numpy().reshape(-1) for name in names])
    mask = mask_of(tau, 0.6)
    assert np.array_equal(
        torch.cat([values(switch, name).reshape(-1) for name in names]), np.where(mask, np.sign(tau), 0)
    )
    assert {np.float32(about.scale) for about in switch.tensors.values()} == {knob_of(tau, mask)}


def test_what_cannot_be_coded_is_kept_and_what_did_not_change_is_dropped():
    base, tuned = pair()
    switch = Switch.from_checkpoints(base, tuned, alpha=0.6)
    assert sorted(switch.dense) == ["bn.num_batches_tracked", "bn.running_mean", "bn.running_var", "logit_scale"]
    assert all(torch.equal(switch.dense[name], tuned[name]) for name in switch.dense)
    assert list(switch.head) == ["classifier.weight"]
    assert torch.equal(switch.head["classifier.weight"], tuned["classifier.weight"])
    assert sorted(switch.base_digests) == ["embed.weight", "empty", "layer.bias", "layer.weight", "norm.weight"]
    assert switch.parameters == 50 * 16 + 16 * 16 + 16 + 16
    assert switch.density == switch.active / switch.parameters


@pytest.mark.parametrize("granularity", ["tensor", "model"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_from_disk_equals_from_memory_bit_for_bit(tmp_path, granularity, dtype):
    base, tuned = pair(dtype=dtype)
    write(tmp_path / "memory", base)
    on_disk = compress(
        write(tmp_path / "base", base), write(tmp_path / "tuned", tuned), tmp_path / "a", granularity=granularity
    )
    Switch.from_checkpoints(base, tuned, granularity=granularity).save_pretrained(tmp_path / "b")
    on_disk.verify()
    ours, theirs = contents(tmp_path / "a"), contents(tmp_path / "b")
    for side in (ours, theirs):
        side["switch_config.json"] = side["README.md"] = b""  # they name the base: a folder here, memory there
    assert ours == theirs


def test_a_tensor_of_many_chunks_gives_the_same_bytes_as_one_kept_in_memory(tmp_path, monkeypatch):
    generator = torch.Generator().manual_seed(0)
    base = {"w": torch.randn(300, 1000, generator=generator)}
    tuned = {"w": base["w"] + torch.randn(300, 1000, generator=generator).bfloat16()}
    Switch.from_checkpoints(base, tuned, alpha=0.6).save_pretrained(tmp_path / "whole")
    monkeypatch.setattr(_delta, "CACHED", 0)
    monkeypatch.setattr(_delta, "CHUNK", 1 << 16)
    Switch.from_checkpoints(base, tuned, alpha=0.6).save_pretrained(tmp_path / "chunked")
    assert contents(tmp_path / "whole") == contents(tmp_path / "chunked")


def test_shards_and_layout_do_not_show_in_the_result(tmp_path):
    base, tuned = pair()
    write(tmp_path / "base", base)
    names = list(tuned)
    shards = {"model-00001-of-00002.safetensors": names[5:], "model-00002-of-00002.safetensors": names[:5]}
    for file, held in shards.items():
        write(tmp_path / "tuned", {name: tuned[name] for name in held}, file)
    index = {"weight_map": {name: file for file, held in shards.items() for name in held}}
    (tmp_path / "tuned" / "model.safetensors.index.json").write_text(json.dumps(index))
    compress(tmp_path / "base", tmp_path / "tuned", tmp_path / "sharded", alpha=0.6)
    compress(tmp_path / "base", write(tmp_path / "single", tuned), tmp_path / "whole", alpha=0.6)
    assert contents(tmp_path / "sharded") == contents(tmp_path / "whole")


def test_tied_tensors_are_coded_once():
    class Tied(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.embed, self.head = torch.nn.Embedding(20, 8), torch.nn.Linear(8, 20, bias=False)
            self.head.weight = self.embed.weight

    torch.manual_seed(0)
    base, tuned = Tied(), Tied()
    switch = Switch.from_checkpoints(base, tuned, alpha=0.6)
    assert switch.names == ["embed.weight"]
    assert switch.tied == {"head.weight": "embed.weight"}
    assert switch.parameters == 160
    with_copy = {"embed.weight": tuned.embed.weight, "head.weight": tuned.embed.weight.clone()}
    assert Switch.from_checkpoints(base, with_copy, alpha=0.6).names == ["embed.weight"]
    with_copy["head.weight"] += 1
    with pytest.raises(InputError, match=r"tied in the base only: head\.weight and embed\.weight"):
        Switch.from_checkpoints(base, with_copy, alpha=0.6)


def test_a_tensor_that_is_not_contiguous_is_read_in_logical_order():
    base, tuned = {"w": torch.zeros(6, 8)}, {"w": torch.randn(8, 6, generator=torch.Generator().manual_seed(0)).T}
    contiguous = Switch.from_checkpoints(base, {"w": tuned["w"].contiguous()}, alpha=0.6)
    assert torch.equal(Switch.from_checkpoints(base, tuned, alpha=0.6).dequantise("w"), contiguous.dequantise("w"))


def test_an_unchanged_model_gives_an_empty_switch_and_a_warning(tmp_path):
    base, _ = pair()
    with pytest.warns(UserWarning, match="equals its base.*empty"):
        switch = Switch.from_checkpoints(base, base, alpha=0.6)
    assert (switch.names, switch.density, list(switch.dense)) == ([], 0, [])
    switch.save_pretrained(tmp_path / "out")
    Switch.from_pretrained(tmp_path / "out").verify()


# Bad input


@pytest.mark.parametrize("granularity", ["tensor", "model"])
@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_what_is_not_finite_is_named_with_tensor_file_and_count(tmp_path, granularity, bad):
    base, tuned = pair()
    tuned["layer.weight"][2, :3] = bad
    folder = write(tmp_path / "tuned", tuned)
    with pytest.raises(InputError, match=r"'layer.weight' in .*model\.safetensors: got 3 NaN or infinite"):
        compress(write(tmp_path / "base", base), folder, tmp_path / "out", granularity=granularity)
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["base", "tuned"]


def mismatched():
    base, tuned = pair()
    del tuned["layer.bias"]
    tuned["extra"] = torch.ones(3)
    tuned["embed.weight"] = torch.ones(52, 16)
    tuned["norm.weight"] = torch.ones(16, dtype=torch.int64)
    return base, tuned


def test_all_mismatches_are_listed_at_once():
    with pytest.raises(InputError) as caught:
        Switch.from_checkpoints(*mismatched(), alpha=0.6)
    for part in ("layer.bias", "extra", r"embed.weight (50, 16) became (52, 16)", "norm.weight float32 became int64"):
        assert part in str(caught.value)
    assert "--on-mismatch" in str(caught.value)


def test_an_index_buffer_that_only_one_checkpoint_saved_is_left_out():
    base, tuned = pair()
    del tuned["position_ids"]
    tuned["token_type_ids"] = torch.zeros(50, dtype=torch.int64)
    assert Switch.from_checkpoints(base, tuned, alpha=0.6).config["skipped"] == ["position_ids", "token_type_ids"]


def test_mismatches_can_be_left_out_or_kept_whole():
    base, tuned = mismatched()
    skipped = Switch.from_checkpoints(base, tuned, on_mismatch="skip", alpha=0.6)
    assert skipped.names == ["layer.weight"]
    assert skipped.config["skipped"] == ["embed.weight", "extra", "layer.bias", "norm.weight"]
    dense = Switch.from_checkpoints(base, tuned, on_mismatch="dense", alpha=0.6)
    assert dense.config["skipped"] == ["layer.bias"]
    more = len(tuned["embed.weight"]) - len(base["embed.weight"])
    assert torch.equal(dense.rows["embed.weight"], tuned["embed.weight"][-more:])
    assert {"extra", "norm.weight"} <= set(dense.dense)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"alpha": 60}, "alpha.*share"),
        ({"granularity": "row"}, "granularity.*'tensor' or 'model'"),
        ({"scale": "max"}, "scale.*'l2' or 'mean' or 'full'"),
        ({"on_mismatch": "ignore"}, "on_mismatch.*'error' or 'skip' or 'dense'"),
    ],
)
def test_wrong_settings_are_refused(setting, message):
    with pytest.raises(InputError, match=message):
        Switch.from_checkpoints({}, {}, **setting)


def test_a_quantised_base_is_refused():
    base, tuned = pair()
    base["layer.weight.absmax"] = torch.ones(3)
    with pytest.raises(ArtifactError, match="quantised"):
        Switch.from_checkpoints(base, tuned, alpha=0.6)


def test_an_existing_folder_is_kept_unless_forced(tmp_path):
    base, tuned = pair()
    compress(base, tuned, tmp_path / "out", alpha=0.5)
    before = contents(tmp_path / "out")
    with pytest.raises(ArtifactError, match="exists already"):
        compress(base, tuned, tmp_path / "out", alpha=0.9)
    assert contents(tmp_path / "out") == before
    compress(base, tuned, tmp_path / "out", alpha=0.9, force=True)
    assert Switch.from_pretrained(tmp_path / "out").config["alpha"] == 0.9


# LoRA


def adapter(folder):
    generator = torch.Generator().manual_seed(0)
    state = {
        "base_model.model.q.lora_A.weight": torch.randn(4, 32, generator=generator),
        "base_model.model.q.lora_B.weight": torch.randn(32, 4, generator=generator),
        "base_model.model.score.weight": torch.randn(2, 32, generator=generator),
    }
    write(folder, state, "adapter_model.safetensors")
    config = {"peft_type": "LORA", "r": 4, "base_model_name_or_path": "someone/base"}
    (folder / "adapter_config.json").write_text(json.dumps(config))
    return state, config


def test_lora_factors_are_ternarised_themselves_and_come_back_as_an_adapter(tmp_path):
    state, config = adapter(tmp_path / "adapter")
    Switch.from_adapter(tmp_path / "adapter").save_pretrained(tmp_path / "switch")
    switch = Switch.from_pretrained(tmp_path / "switch")
    assert switch.config["alpha"] == 0.4
    assert switch.config["base"] == "someone/base"
    switch.save_adapter(tmp_path / "back")
    back = Checkpoint.open(tmp_path / "back")
    assert back.config == config
    for name, factor in state.items():
        expected = ternarise(factor, 0.4, "l2").dequantise() if "lora" in name else factor
        assert torch.equal(back.read(name), expected)


def test_a_lora_factor_of_zeros_is_still_in_the_adapter(tmp_path):
    state, _ = adapter(tmp_path / "adapter")
    state["base_model.model.k.lora_B.weight"] = torch.zeros(32, 4)
    write(tmp_path / "adapter", state, "adapter_model.safetensors")
    Switch.from_adapter(tmp_path / "adapter").save_pretrained(tmp_path / "switch")
    Switch.from_pretrained(tmp_path / "switch").save_adapter(tmp_path / "back")
    back = Checkpoint.open(tmp_path / "back")
    assert sorted(back.names) == sorted(state)
    assert torch.equal(back.read("base_model.model.k.lora_B.weight"), torch.zeros(32, 4))


def test_a_lora_adapter_is_not_taken_for_a_full_model(tmp_path):
    adapter(tmp_path)
    with pytest.raises(InputError, match="from_adapter"):
        Switch.from_checkpoints(pair()[0], tmp_path, alpha=0.6)
    with pytest.raises(InputError, match="lora_A"):
        Switch.from_adapter(write(tmp_path / "full", pair()[0]))
    with pytest.raises(InputError, match=r"one made by Switch\.from_adapter"):
        Switch.from_checkpoints(*pair(), alpha=0.6).save_adapter(tmp_path / "out")


# Interruption and scale


def die_at(monkeypatch, holder, name, call):
    """Replace a function by one that kills this process at its n-th call."""
    original, calls = getattr(holder, name), []

    def deadly(*args, **kwargs):
        calls.append(name)
        if len(calls) == call:
            os.kill(os.getpid(), signal.SIGKILL)
        return original(*args, **kwargs)

    monkeypatch.setattr(holder, name, deadly)


@pytest.mark.parametrize(
    ("holder", "name", "call", "given"),
    [
        (_compress.Spool, "put", 1, {"alpha": 0.6}),
        (_compress.Spool, "put", 4, {"alpha": 0.6}),
        (artifacts, "save", 1, {"alpha": 0.6}),
        (artifacts, "save", 2, {"alpha": 0.6}),
        (_atomic, "_flush", 1, {"alpha": 0.6}),
        (_atomic, "_flush", 6, {"alpha": 0.6}),
        (_build, "write_folder", 1, {}),
        (artifacts, "save", 1, {}),
        (_atomic, "_flush", 1, {}),
        (_atomic, "_flush", 6, {}),
    ],
)
def test_killed_at_any_point_the_rerun_ends_with_the_same_bytes(tmp_path, monkeypatch, holder, name, call, given):
    base, tuned = pair()
    compress(base, tuned, tmp_path / "whole", **given)
    child = os.fork()
    if child == 0:
        die_at(monkeypatch, holder, name, call)
        compress(base, tuned, tmp_path / "out", **given)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    assert not (tmp_path / "out").exists()
    compress(base, tuned, tmp_path / "out", **given)
    assert contents(tmp_path / "out") == contents(tmp_path / "whole")
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["out", "whole"], "what the killed run left is gone"


MEMORY = """
import sys, torch, tswitch
from pathlib import Path
from ninefold_testing import peak_rss_anon
from tswitch import Switch, compress
folder = Path(sys.argv[1])
compress({"w": torch.zeros(600000)}, {"w": torch.ones(600000)}, folder / "warm")  # imports and kernels
with peak_rss_anon() as peak:
    compress(folder / "base", folder / "tuned", folder / "out", alpha=float(sys.argv[2]) if sys.argv[2:] else None)
print(peak.above)
"""


@pytest.mark.parametrize("given", [["0.6"], []])
def test_memory_does_not_grow_with_the_size_of_a_tensor(tmp_path, given):
    size = 40_000_000  # 80 MB as bfloat16, and its difference would be 160 MB in float32
    tuned = torch.arange(size, dtype=torch.int32).mul_(-1640531527).bitwise_right_shift_(16).to(torch.bfloat16)
    write(tmp_path / "tuned", {"w": tuned})
    write(tmp_path / "base", {"w": torch.zeros(size, dtype=torch.bfloat16)})
    result = warm().run(["-c", MEMORY, str(tmp_path), *given])
    assert result.returncode == 0, result.stderr
    assert int(result.stdout) < 120e6


def rounded_pair(size=40_000, changed=0.02):
    """A base in float32, and a copy of it that was tuned in bfloat16: a few entries move, all are rounded."""
    generator = torch.Generator().manual_seed(0)
    base = {"w": torch.randn(size, generator=generator)}
    tuned = base["w"].bfloat16()
    moved = torch.rand(size, generator=generator) < changed
    tuned[moved] += (0.5 * torch.randn(int(moved.sum()), generator=generator)).bfloat16()
    return base, {"w": tuned}


@pytest.mark.parametrize("wide", ["base", "fine-tuned"])
def test_a_pair_of_two_precisions_is_compared_in_the_narrower_one(wide):
    base, tuned = rounded_pair()
    if wide == "fine-tuned":  # a float32 file of a model whose base is at hand in bfloat16 only
        base, tuned = {"w": base["w"].bfloat16()}, {"w": tuned["w"].float() + 1e-5}
    with pytest.warns(UserWarning, match=r"float32.*bfloat16.*1 tensor"):
        mixed = Switch.from_checkpoints(base, tuned, alpha=0.6)
    same = Switch.from_checkpoints({"w": base["w"].bfloat16()}, {"w": tuned["w"].bfloat16()}, alpha=0.6)
    assert mixed.density == same.density < 0.02
    assert torch.equal(mixed.packed("w"), same.packed("w"))
    assert mixed.tensors["w"].scale == same.tensors["w"].scale
    mixed.check_base(base)  # the base that was given, not its rounded form


def test_half_precisions_of_different_kinds_meet_in_the_coarser_one():
    base, tuned = rounded_pair()
    with pytest.warns(UserWarning, match="float16.*bfloat16"):
        mixed = Switch.from_checkpoints({"w": base["w"].half()}, tuned, alpha=0.6)
    same = Switch.from_checkpoints({"w": base["w"].half().bfloat16()}, tuned, alpha=0.6)
    assert torch.equal(mixed.packed("w"), same.packed("w"))


def test_double_precision_is_no_other_precision_for_differences_in_float32(recwarn):
    base, tuned = pair()
    Switch.from_checkpoints({k: v.double() if v.is_floating_point() else v for k, v in base.items()}, tuned, alpha=0.6)
    assert not recwarn


@pytest.mark.parametrize("side", ["both", "base"])
def test_integer_weights_are_refused_by_name(side):
    base, tuned = {"w": torch.ones(4, 4, dtype=torch.int8)}, {"w": torch.zeros(4, 4, dtype=torch.int8)}
    if side == "base":
        tuned = {"w": torch.zeros(4, 4)}
    with pytest.raises(InputError, match=r"tensor 'w'.*int8 weights.*full-precision"):
        Switch.from_checkpoints(base, tuned, alpha=0.6)
    with pytest.raises(InputError, match=r"tensor 'w'.*int8 weights.*full-precision"):
        TaskVectors(base, [tuned])
