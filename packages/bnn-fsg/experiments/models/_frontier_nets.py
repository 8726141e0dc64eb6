"""The networks of the frontier: a ResNet-8 in full precision and with 1-bit weights and inputs, trained alike.

Both see the same pictures in the same order with the same optimiser, rate and number of epochs, from scratch, their
convolutions in bfloat16. A network is kept in the cache after each epoch and as soon as it is trained, under a key of
the code that trains it and of the data, so a run that was killed goes on, and a change of the runtime trains nothing
again. Training alone, hours before the times are taken:

    uv run python packages/bnn-fsg/experiments/benchmarks/frontier_train.py
"""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import torch
from bnn_fsg import datasets
from bnn_fsg.datasets import Images
from bnn_fsg.estimators._gradient import Gradient
from bnn_fsg.layers._layers import binarize
from bnn_fsg.layers._nets import build
from bnn_fsg.training._trainer import BinaryTrainer, Schedule
from ninefold import artifacts
from ninefold.datasets import cache_dir, data_dir
from ninefold.errors import DownloadError
from ninefold_lab import Claim, at_least, source_key
from torch import Tensor, nn

WIDTHS = (8, 16, 32, 64)
KINDS = ("int8", "1 bit")
EPOCHS, BATCH, RATE = 3, 64, 3e-3
MARGIN = 4  # see `Mixed`
COMPILED = 16  # width from which 1-bit networks gain more by torch.compile than it takes
_SET = "cifar10-lossless-14k"


@functools.cache
def splits(form: str) -> dict[str, Images]:
    """Train, validation (the first 1,000 training pictures) and test: CIFAR-10's subset, or the digits for a look."""
    if form != "full":
        return {split: datasets.digits(split) for split in ("train", "validation", "test")}
    root = data_dir("bnn-fsg")
    if root is None or not (root / _SET).is_dir():
        raise DownloadError(f"{_SET} is not on this machine: set NINEFOLD_DATA to a folder with bnn-fsg/{_SET}")
    whole = datasets.parquet(root / _SET, "train")
    test = datasets.parquet(root / _SET, "test")
    return {"train": whole.part(1000, None), "validation": whole.part(0, 1000), "test": test}


class Doubled(nn.Module):
    """A shortcut without weights: averages of 2 x 2 pixels, all channels twice (ReActNet, arXiv 2003.03488)."""

    def __init__(self) -> None:
        super().__init__()
        self.pool = nn.AvgPool2d(2)

    def forward(self, x: Tensor) -> Tensor:
        """(n, channels, h, w) -> (n, 2 channels, h/2, w/2)."""
        x = self.pool(x)
        return torch.cat((x, x), 1)


class Mixed(nn.Module):
    """A network as it trains: channels last, convolutions in bfloat16 with sums in float32; parameters stay float32.

    While it trains it sees pictures without `margin` pixels on each side: with the trainer's shifts by up to 4 pixels,
    4 of them leave random crops of 24 x 24.
    """

    def __init__(self, model: nn.Module, margin: int) -> None:
        super().__init__()
        self.model = model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.margin = margin

    def forward(self, x: Tensor) -> Tensor:
        """As of the network, float32."""
        if self.training and self.margin:
            x = x[:, :, self.margin : -self.margin, self.margin : -self.margin]
        with torch.autocast("cpu", dtype=torch.bfloat16):
            return self.model(x.contiguous(memory_format=torch.channels_last)).float()


def network(kind: str, width: int, images: Images) -> nn.Module:
    """A fresh network for pictures like these: plain blocks with ReLU for int8; for 1 bit ReActNet's, whose stem and
    head stay float and whose shortcuts have no weights."""
    shape = images.pixels.shape
    if kind == "int8":
        return build("resnet8", images.classes, shape[1], width)
    model: Any = build("react-resnet8", images.classes, shape[1], width)
    for stage in (model.layer2, model.layer3):
        stage[0].shortcut = Doubled()
    noise = torch.randn(2, *shape[1:], generator=torch.Generator().manual_seed(0))
    return binarize(model, "reactnet", "rsign", skip=("conv1", "fc"), example_input=noise)


def trained(kind: str, width: int, seed: int, form: str) -> nn.Module:
    """The network of a kind ("1 bit", or "int8": full precision, quantised after its training) and width, in
    evaluation mode: trained here or read from the cache."""
    images, full = splits(form)["train"], form == "full"
    path = _folder(form) / f"seed-{seed}" / f"{kind.replace(' ', '-')}-{width}.safetensors"
    torch.manual_seed(seed)
    model = network(kind, width, images)
    if not path.exists():
        mixed = Mixed(model, MARGIN if full else 0)
        optimizer = torch.optim.Adam(model.parameters(), lr=RATE)
        gradient = Gradient(mixed, optimizer) if kind == "1 bit" else optimizer  # straight-through
        schedule = Schedule(epochs=EPOCHS, batch=BATCH, augment=full, decay="cosine")
        compiled = full and kind == "1 bit" and width >= COMPILED
        run = path.with_suffix("")
        BinaryTrainer(mixed, gradient, schedule, seed=seed, threads=1, out=run, compile=compiled).fit(images)
        artifacts.save(
            path, model.state_dict(), kind="bnn-fsg.frontier", format_version=1, package="bnn_fsg", force=True
        )  # by force: another process may have been as far
    kept = artifacts.Artifact(path, kind="bnn-fsg.frontier", format_version=1)
    model.load_state_dict({name: kept.torch(name) for name in kept.names})
    return model.to(memory_format=torch.contiguous_format).eval()


def _folder(form: str) -> Path:
    return cache_dir("bnn_fsg") / "frontier" / f"{form}-{source_key(_TRAINING)}"


_TRAINING = Claim(  # never run as a claim: it names the code whose key the cache stands under
    id="bnn-fsg/frontier-training",
    says="",
    source="",
    run=trained,
    verdict=at_least("", 0.0),  # type: ignore[arg-type]
)
