"""A small model with everything a bank must mind, its fine-tuned copies, and a dense reference."""

import hashlib

import numpy as np
import torch
from torch import nn
from tswitch import Switch, SwitchBank


class Net(nn.Module):
    """Small, with everything a bank must mind: tied weights, BatchNorm, a scalar, a head, an untouched tensor."""

    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(11, 6)
        self.conv = nn.Conv1d(6, 6, 3, padding=1)
        self.norm = nn.BatchNorm1d(6)
        self.temperature = nn.Parameter(torch.tensor(2.0))
        self.frozen = nn.Linear(6, 6)
        self.decoder = nn.Linear(6, 11, bias=False)
        self.decoder.weight = self.embed.weight
        self.classifier = nn.Linear(6, 3)

    def forward(self, tokens):
        hidden = self.norm(self.conv(self.embed(tokens).mT)).relu()
        return self.classifier(self.frozen(hidden.mean(-1)) * self.temperature)


def close(one, two):
    np.testing.assert_allclose(one.detach().numpy(), two.detach().numpy(), rtol=1e-6, atol=1e-7)


def make_base(seed=0):
    torch.manual_seed(seed)
    net = Net().eval()
    net.norm.running_mean.normal_()
    return net


def finetuned(base, seed, classes=3, skip=("frozen",)):
    """A copy of `base` in which everything but `skip` moved."""
    tuned = make_base()
    tuned.load_state_dict(base.state_dict())
    gen = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, value in tuned.named_parameters():
            if not name.startswith(skip):
                value += 0.1 * torch.randn(value.shape, generator=gen)
        tuned.norm.running_mean += 1
        tuned.norm.running_var += 0.5
        tuned.norm.num_batches_tracked += seed
    tuned.classifier = nn.Linear(6, classes)
    return tuned


def make_bank(base, count=3, **options):
    bank = SwitchBank(base, **options)
    switches = {}
    for seed in range(1, count + 1):
        switches[f"t{seed}"] = Switch.from_checkpoints(base, finetuned(base, seed, classes=seed + 1), alpha=0.3)
        bank.add(f"t{seed}", switches[f"t{seed}"])
    return bank, switches


def digests(model):
    tensors = {**dict(model.named_parameters(remove_duplicate=False)), **dict(model.named_buffers())}
    return {
        name: (value.data_ptr(), hashlib.sha256(value.detach().reshape(-1).view(torch.uint8).numpy()).hexdigest())
        for name, value in tensors.items()
    }


def dense(base, weights, switches):
    """base + sum of w lambda S, tensor by tensor, with plain torch; statistics are averaged beyond a sum of one."""
    state = {name: value.clone() for name, value in base.state_dict().items()}
    for name, weight in weights.items():
        switch = switches[name]
        for key, about in switch.tensors.items():
            scale = torch.tensor(weight * about.scale, dtype=torch.float32)
            state[key] = state[key] + switch.dequantise(key).sign() * scale
        for key, value in switch.dense.items():
            if value.is_floating_point():
                share = max(1.0, sum(weights.values())) if "running" in key else 1.0
                state[key] = state[key] + weight / share * (value - base.state_dict()[key])
    for key in ("decoder.weight",):
        state[key] = state["embed.weight"]
    return state
