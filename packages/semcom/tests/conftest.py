"""What several test files use."""

from __future__ import annotations

import numpy as np
import pytest


@pytest.fixture
def rng():
    return np.random.default_rng(20241210)


@pytest.fixture(scope="session")
def tiny_parts():
    """Untrained parts of the second system, small enough for tests: coder, towers, denoiser."""
    import torch
    from semcom.models import JsccCoder, JsccConfig
    from semcom.multimodal import ClipConfig, SmallClip, Unet, UnetConfig

    torch.manual_seed(0)
    unet = Unet(UnetConfig(width=8))
    for one in unet.parameters():
        if not one.any():  # layers that begin at zero would hide what they are told
            torch.nn.init.normal_(one, std=0.1)
    clip = SmallClip(ClipConfig(width=8, text_width=16, depth=1, heads=2))
    return JsccCoder(JsccConfig(channels=4, width=16)).eval(), clip.eval(), unet.eval()


@pytest.fixture
def tiny_link(tiny_parts):
    """A link of the untrained parts, two steps a candidate; keyword arguments are those of `MMSemCom`."""
    from semcom.multimodal import MMConfig, MMSemCom, ResidualDiffusion

    def make(config=None, generator=None, **arguments):
        coder, clip, unet = tiny_parts
        made = generator or ResidualDiffusion(unet, steps=2)
        return MMSemCom(coder, clip, made, config or MMConfig(), **arguments)

    return make
