"""The verbs of packed models: pack, eval, inspect, bench, export."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from ninefold.cli import Shared
from ninefold.errors import InputError, require
from ninefold.files import foreign

from bnn_fsg.cli._networks import network

if TYPE_CHECKING:
    from ninefold.report import Table

    from bnn_fsg import PackedModel

Packed = Annotated[Path, typer.Argument(help="A .bnn file.")]
_BACKEND = typer.Option("--backend", help="Kernels: auto, c (its best), amx, avx512, avx2, neon, plain or numpy.")


def _load(path: Path, **how: Any) -> PackedModel:
    from bnn_fsg import PackedModel

    if path.is_dir():
        hint = f"`bnn-fsg pack {path} -o NAME.bnn` makes one of a run"
        raise InputError(str(path), got="a folder", expected="a .bnn file", hint=hint)
    return PackedModel.load(path, **how)


def pack(
    source: Annotated[str, typer.Argument(help="Run folder or model file of `train`, or 'adabin' (a published net).")],
    *,
    opts: Shared,
) -> dict[str, Any]:
    """Pack a trained 1-bit network into a .bnn file at -o, which runs without torch."""
    out = opts.need_out()
    torch = require("torch", "bnn_fsg", "train")
    from bnn_fsg import pack as to_bits

    model, recipe = network(source)
    shape = (recipe.channels, *recipe.size)
    normal: dict[str, Any] = {"mean": recipe.mean, "std": recipe.std, "white": recipe.white}
    packed = to_bits(model, torch.zeros(1, *shape), **normal)
    packed.save(out, force=opts.force)
    floats = sum(4 * one.numel() for one in model.parameters())
    return {"file": out, "bytes": packed.nbytes, "bytes as float32": floats, "times smaller": floats / packed.nbytes}


def evaluate(
    model: Packed,
    data: Annotated[str, typer.Argument(help="digits (embedded), or a folder: see `train --help`.")],
    *,
    split: Annotated[str, typer.Option("--split", help="train or test; digits also validation.")] = "test",
    backend: Annotated[str, _BACKEND] = "auto",
    opts: Shared,
) -> dict[str, Any]:
    """Accuracy of a packed model on labelled pictures."""
    from bnn_fsg import datasets

    packed = _load(model, threads=opts.threads or 1, backend=backend)
    height, width = (*packed.input_shape, 1, 1)[1:3]
    images = datasets.load(data, split, (height, width))
    found = packed.predict(images.pixels.transpose(0, 2, 3, 1))
    right = found == images.labels
    return {"pictures": len(found), "accuracy %": 100 * float(right.mean()), "kernels": packed.kernels}


def inspect(model: Packed) -> list[Any]:
    """Show what a .bnn file holds: each layer with its bits, bytes and products, the sums, and how long it takes."""
    import numpy as np
    from ninefold.report import Table

    from bnn_fsg.evaluation._speed import timed
    from bnn_fsg.evaluation._summary import summary

    packed = _load(model)
    rows = summary(packed)
    table = Table(["layer", "operation", "bits w/a", "weights", "bytes", "products", "output h w c"])
    for row in rows:
        place = " ".join(map(str, row.shape))
        table.rows.append([row.name, row.op, row.bits, row.weights, row.nbytes, row.products, place])
    products = {kind: sum(row.products for row in rows if row.bits == kind) for kind in ("1/1", "1/32", "32/32")}
    sample = np.zeros((1, *packed.input_shape), np.float32)
    taken = timed({"packed": lambda: packed(sample)}, repeats=9)["packed"].seconds
    return [
        table,
        {
            "input": list(packed.input_shape),
            "bytes": packed.nbytes,
            "float32 bytes of the weights": 4 * sum(row.weights for row in rows),
            **{f"products {kind} (weights/inputs)": count for kind, count in products.items()},
            "milliseconds for one sample, one thread": 1000 * taken,
            "kernels": packed.kernels,
        },
    ]


def bench(
    model: Packed,
    *,
    opts: Shared,
) -> Table:
    """Time a packed model against float32 in torch, in turn in one process."""
    from ninefold.report import Table

    import bnn_fsg.evaluation._speed as speed

    arms = speed.model_arms(_load(model, threads=opts.threads or 1), opts.seed)
    table = Table(["arm", "seconds", "times as fast", "95 % interval"])
    for one in speed.timed(arms, repeats=9).values():
        table.rows.append([one.name, one.seconds, one.ratio, f"[{one.low:.3g}, {one.high:.3g}]"])
    return table


def is_export(path: Path) -> bool:
    """Whether `export` wrote a file."""
    from bnn_fsg.export._onnx import is_exported

    return is_exported(path) or not any(foreign(path, "bnn_fsg"))


def export(
    model: Packed,
    *,
    to: Annotated[str, typer.Option("--to", help="onnx, qonnx or torch (float32 safetensors).")] = "onnx",
    opts: Shared,
) -> dict[str, Any]:
    """Write a .bnn file as ONNX, QONNX or float32 weights at -o."""
    import bnn_fsg

    ways = {"onnx": "export_onnx", "qonnx": "export_qonnx", "torch": "export_torch"}
    if to not in ways:
        raise InputError("--to", got=to, expected=", ".join(ways))
    out = opts.need_out()
    getattr(bnn_fsg, ways[to])(_load(model), out, force=opts.force)
    return {"file": out, "bytes": out.stat().st_size}
