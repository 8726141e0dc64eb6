"""Losses against formulas, decoding, the head's checks."""

from __future__ import annotations

import math

import pytest
import torch
from fastocc import DeformableC2h, FastOccHead, GridSpec
from fastocc.baselines import ChannelToHeight
from fastocc.heads import (
    balanced_weights,
    class_weights,
    decode,
    focal_loss,
    geometric_affinity,
    lovasz_softmax,
    occupancy_loss,
    segmentation_loss,
    semantic_affinity,
)
from fastocc.models import HEADS, FastOccConfig, build_head
from ninefold.errors import InputError

GRID = GridSpec.named("micro")
KINDS = ("ce", "focal", "strong")


def test_head_works_on_any_bev_tensor():
    head = FastOccHead(12, GRID, 5, channels=3).eval()
    assert head(torch.randn(2, 12, 13, 17)).shape == (2, 17, 13, 8, 5)
    with pytest.raises(InputError, match="bev"):
        head(torch.randn(2, 11, 13, 17))


@pytest.mark.parametrize(("key", "value"), [("lift", "cubic"), ("fpn", "half"), ("channels", 0)])
def test_wrong_options_are_named(key, value):
    with pytest.raises(InputError, match=key):
        FastOccHead(12, GRID, 5, **{key: value})


def test_deformable_head_without_offsets_is_channel_to_height():
    torch.manual_seed(0)
    ours, flat = (kind(12, GRID, 5, width=24, hidden=30).eval() for kind in (DeformableC2h, ChannelToHeight))
    state = flat.state_dict()
    state["conv.0.weight"] = 2 * state["conv.0.weight"]  # modulation starts at a half
    left = ours.load_state_dict(state, strict=False)
    assert {name.partition(".field")[0] for name in left.missing_keys} == {"conv.0", "conv.0.bias"}
    bev = torch.randn(2, 12, 13, 17)
    torch.testing.assert_close(ours(bev), flat(bev), rtol=1e-4, atol=1e-5)
    ours.conv[0].field.bias.data[0] = 3.0  # its first point looks three cells further
    assert (ours(bev) - flat(bev)).abs().max() > 0.01
    with pytest.raises(InputError, match="hidden"):
        DeformableC2h(12, GRID, 5, hidden=-1)


@pytest.mark.parametrize("name", [name for name, head in HEADS.items() if not head.needs_context])
def test_every_head_gives_the_axes_of_the_labels(name):
    config = FastOccConfig.preset("micro")
    head = build_head(name, config).eval()
    assert head(torch.randn(2, head.in_channels, 20, 20)).shape == (2, 20, 20, 8, 18)
    assert head.source


def test_heads_that_look_at_images_say_so():
    with pytest.raises(InputError, match="context"):
        build_head("cascade", FastOccConfig.preset("micro"))(torch.randn(1, 8, 20, 20))
    with pytest.raises(InputError, match="fastocc, bevnet"):
        build_head("best", FastOccConfig.preset("micro"))


def test_x_and_y_are_not_exchanged_by_any_head():
    torch.manual_seed(0)
    for name, kind in HEADS.items():
        if kind.needs_context or name in ("prior", "tpv"):  # tpv's planes mix whole rows
            continue
        head = build_head(name, FastOccConfig.preset("micro")).eval()
        plain, marked = (torch.zeros(1, head.in_channels, 20, 20) for _ in range(2))
        marked[0, :, 3, 15] = 5.0  # y = 3, x = 15
        change = (head(marked) - head(plain)).abs().sum((0, 3, 4))
        assert divmod(int(change.argmax()), 20) in {(x, y) for x in range(13, 18) for y in range(1, 6)}, name


def test_focal_loss_equals_the_formula():
    logits, labels = torch.tensor([[0.3, -1.0], [2.0, 0.5]]), torch.tensor([1, 2])
    total = 0.0
    for row, label in zip(logits, labels, strict=True):
        for k, value in enumerate(row):
            p = 1 / (1 + math.exp(-value))
            total += 0.25 * (1 - p) ** 2 * -math.log(p) if k == label else 0.75 * p**2 * -math.log(1 - p)
    assert focal_loss(logits, labels, free=2).item() == pytest.approx(total, rel=1e-5)


def test_perfect_logits_have_almost_no_loss():
    labels = torch.tensor([0, 1, 2, 2])
    logits = 40 * torch.nn.functional.one_hot(labels, 3).float()
    assert lovasz_softmax(logits, labels) < 1e-4
    assert semantic_affinity(logits, labels) < 1e-4
    assert geometric_affinity(logits, labels, free=2) < 1e-4


def test_lovasz_of_hard_predictions_is_one_minus_iou():
    labels, guess = torch.tensor([0, 0, 1, 1]), torch.tensor([0, 1, 1, 1])
    logits = 60 * torch.nn.functional.one_hot(guess, 2).float()
    assert lovasz_softmax(logits, labels).item() == pytest.approx(((1 - 1 / 2) + (1 - 2 / 3)) / 2, abs=1e-4)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("fill", ["free", "ignored", "masked", "one class"])
def test_loss_is_finite_where_nothing_or_everything_is_there(kind, fill):
    classes = 3 if kind == "focal" else 4
    logits = torch.randn(1, 2, 2, 2, classes, requires_grad=True)
    value = {"free": 3, "ignored": 255, "masked": 0, "one class": 1}[fill]
    labels = torch.full((1, 2, 2, 2), value, dtype=torch.uint8)
    mask = torch.zeros(1, 2, 2, 2, dtype=torch.bool) if fill == "masked" else None
    loss = occupancy_loss(logits, labels, 3, kind=kind, mask=mask)
    loss.backward()
    assert torch.isfinite(loss)
    assert torch.isfinite(logits.grad).all()


def test_masked_and_ignored_voxels_have_no_gradient():
    logits = torch.randn(1, 1, 1, 3, 4, requires_grad=True)
    labels, mask = torch.tensor([[[[0, 255, 1]]]], dtype=torch.uint8), torch.tensor([[[[True, True, False]]]])
    occupancy_loss(logits, labels, 3, mask=mask).backward()
    assert logits.grad[0, 0, 0].abs().sum(1).gt(0).tolist() == [True, False, False]


def test_wrong_loss_arguments_are_named():
    logits, labels = torch.zeros(1, 2, 2, 2, 3), torch.zeros(1, 2, 2, 2, dtype=torch.uint8)
    with pytest.raises(InputError, match="loss"):
        occupancy_loss(logits, labels, 2, kind="best")
    with pytest.raises(InputError, match="shape"):
        occupancy_loss(logits, labels[:, :1], 2)
    with pytest.raises(InputError, match="below 3"):
        occupancy_loss(logits, labels + 5, 2)


def test_segmentation_loss_without_labels_is_zero():
    logits = torch.randn(1, 2, 3, 4, 4, requires_grad=True)
    loss = segmentation_loss(logits, torch.full((1, 2, 4, 4), 255))
    loss.backward()
    assert loss == 0
    assert not logits.grad.any()


def test_class_weights_follow_their_formulas():
    counts = torch.tensor([0, 2, 1000])
    assert class_weights(counts).tolist() == pytest.approx([0, 1 / math.log(3.001), 1 / math.log(1000.001)], rel=1e-5)
    assert balanced_weights(torch.tensor([0, 16, 4096]), 0.25).tolist() == pytest.approx([0, 4, 1])


def test_decoding_finds_free_space_in_both_ways():
    assert decode(torch.tensor([[0.0, 1.0, 3.0]]), "softmax", 2).item() == 2
    assert decode(torch.tensor([[-2.0, -3.0]]), "sigmoid", 16).item() == 16  # 0.12 < 0.25
    assert decode(torch.tensor([[-3.0, -1.0]]), "sigmoid", 16).item() == 1  # 0.27
