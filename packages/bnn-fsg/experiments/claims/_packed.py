"""Claims about the packed runtime, on a network that others trained."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
from ninefold import datasets
from ninefold.errors import DownloadError
from ninefold_lab import Budget, Claim, Scores, all_of, at_least, at_most


def adabin_answers(order: np.ndarray) -> tuple[np.ndarray, dict[str, np.ndarray], int]:
    """(labels, classes by path, bytes of the file) on test pictures, read in this order.

    The float path is the module in float64: where a sum lies on a threshold, float32 rounds it to either side, while
    the packed path has whole numbers. What float32 answers is beside it.
    """
    import torch
    from bnn_fsg import PackedModel, adabin_resnet20, pack
    from bnn_fsg.datasets import cifar
    from bnn_fsg.layers._adabin import MEAN, STD

    root = datasets.data_dir("bnn-fsg")
    if root is None:
        raise DownloadError("cifar10-lossless-14k is not on this machine: set NINEFOLD_DATA to a folder with bnn-fsg")
    images = cifar(root / "cifar10-lossless-14k", "test")
    pictures, labels = images.pixels.transpose(0, 2, 3, 1)[order], images.labels[order]
    model = adabin_resnet20()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "adabin.bnn"
        pack(model, torch.zeros(1, 3, 32, 32), mean=MEAN, std=STD).save(path)
        packed = PackedModel.load(path)
        size = path.stat().st_size
    x = packed.prepare(pictures)
    answers = {"packed": packed.predict(x), "packed, stem in whole numbers": packed.predict(pictures)}
    with torch.no_grad():
        for name, kind in (("float path in float32", torch.float32), ("float path", torch.float64)):
            model.to(kind)
            parts = (torch.from_numpy(x[first : first + 100]).to(kind) for first in range(0, len(x), 100))
            answers[name] = torch.cat([model(part).argmax(1) for part in parts]).numpy()
    return labels, answers, size


def _adabin(budget: Budget, seed: int) -> Scores:
    """A seed is an order of the same pictures: shares are of these 4,000, not estimates of others.

    Nothing but a defect could make a seed differ from the next: batches hold other pictures, the file is written anew.
    """
    order = np.random.default_rng(seed).permutation(4000)
    labels, answers, size = adabin_answers(order if budget.form == "full" else order[:400])

    def share(one: np.ndarray, other: np.ndarray) -> np.ndarray:
        return np.array([100 * np.mean(one == other)])

    scores = {name: share(answer, labels) for name, answer in answers.items()}
    return {
        **scores,
        "whole numbers in the stem less floats": scores["packed, stem in whole numbers"] - scores["packed"],
        "same class": share(answers["packed"], answers["float path"]),
        "same class as in float32": share(answers["packed"], answers["float path in float32"]),
        "float32 as float64": share(answers["float path in float32"], answers["float path"]),
        "KB on disk": np.array([size / 1024]),
    }


PACKED_CLAIMS = [
    Claim(
        id="bnn-fsg/adabin-runs-packed",
        says="a W1A1 ResNet-20 of 87.5 % keeps its classes when it runs on bits, from a file of at most 64 KB",
        source="AdaBin, arXiv 2208.08084, table 1 (its own file scores 87.5 % on these 4,000 test pictures)",
        run=_adabin,
        verdict=all_of(
            at_least("float path in float32", 87.4),
            at_most("float path in float32", 87.6),
            at_least("packed", 87.4),
            at_most("packed", 87.6),
            at_least("same class", 99.9),
            at_least("whole numbers in the stem less floats", -1.0),
            at_most("KB on disk", 64.0),
        ),
        quick=Budget(seeds=1, minutes=1),
        full=Budget(seeds=1, minutes=3),  # nothing in it is random
    )
]
