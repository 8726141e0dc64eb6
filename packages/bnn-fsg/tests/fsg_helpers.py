"""A small network with an estimator, for the tests of both."""

from __future__ import annotations

import torch
from bnn_fsg.fsg._fsg import FSG
from bnn_fsg.layers._layers import binarize
from torch import nn

X = torch.randn(16, 6, generator=torch.Generator().manual_seed(0))
Y = torch.randint(0, 3, (16,), generator=torch.Generator().manual_seed(1))


def net(seed=0, weights="dorefa"):
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 5), nn.ReLU(), nn.Linear(5, 3))
    return binarize(model, weights, example_input=X)


def made(kind=FSG, lr=0.1, weights="dorefa", optimizer=torch.optim.SGD, **options):
    model = net(weights=weights)
    torch.manual_seed(5)
    return model, kind(model, optimizer(model.parameters(), lr=lr), **options)


def loss_of(model):
    return lambda: nn.functional.cross_entropy(model(X), Y)


def snapshot(model):
    return {name: one.detach().clone() for name, one in model.named_parameters()}
