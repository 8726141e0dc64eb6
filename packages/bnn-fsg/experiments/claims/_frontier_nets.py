"""The networks of the frontier: a ResNet-8 in float32 and with 1-bit weights and inputs, trained alike.

Both see the same pictures in the same order with the same optimiser, rate and number of epochs, from scratch. A network
is kept in the cache as soon as it is trained, under a key of the code that trains it and of the data, so a run that was
killed goes on with the next network, and a change of the runtime trains nothing again.
"""

from __future__ import annotations

import functools
from pathlib import Path

import torch
from bnn_fsg import datasets
from bnn_fsg.datasets import Images
from bnn_fsg.estimators._gradient import Gradient
from bnn_fsg.layers._nets import Recipe, load_model, save_model
from bnn_fsg.training._trainer import BinaryTrainer, Schedule
from ninefold.datasets import cache_dir, data_dir
from ninefold.errors import DownloadError
from ninefold_lab import Claim, at_least, source_key
from torch import nn

IMAGES, EPOCHS, RATE, BATCH = 4500, 2, 3e-3, 64
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


def recipe_of_kind(kind: str, width: int, images: Images) -> Recipe:
    """What a network is built from: plain blocks with ReLU for int8, ReActNet's for 1 bit, whose stem, 1x1 shortcuts
    and head stay float."""
    bits, shape = kind == "1 bit", images.pixels.shape
    return Recipe(
        net="react-resnet8" if bits else "resnet8", classes=images.classes, channels=shape[1],
        size=(shape[2], shape[3]), width=width, weights="reactnet" if bits else None,
        activations="rsign" if bits else None, skip=("conv1", "fc", "*shortcut*") if bits else (),
        mean=tuple(images.mean), std=tuple(images.std), white=images.white,
    )  # fmt: skip


def trained(kind: str, width: int, seed: int, form: str) -> nn.Module:
    """The network of a kind ("1 bit", or "int8": float32, quantised after its training) and width, in evaluation mode:
    trained here or read from the cache."""
    path = _folder(form) / f"seed-{seed}" / f"{kind.replace(' ', '-')}-{width}.safetensors"
    if not path.exists():
        images = splits(form)["train"]
        images = images.part(0, IMAGES) if form == "full" else images
        recipe = recipe_of_kind(kind, width, images)
        torch.manual_seed(seed)
        model = recipe.build()
        optimizer = torch.optim.Adam(model.parameters(), lr=RATE)
        gradient = Gradient(model, optimizer) if recipe.weights else optimizer  # straight-through
        schedule = Schedule(epochs=EPOCHS, batch=BATCH, augment=form == "full", decay="cosine")
        BinaryTrainer(model, gradient, schedule, seed=seed, threads=1).fit(images)
        save_model(path, model, recipe, force=True)  # another process may have been as far
    return load_model(path)[0].eval()


def _folder(form: str) -> Path:
    return cache_dir("bnn_fsg") / "frontier" / f"{form}-{source_key(_TRAINING)}"


_TRAINING = Claim(  # never run as a claim: it names the code whose key the cache stands under
    id="bnn-fsg/frontier-training",
    says="",
    source="",
    run=trained,
    verdict=at_least("", 0.0),  # type: ignore[arg-type]
)
