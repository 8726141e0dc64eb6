"""Statistics measured anew under a switch: equal to those of its own activations, and nothing else changes."""

import pytest
import torch
from ninefold.errors import InputError
from safetensors.torch import load_file
from torch import nn
from tswitch import Switch, SwitchBank, export, recalibrate


def net(seed=0):
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Conv2d(2, 4, 3, bias=False), nn.BatchNorm2d(4), nn.ReLU(), nn.Dropout(0.5), nn.Conv2d(4, 3, 3)
    )


@pytest.fixture
def base():
    return net()


@pytest.fixture
def switch(base):
    tuned = net()
    with torch.no_grad():
        for value in tuned.parameters():
            value += 0.3 * torch.randn_like(value)
        tuned[1].running_mean += 1
    return Switch.from_checkpoints(base, tuned, alpha=0.6)


def test_statistics_are_those_of_the_switched_weights(base, switch, tmp_path):
    batches = list(torch.randn(3, 8, 2, 9, 9, generator=torch.Generator().manual_seed(1)))
    before = {name: value.clone() for name, value in base.state_dict().items()}
    recalibrate(switch, base, batches).save_pretrained(tmp_path / "switch")
    stored = Switch.from_pretrained(tmp_path / "switch")

    bank = SwitchBank(base)
    bank.add("task", switch)
    with bank.use("task"), torch.no_grad():
        features = [base[0](batch) for batch in batches]
    mean = torch.stack([one.mean((0, 2, 3)) for one in features]).mean(0)
    spread = torch.stack([one.var((0, 2, 3)) for one in features]).mean(0)
    torch.testing.assert_close(stored.dense["1.running_mean"], mean)
    torch.testing.assert_close(stored.dense["1.running_var"], spread)
    assert all(torch.equal(stored.packed(name), switch.packed(name)) for name in switch.names)
    assert all(torch.equal(base.state_dict()[name], value) for name, value in before.items())


def test_names_may_lack_the_models_prefix(base, switch):
    outer = nn.Sequential()
    outer.add_module("encoder", base)
    batches = [torch.randn(8, 2, 9, 9)]
    inner = recalibrate(switch, base, batches)
    wrapped = recalibrate(switch, outer, batches, forward=lambda model, batch: model.encoder(batch))
    assert torch.equal(inner.dense["1.running_mean"], wrapped.dense["1.running_mean"])


def test_no_batch_is_refused(base, switch):
    with pytest.raises(InputError, match="no batch"):
        recalibrate(switch, base, [])


def test_a_model_without_batch_norm_is_refused():
    base, tuned = nn.Conv2d(2, 4, 3), nn.Conv2d(2, 4, 3)
    with pytest.raises(InputError, match="without BatchNorm"):
        recalibrate(Switch.from_checkpoints(base, tuned, alpha=0.6), base, [torch.randn(8, 2, 9, 9)])


def test_tensors_that_are_not_dense_are_refused(switch):
    with pytest.raises(InputError, match=r"0\.weight"):
        switch.with_dense({"0.weight": torch.zeros(4, 2, 3, 3)})
    with pytest.raises(InputError, match="running_mean"):
        switch.with_dense({"1.running_mean": torch.zeros(5)})


def test_a_variance_stays_one_under_weights_that_sum_to_more_than_one(base, tmp_path):
    switches = []
    for seed in (1, 2):
        tuned = net()
        with torch.no_grad():
            tuned[0].weight += 0.3 * torch.randn(tuned[0].weight.shape, generator=torch.Generator().manual_seed(seed))
            tuned[1].running_var *= 0.2
        switches.append(Switch.from_checkpoints(base, tuned, alpha=0.6))
    export(base, switches, tmp_path / "out")
    written = load_file(tmp_path / "out" / "model.safetensors")
    torch.testing.assert_close(written["1.running_var"], torch.full((4,), 0.2))
    bank = SwitchBank(base)
    for name, one in zip("ab", switches, strict=True):
        bank.add(name, one)
    with bank.use({"a": 1.0, "b": 1.0}):
        torch.testing.assert_close(base[1].running_var, torch.full((4,), 0.2))
    with bank.use({"a": 0.5}):
        torch.testing.assert_close(base[1].running_var, torch.full((4,), 0.6))
    assert torch.equal(base[1].running_var, torch.ones(4))


def test_an_empty_switch_is_refused_before_any_batch(base):
    with pytest.warns(UserWarning, match="the switch is empty"):
        empty = Switch.from_checkpoints(base, base, alpha=0.6)
    with pytest.raises(InputError, match="switch: got an empty one"):
        recalibrate(empty, base, iter([]))
