"""Every link sends a picture of any size in the same number of symbols, or refuses it by name."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from ninefold.errors import InputError
from semcom.baselines import BlockDct, SoftCast
from semcom.models import PictureCoder, PictureConfig, load_jscc
from semcom.phy import Channel
from semcom.whole import ChosenLink, CodecLink, CoderLink, JointLink, LayeredLink, carry_picture, symbols_of_ratio


@pytest.fixture(scope="module")
def tiny():
    torch.manual_seed(0)
    return PictureCoder(PictureConfig(channels=8, width=8, stages=1, context=8, blocks=1)).eval()


def allowed(link, size):
    """Symbols of a size, None where the link refuses it."""
    try:
        return link.symbols(*size)
    except InputError:
        return None


def test_two_hundred_sizes_take_equal_symbols_or_are_refused(tiny):
    rng = np.random.default_rng(81)
    links = {
        "joint": JointLink(tiny),
        "codec": CodecLink("jpeg", 1 / 12),
        "linear": BlockDct(1 / 12),
        "SoftCast": SoftCast(1 / 12),
        "layered": LayeredLink(1 / 12),
        "tile": CoderLink(load_jscc("deepjscc-c8")),
    }
    links["chosen"] = ChosenLink(links["joint"], CodecLink("jpeg", 1 / 12))  # fmt: skip
    refused: list[str] = []
    for trial in range(200):
        size = tuple(int(side) for side in (rng.integers(1, 301, 2) if trial else (1, 1)))
        picture = rng.integers(0, 256, (*size, 3), dtype=np.uint8)
        for name, link in links.items():
            if name in ("chosen", "layered", "codec", "joint") and trial % 16:  # a share of the slow ones
                continue
            count = allowed(link, size)
            if count is None:
                refused.append(name)
                continue
            assert count == symbols_of_ratio(1 / 12, *size), (name, size)
            assert link.send(picture, 5.0).shape == (count,), (name, size)
    assert set(refused) == {"tile"}  # DeepJSCC's sides are multiples of four
    assert 150 < len(refused) < 200


@pytest.mark.parametrize("size", [(33, 47), (131, 97), (17, 300), (1, 1), (5, 64)])
def test_punctured_latents_draw_the_picture_nearly_as_well(size, rng):
    link, ramp = JointLink(), np.linspace(40, 215, max(size))
    picture = np.stack([np.add.outer(ramp[: size[0]], ramp[: size[1]]) / 2] * 3, axis=-1).astype(np.uint8)
    drawn = carry_picture(link, picture, Channel(), 15.0, rng)
    assert drawn.shape == picture.shape
    assert np.square(drawn.astype(float) - picture).mean() < 100  # 28 dB


def test_a_picture_with_fewer_latents_than_the_least_symbols_is_refused(tiny):
    with pytest.raises(InputError, match=r"1 x 1 pixels.*64"):
        JointLink(tiny, 1 / 48).symbols(1, 1)
    with pytest.raises(InputError, match=r"4 x 4 pixels"):
        CoderLink(load_jscc("deepjscc-c8")).symbols(4, 4)


@pytest.mark.parametrize(("made", "named"), [(lambda n: np.ones(n + 1), "shape"), (lambda n: 2 * np.ones(n), "power")])
def test_a_link_with_other_symbols_or_power_is_refused(made, named, rng):
    class Greedy(SoftCast):
        name = "greedy"

        def send(self, picture, snr_db):
            return made(self.symbols(*picture.shape[:2])).astype(np.complex64)

    with pytest.raises(InputError, match=f"greedy.*{named}"):
        carry_picture(Greedy(1 / 12), rng.integers(0, 256, (48, 48, 3), dtype=np.uint8), Channel(), 5.0, rng)
