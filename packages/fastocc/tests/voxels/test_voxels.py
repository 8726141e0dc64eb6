"""Voxel FPNs: folding equals 3D, shapes, and what the partial one saves."""

from __future__ import annotations

import pytest
import torch
from fastocc.evaluation import count_macs
from fastocc.voxels import FPNS, DeepConv, VoxelMlp, fold, to_columns, unfold
from torch import nn


def test_fold_and_unfold_are_inverse():
    volume = torch.randn(2, 3, 4, 5, 6)
    assert torch.equal(unfold(fold(volume), 4), volume)


def test_folded_2d_convolution_equals_a_flat_3d_one():
    torch.manual_seed(0)
    flat, volume = nn.Conv2d(3, 4, 3, 2, 1), torch.randn(2, 3, 4, 6, 6)
    deep = nn.Conv3d(3, 4, (1, 3, 3), (1, 2, 2), (0, 1, 1))
    deep.weight.data.copy_(flat.weight[:, :, None])
    deep.bias.data.copy_(flat.bias)
    torch.testing.assert_close(unfold(flat(fold(volume)), 4), deep(volume), atol=1e-5, rtol=1e-5)


def test_batch_norm_on_folded_features_has_the_statistics_of_3d():
    torch.manual_seed(0)
    volume = torch.randn(2, 3, 4, 5, 6)
    torch.testing.assert_close(unfold(nn.BatchNorm2d(3)(fold(volume)), 4), nn.BatchNorm3d(3)(volume))


def test_deep_convolution_equals_3d():
    torch.manual_seed(0)
    layer, volume = DeepConv(2, 3, 4), torch.randn(1, 2, 4, 5, 5)
    expected = nn.functional.conv3d(volume, layer.weight, padding=1)
    torch.testing.assert_close(unfold(layer(fold(volume)), 4), expected)


@pytest.mark.parametrize("name", list(FPNS))
@pytest.mark.parametrize("levels", [1, 5, 8])
def test_shape_is_kept_for_odd_sizes_too(name, levels):
    fpn = FPNS[name](4, levels).eval()
    assert fpn(torch.randn(2 * levels, 4, 11, 9)).shape == (2 * levels, 4, 11, 9)


@pytest.mark.parametrize("name", [name for name in FPNS if name != "none"])
def test_pyramid_is_added_to_its_input(name):
    torch.manual_seed(0)
    x, fpn = torch.randn(8, 4, 8, 8), FPNS[name](4, 8).eval()
    assert (fpn(x) - x).abs().max() > 0.1
    nn.init.zeros_(fpn.out[1].weight)
    assert torch.equal(fpn(x), x)


def test_partial_needs_much_less_than_full_and_by_the_formula():
    levels, channels, side = 8, 4, 16
    x = torch.zeros(levels, channels, side, side)
    counts = {name: count_macs(FPNS[name](channels, levels).eval(), x) for name in ("partial", "full")}
    voxels = [levels * side**2 // 4**level for level in range(3)]
    lateral = sum(count * width for count, width in zip(voxels, (4, 8, 16), strict=True)) * channels
    flat = voxels[1] * 9 * 4 * 8 + voxels[2] * 9 * 8 * 16 + voxels[0] * 9 * 4 * 4
    deep = voxels[2] * 27 * 16 * 16
    assert counts["partial"] == flat + deep + lateral
    assert counts["full"] == 3 * flat + deep + lateral


def test_sparse_classifier_starts_at_one_percent():
    mlp = VoxelMlp(4, 3, sparse=True)
    nn.init.zeros_(mlp.last.weight)
    assert torch.allclose(mlp(torch.randn(2, 4, 3, 3)).sigmoid(), torch.tensor(0.01))


def test_classifier_with_a_layer_for_each_height_equals_one_classifier_a_height():
    torch.manual_seed(0)
    both = VoxelMlp(4, 3, heights=2)
    x = torch.randn(3 * 2, 4, 5, 6)  # B = 3, Z = 2
    for height in range(2):
        one = VoxelMlp(4, 3)
        one.first.load_state_dict(both.first.state_dict())
        one.last.weight.data.copy_(both.last.weight[3 * height : 3 * height + 3])
        one.last.bias.data.copy_(both.last.bias[3 * height : 3 * height + 3])
        torch.testing.assert_close(both(x)[height::2], one(x[height::2]), atol=1e-5, rtol=1e-5)


def test_columns_have_the_axes_of_the_labels():
    folded = torch.arange(2 * 3 * 5 * 4).view(2, 3, 5, 4)  # Z = 2, K = 3, X = 5, Y = 4
    volume = to_columns(folded, 2)
    assert volume.shape == (1, 5, 4, 2, 3)
    assert volume[0, 3, 1, 1, 2] == folded[1, 2, 3, 1]
