"""The control: each voxel's commonest label, and the commonest of all where nothing was seen."""

from __future__ import annotations

import torch
from fastocc.baselines import Prior
from fastocc.geometry import GridSpec


def test_prior_is_the_commonest_label_of_each_voxel():
    prior = Prior(1, GridSpec((0, 0, 0), (1, 1, 1), (2, 1, 1)), 4)
    for first, second in ((1, 3), (1, 3), (2, 255), (0, 3)):
        prior.observe(torch.tensor([[[first]], [[second]]], dtype=torch.uint8))
    assert prior(torch.zeros(2, 1, 1, 2)).argmax(-1).flatten().tolist() == [1, 3, 1, 3]


def test_voxel_that_no_frame_shows_takes_the_commonest_label_of_all():
    prior = Prior(1, GridSpec((0, 0, 0), (1, 1, 1), (3, 1, 1)), 4)
    labels = torch.tensor([3, 3, 0], dtype=torch.uint8).view(3, 1, 1)
    prior.observe(labels, torch.tensor([True, True, False]).view(3, 1, 1))
    assert prior(torch.zeros(1, 1, 1, 3)).argmax(-1).flatten().tolist() == [3, 3, 3]
