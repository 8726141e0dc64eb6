"""Packed networks as one reads them: what a file holds, its accuracy and speed; nothing here needs torch at import."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from ninefold.errors import InputError
from ninefold.report import Table

from bnn_fsg import datasets
from bnn_fsg.evaluation import _speed
from bnn_fsg.evaluation._summary import summary
from bnn_fsg.runtime import PackedModel

if TYPE_CHECKING:
    from torch import nn


def open_packed(path: Path, **how: Any) -> PackedModel:
    """The packed model of a file; `how` as in `PackedModel.load`. InputError for a folder."""
    if path.is_dir():
        hint = f"`bnn-fsg pack {path} -o NAME.bnn` makes one of a run"
        raise InputError(str(path), got="a folder", expected="a .bnn file", hint=hint)
    return PackedModel.load(path, **how)


def pack_network(source: str | Path, out: Path, *, force: bool = False) -> dict[str, Any]:
    """Pack a trained 1-bit network into a file, which runs without torch; its bytes, and those in float32.

    Args:
        source: see `open_network`. out: the file. force: replace an earlier one.
    """
    import torch

    from bnn_fsg import pack
    from bnn_fsg.layers._opening import open_network

    model, recipe = open_network(source)
    normal: dict[str, Any] = {"mean": recipe.mean, "std": recipe.std, "white": recipe.white}
    packed = pack(model, torch.zeros(1, recipe.channels, *recipe.size), **normal, classes=recipe.names)
    packed.save(out, force=force)
    floats = sum(4 * one.numel() for one in model.parameters())
    return {"file": out, "bytes": packed.nbytes, "bytes as float32": floats, "times smaller": floats / packed.nbytes}


def accuracy_facts(packed: PackedModel, data: str, split: str) -> dict[str, Any]:
    """Accuracy of a packed model on pictures of a data set, see `datasets.load`."""
    height, width = (*packed.input_shape, 1, 1)[1:3]
    images = datasets.load(data, split, (height, width))
    found = packed.predict(images.pixels.transpose(0, 2, 3, 1))
    right = found == images.labels
    return {"pictures": len(found), "accuracy %": 100 * float(right.mean()), "kernels": packed.kernels}


def describe(packed: PackedModel) -> list[Any]:
    """Each layer with its bits, bytes and products as a table; the sums, and the time of one sample."""
    rows = summary(packed)
    table = Table(["layer", "operation", "bits w/a", "weights", "bytes", "products", "output h w c"])
    for row in rows:
        place = " ".join(map(str, row.shape))
        table.rows.append([row.name, row.op, row.bits, row.weights, row.nbytes, row.products, place])
    products = {kind: sum(row.products for row in rows if row.bits == kind) for kind in ("1/1", "1/32", "32/32")}
    sample = np.zeros((1, *packed.input_shape), np.float32)
    taken = _speed.timed({"packed": lambda: packed(sample)}, repeats=9)["packed"].seconds
    facts = {
        "input": list(packed.input_shape),
        "bytes": packed.nbytes,
        "float32 bytes of the weights": 4 * sum(row.weights for row in rows),
        **{f"products {kind} (weights/inputs)": count for kind, count in products.items()},
        "milliseconds for one sample, one thread": 1000 * taken,
        "kernels": packed.kernels,
    }
    return [table, facts]


def speed_table(packed: PackedModel, seed: int = 0) -> Table:
    """Seconds of a packed model, and of float32 in torch, in turn."""
    table = Table(["arm", "seconds", "times as fast", "95 % interval"])
    for one in _speed.timed(_speed.model_arms(packed, seed), repeats=9).values():
        table.rows.append([one.name, one.seconds, one.ratio, f"[{one.low:.3g}, {one.high:.3g}]"])
    return table


@dataclass(frozen=True)
class Compared:
    """A packed network compared with the float32 one that it was made from.

    Attributes:
        size: bytes. smaller: times as small. faster: times as fast as in float32. accuracy: percent.
        same: percent of pictures with the class that the network gives in torch.
    """

    size: int
    smaller: float
    faster: float
    accuracy: float
    same: float

    def __str__(self) -> str:
        size = f"{self.size / 1024:.1f} KB, {self.smaller:.0f} times smaller"
        return f"{self.accuracy:.1f} % right, {size} and {self.faster:.1f} times as fast as float32"


def pack_and_compare(model: nn.Module, floats: nn.Module, test: datasets.Images, seed: int = 0) -> Compared:
    """Pack a 1-bit network, and compare it with its torch form and with the size of the float32 network.

    Args:
        model: 1-bit network. floats: network that it was made from. test: pictures. seed: of the timed picture.
    """
    import torch

    from bnn_fsg import pack
    from bnn_fsg.training._scores import predict

    packed = pack(model.eval(), torch.from_numpy(test.inputs(slice(0, 8))))
    classes = packed(test.inputs()).argmax(1)
    faster = _speed.timed(_speed.model_arms(packed, seed), repeats=9)["packed"].ratio
    size = sum(4 * one.numel() for one in floats.parameters())
    right, same = (100 * float(np.mean(classes == other)) for other in (test.labels, predict(model, test, threads=1)))
    return Compared(packed.nbytes, size / packed.nbytes, faster, right, same)
