"""Claims about the packed runtime, on a network that others trained."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
from ninefold import datasets
from ninefold.claims import Budget, Claim, Scores, all_of, at_least, at_most
from ninefold.errors import DownloadError


def adabin_answers(rows: int = 4000) -> tuple[np.ndarray, np.ndarray, np.ndarray, int]:
    """(labels, classes of the float path, classes of the packed path, bytes of the file) on test pictures."""
    import torch

    from bnn_fsg import PackedModel, adabin_resnet20, pack
    from bnn_fsg._pack._adabin import MEAN, STD
    from bnn_fsg._pictures import labelled_pictures

    root = datasets.data_dir("bnn-fsg")
    if root is None:
        raise DownloadError("cifar10-lossless-14k is not on this machine: set NINEFOLD_DATA to a folder with bnn-fsg")
    pictures, labels = labelled_pictures(root / "cifar10-lossless-14k")
    model = adabin_resnet20()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "adabin.bnn"
        pack(model, torch.zeros(1, 3, 32, 32), mean=MEAN, std=STD).save(path)
        packed = PackedModel.load(path)
    x = packed.prepare(pictures[:rows])
    with torch.no_grad():
        parts = [model(torch.from_numpy(x[first : first + 100])).argmax(1) for first in range(0, len(x), 100)]
    return labels[:rows], torch.cat(parts).numpy(), packed.predict(x), packed.nbytes


def _adabin(budget: Budget, seed: int) -> Scores:  # noqa: ARG001  (nothing here is random)
    labels, floats, packed, size = adabin_answers(4000 if budget.form == "full" else 400)
    return {
        "float path": 100.0 * (floats == labels),
        "packed": 100.0 * (packed == labels),
        "same class": 100.0 * (packed == floats),
        "KB on disk": np.full(1, size / 1024),
    }


PACKED_CLAIMS = [
    Claim(
        id="bnn-fsg/adabin-runs-packed",
        says="a W1A1 ResNet-20 of 87.5 % keeps its classes when it runs on bits, from a file of at most 64 KB",
        source="AdaBin, arXiv 2208.08084, table 1 (its own file scores 87.5 % on these 4,000 test pictures)",
        run=_adabin,
        verdict=all_of(
            at_least("same class", 99.9), at_least("packed", "float path", margin=-0.1), at_most("KB on disk", 64.0)
        ),
        quick=Budget(seeds=1, minutes=1),
        full=Budget(seeds=1, minutes=5),
    )
]
