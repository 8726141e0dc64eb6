"""The verbs of packed models: pack, eval, predict, inspect, bench, export."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from ninefold.cli import Shared
from ninefold.errors import InputError, require
from ninefold.files import foreign, starts_with
from typer import Argument, Option

if TYPE_CHECKING:
    from ninefold.report import Table

Packed = Annotated[Path, Argument(help="Packed network, a .bnn file.")]
_SOURCE = "Run folder or model file that `train` wrote, or 'adabin' (a published net)."
_BACKEND = "Kernels to use: auto, c (fastest of the C library), amx, avx512, avx2, neon, plain or numpy."

is_answers = starts_with("picture,class,score")  # what `predict --force` may replace


def pack(source: Annotated[str, Argument(help=_SOURCE)], *, opts: Shared) -> dict[str, Any]:
    """Pack a trained 1-bit network into a .bnn file at -o, which runs without torch.

    Example: `bnn-fsg pack bits -o digits.bnn`
    """
    from bnn_fsg.evaluation._packed import pack_network

    out = opts.need_out()
    require("torch", "bnn_fsg", "train")
    return pack_network(source, out, force=opts.force)


def evaluate(
    model: Packed,
    data: Annotated[str, Argument(help="Labelled pictures: digits (embedded), or a folder as in `train --help`.")],
    *,
    split: Annotated[str, Option(help="Part of the data: train or test; for digits also validation.")] = "test",
    backend: Annotated[str, Option(help=_BACKEND)] = "auto",
    opts: Shared,
) -> dict[str, Any]:
    """Measure the accuracy of a packed network on labelled pictures.

    Example: `bnn-fsg eval digits.bnn digits`
    """
    from bnn_fsg.evaluation._packed import accuracy_facts, open_packed

    return accuracy_facts(open_packed(model, threads=opts.threads or 1, backend=backend), data, split)


def predict(
    model: Packed,
    pictures: Annotated[list[Path], Argument(help="Picture files, or folders of pictures.")],
    *,
    backend: Annotated[str, Option(help=_BACKEND)] = "auto",
    opts: Shared,
) -> Table:
    """Predict the class of each picture with its score from 0 to 1 (softmax); -o writes all as a CSV file.

    Pictures are resized to the network's input. Needs the extra `data`, and no torch.

    Example: `bnn-fsg predict mine.bnn photo.png -o answers.csv`
    """
    from bnn_fsg.evaluation._answers import answer_table, write_answers
    from bnn_fsg.evaluation._packed import open_packed

    table = answer_table(open_packed(model, threads=opts.threads or 1, backend=backend), pictures)
    if opts.out is not None:
        return write_answers(table, opts.out, force=opts.force)
    if len(table.rows) > 20 and not opts.json:
        table.notes.append(f"the first 20 of {len(table.rows):,} pictures; all with -o FILE or --json")
        table.rows = table.rows[:20]
    return table


def inspect(model: Packed) -> list[Any]:
    """Show the layers of a .bnn file with bits, bytes and products, the totals, and the time for one sample.

    Example: `bnn-fsg inspect digits.bnn`
    """
    from bnn_fsg.evaluation._packed import describe, open_packed

    return describe(open_packed(model))


def bench(model: Packed, *, opts: Shared) -> Table:
    """Compare the speed of a packed network with float32 in torch, in one process.

    Example: `bnn-fsg bench digits.bnn`
    """
    from bnn_fsg.evaluation._packed import open_packed, speed_table

    return speed_table(open_packed(model, threads=opts.threads or 1), opts.seed)


def is_export(path: Path) -> bool:
    """Whether `export` wrote a file."""
    from bnn_fsg.export._onnx import is_exported

    return is_exported(path) or not any(foreign(path, "bnn_fsg"))


def export(
    model: Packed,
    *,
    to: Annotated[str, Option(help="Output format: onnx, qonnx or torch (float32 safetensors).")] = "onnx",
    opts: Shared,
) -> dict[str, Any]:
    """Write a .bnn file as ONNX, QONNX or float32 weights at -o.

    Example: `bnn-fsg export digits.bnn --to onnx -o digits.onnx`
    """
    import bnn_fsg
    from bnn_fsg.evaluation._packed import open_packed

    ways = {"onnx": "export_onnx", "qonnx": "export_qonnx", "torch": "export_torch"}
    if to not in ways:
        raise InputError("--to", got=to, expected=", ".join(ways))
    out = opts.need_out()
    getattr(bnn_fsg, ways[to])(open_packed(model), out, force=opts.force)
    return {"file": out, "bytes": out.stat().st_size}
