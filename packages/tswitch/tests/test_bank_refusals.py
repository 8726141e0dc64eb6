"""What a bank refuses, and by which name."""

import pytest
import torch
from ninefold.errors import InputError
from torch import nn
from tswitch import Switch, SwitchBank

from .small_net import digests, finetuned, make_bank, make_base


@pytest.fixture
def base():
    return make_base()


def test_wrong_base_is_refused_by_tensor_name_and_force_overrides():
    switch = Switch.from_checkpoints(make_base(), finetuned(make_base(), 1), alpha=0.6)
    other = make_base()
    with torch.no_grad():
        other.conv.bias[3] += 1e-3
    before = digests(other)
    bank = SwitchBank(other)
    with pytest.raises(InputError, match=r"conv\.bias.*force"):
        bank.add("a", switch)
    assert bank.tasks == []
    bank.add("a", switch, force=True)
    with bank.use("a"):
        pass
    assert digests(other) == before


def test_base_changed_in_place_becomes_the_base_of_forced_tasks(base):
    bank = SwitchBank(base)
    bank.add("a", Switch.from_checkpoints(base, finetuned(base, 1), alpha=0.6), force=True)
    with torch.no_grad():
        base.conv.bias.add_(1)
    changed = digests(base)
    with bank.use("a"):
        base.conv.bias.data.zero_()  # what is done to a switched tensor is undone with the switch
    assert digests(base) == changed


def test_base_changed_in_place_after_add_is_refused(base):
    bank, _ = make_bank(base)
    with torch.no_grad():
        base.conv.bias.add_(1)
    changed = digests(base)
    for _ in range(2):
        with pytest.raises(InputError, match=r"conv\.bias"):
            bank.activate("t1")
    assert digests(base) == changed
    with torch.no_grad():
        base.conv.bias.copy_(make_base().conv.bias)
    bank.activate("t1")


def test_missing_and_misshapen_tensors_are_named(base):
    switch = Switch.from_checkpoints(base, finetuned(base, 1), alpha=0.6)
    smaller = make_base()
    del smaller.conv
    with pytest.raises(InputError, match=r"conv\.weight"):
        SwitchBank(smaller).add("a", switch)
    wider = make_base()
    wider.conv = nn.Conv1d(6, 7, 3)
    with pytest.raises(InputError, match=r"conv\.weight \(7, 6, 3\) for \(6, 6, 3\)"):
        SwitchBank(wider).add("a", switch)
    integer = make_base()
    integer.conv.weight = nn.Parameter(torch.zeros(6, 6, 3, dtype=torch.int32), requires_grad=False)
    with pytest.raises(InputError, match=r"integer.*conv\.weight"):
        SwitchBank(integer).add("a", switch)


def test_heads_that_do_not_fit_are_named(base):
    switch = Switch.from_checkpoints(base, finetuned(base, 1), alpha=0.6)
    bank = SwitchBank(base)
    with pytest.raises(InputError, match=r"classifier\.weight.*\(3, 7\)"):
        bank.add("a", switch, head={"classifier.weight": torch.ones(3, 7)})
    with pytest.raises(InputError, match="nosuch"):
        bank.add("a", switch, head={"nosuch.weight": torch.ones(3, 7)})
    with pytest.raises(InputError, match=r"conv\.weight"):
        bank.add("a", switch, head={"conv.weight": torch.ones(6, 6, 3)})
    assert bank.tasks == []


@pytest.mark.parametrize(
    "weights", ["t9", {"t9": 1.0}, {"t1": float("nan")}, {"t1": 1e39}, {"t1": True}, {"t1": "1"}], ids=str
)
def test_unusable_weights_are_refused_before_anything_is_written(base, weights):
    bank, _ = make_bank(base)
    bank.activate("t2")
    before = digests(base)
    with pytest.raises(InputError, match=r"t9|t1"):
        bank.activate(weights)
    assert digests(base) == before
    assert bank.active == {"t2": 1.0}


def test_names_are_taken_once_and_removed_when_off(base):
    bank, switches = make_bank(base)
    with pytest.raises(InputError, match="t1"):
        bank.add("t1", switches["t1"])
    with bank.use("t1"), pytest.raises(InputError, match="in use"):
        bank.remove("t1")
    bank.remove("t1")
    assert bank.tasks == ["t2", "t3"]


def test_quantised_models_are_refused(base):
    base.is_quantized = True
    with pytest.raises(InputError, match="quantised Net"):
        SwitchBank(base)
    del base.is_quantized
    base.frozen.register_buffer("qweight", torch.zeros(3, dtype=torch.int32))
    with pytest.raises(InputError, match=r"frozen\.qweight"):
        SwitchBank(base)


def test_adapter_switch_is_left_to_peft(base):
    switch = Switch.from_checkpoints(base, finetuned(base, 1), alpha=0.6)
    switch.config["adapter"] = {}
    with pytest.raises(InputError, match=r"switch of task 'a': got a LoRA adapter's.*save_adapter"):
        SwitchBank(base).add("a", switch)
