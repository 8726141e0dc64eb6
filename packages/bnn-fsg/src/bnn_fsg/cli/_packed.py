"""The verbs of packed models: pack, eval, inspect, bench, export."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from ninefold.cli import Shared
from ninefold.errors import InputError, require
from ninefold.files import foreign
from typer import Argument, Option

if TYPE_CHECKING:
    from ninefold.report import Table

Packed = Annotated[Path, Argument(help="A .bnn file.")]
_SOURCE = "Run folder or model file of `train`, or 'adabin' (a published net)."
_BACKEND = "Kernels: auto, c (its best), amx, avx512, avx2, neon, plain or numpy."


def pack(source: Annotated[str, Argument(help=_SOURCE)], *, opts: Shared) -> dict[str, Any]:
    """Pack a trained 1-bit network into a .bnn file at -o, which runs without torch."""
    from bnn_fsg.evaluation._packed import pack_network

    out = opts.need_out()
    require("torch", "bnn_fsg", "train")
    return pack_network(source, out, force=opts.force)


def evaluate(
    model: Packed,
    data: Annotated[str, Argument(help="digits (embedded), or a folder: see `train --help`.")],
    *,
    split: Annotated[str, Option(help="train or test; digits also validation.")] = "test",
    backend: Annotated[str, Option(help=_BACKEND)] = "auto",
    opts: Shared,
) -> dict[str, Any]:
    """Accuracy of a packed model on labelled pictures."""
    from bnn_fsg.evaluation._packed import accuracy_facts, open_packed

    return accuracy_facts(open_packed(model, threads=opts.threads or 1, backend=backend), data, split)


def inspect(model: Packed) -> list[Any]:
    """Show what a .bnn file holds: each layer with its bits, bytes and products, the sums, and how long it takes."""
    from bnn_fsg.evaluation._packed import describe, open_packed

    return describe(open_packed(model))


def bench(model: Packed, *, opts: Shared) -> Table:
    """Time a packed model against float32 in torch, in turn in one process."""
    from bnn_fsg.evaluation._packed import open_packed, speed_table

    return speed_table(open_packed(model, threads=opts.threads or 1), opts.seed)


def is_export(path: Path) -> bool:
    """Whether `export` wrote a file."""
    from bnn_fsg.export._onnx import is_exported

    return is_exported(path) or not any(foreign(path, "bnn_fsg"))


def export(
    model: Packed,
    *,
    to: Annotated[str, Option(help="onnx, qonnx or torch (float32 safetensors).")] = "onnx",
    opts: Shared,
) -> dict[str, Any]:
    """Write a .bnn file as ONNX, QONNX or float32 weights at -o."""
    import bnn_fsg
    from bnn_fsg.evaluation._packed import open_packed

    ways = {"onnx": "export_onnx", "qonnx": "export_qonnx", "torch": "export_torch"}
    if to not in ways:
        raise InputError("--to", got=to, expected=", ".join(ways))
    out = opts.need_out()
    getattr(bnn_fsg, ways[to])(open_packed(model), out, force=opts.force)
    return {"file": out, "bytes": out.stat().st_size}
