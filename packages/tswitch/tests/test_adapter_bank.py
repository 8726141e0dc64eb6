"""Switches of LoRA adapters in a live bank, against the adapters that they are written back as."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from ninefold.errors import InputError
from torch import nn
from tswitch import Switch, SwitchBank

peft = pytest.importorskip("peft")


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed, self.first, self.second = nn.Embedding(9, 8), nn.Linear(8, 8), nn.Linear(8, 4)

    def forward(self, ids):
        return self.second(self.first(self.embed(ids)).relu())


def base():
    torch.manual_seed(0)
    return Net().eval()


def wrapped(seed, rank=2):
    """A net with random LoRA factors on two layers."""
    torch.manual_seed(seed)
    model = peft.get_peft_model(base(), peft.LoraConfig(r=rank, target_modules=["first", "embed"]))
    with torch.no_grad():
        for name, value in model.named_parameters():
            if "lora" in name:
                value.normal_()
    return model.eval()


@pytest.fixture
def adapters(tmp_path):
    """(folder, switch) of two adapters; the second one's factors are written back from its switch."""
    found = []
    for seed in (1, 2):
        wrapped(seed).save_pretrained(tmp_path / f"a{seed}")
        switch = Switch.from_adapter(tmp_path / f"a{seed}")
        switch.save_pretrained(tmp_path / f"s{seed}")
        switch.save_adapter(tmp_path / f"restored{seed}")
        found.append((tmp_path / f"restored{seed}", Switch.from_pretrained(tmp_path / f"s{seed}")))
    return found


def test_a_live_model_flips_between_adapters(adapters):
    model = wrapped(3)
    ids = torch.arange(9)[None]
    before = model(ids).detach()
    bank = SwitchBank(model)
    for place, (_, switch) in enumerate(adapters):
        bank.add(f"t{place}", switch, head=lambda output: output)
    outputs = []
    for place, (folder, _) in enumerate(adapters):
        alone = peft.PeftModel.from_pretrained(base(), str(folder)).eval()
        with torch.no_grad(), bank.use(f"t{place}"):
            outputs.append(model(ids))
            np.testing.assert_allclose(outputs[-1], alone(ids), atol=1e-5)
    assert torch.equal(model(ids), before)
    together, cost = bank.answer(ids.expand(2, 9), ["t1", "t0"])
    assert cost.forwards == 1
    for row, place in enumerate((1, 0)):
        np.testing.assert_allclose(together[row], outputs[place][0], atol=1e-5)


def test_factors_of_another_rank_are_refused(adapters):
    with pytest.raises(InputError, match=r"adapter of task 'a'.*other shapes: .*lora_A"):
        SwitchBank(wrapped(3, rank=4)).add("a", adapters[0][1], head=lambda output: output)
    with pytest.raises(InputError, match=r"no factors .*\(0 found\).*get_peft_model"):
        SwitchBank(base()).add("a", adapters[0][1], head=lambda output: output)
